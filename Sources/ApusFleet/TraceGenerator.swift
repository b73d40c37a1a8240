public import ApusCore
internal import ApusEngine

/// Arrivals at functions whose popularity follows Zipf's law, in one of the patterns of ``TracePattern``. The same seed gives the same.
public struct TraceGenerator: Sendable {
    public var functions = 40
    /// The exponent of the popularity.
    public var zipf = 1.0
    public var length: TimeSpan = .seconds(14 * 86_400)
    /// Over all functions.
    public var requestsPerSecond = 0.0135
    public var serviceMean: TimeSpan = .seconds(8)
    public var pattern = TracePattern.fitted
    public var seed: UInt64 = 1

    public init() {}

    /// About how many there will be.
    public var expected: Double { self.requestsPerSecond * Double(self.length.microseconds) * 1e-6 }

    public func arrivals() -> [Arrival] {
        let weights = (1...self.functions).map { 1 / Power.of(Double($0), self.zipf) }
        let sum = weights.reduce(0, +)
        var all: [Arrival] = []
        all.reserveCapacity(Int(self.expected))
        var source = TraceRandom(seed: self.seed)
        let end = Double(self.length.microseconds) * 1e-6
        for (function, weight) in weights.enumerated() {
            var gaps = TraceGaps(pattern: self.pattern, mean: sum / weight / self.requestsPerSecond)
            var at = gaps.first(&source)
            while at < end {
                let service = min(60, max(0.2, source.exponential() * Double(self.serviceMean.microseconds) * 1e-6))
                all.append(
                    Arrival(
                        at: Timestamp(microseconds: Int64(at * 1e6)), function: function,
                        service: TimeSpan(microseconds: Int64(service * 1e6))))
                at += gaps.next(at: at, &source)
            }
        }
        all.sort { ($0.at, $0.function) < ($1.at, $1.function) }
        return all
    }
}

/// Chance for traces: the same everywhere.
struct TraceRandom {
    private var generator: SeededGenerator

    init(seed: UInt64) { self.generator = SeededGenerator(seed: seed) }

    /// Above 0 and below 1.
    mutating func unit() -> Double { Double.random(in: 1e-12..<1, using: &self.generator) }

    /// With a mean of 1.
    mutating func exponential() -> Double { -Power.logarithm(self.unit()) }

    /// Log-normal with that mean.
    mutating func logNormal(mean: Double, deviation: Double) -> Double {
        mean * Power.exponential(deviation * self.normal() - deviation * deviation / 2)
    }

    /// By the sum of twelve uniform numbers: near enough.
    private mutating func normal() -> Double { (0..<12).reduce(-6) { sum, _ in sum + self.unit() } }
}
