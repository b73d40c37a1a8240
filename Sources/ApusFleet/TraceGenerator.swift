public import ApusCore
internal import ApusEngine

/// Arrivals fitted to what was published of model serving: popularity by Zipf's law, gaps with long tails, bursts.
///
/// The gaps of a function are a mixture of three log-normal parts around its mean: bursts (a tenth of it), the ordinary, and long silences
/// (eight times it), with weights that give the published shape for 87 models over 23 days (median 71 s, 90 % within 22 min, 95 %
/// within 94 min, 99 % within a day, over all models together).
public struct TraceGenerator: Sendable {
    public var functions = 40
    /// The exponent of the popularity.
    public var zipf = 1.0
    public var length: TimeSpan = .seconds(14 * 86_400)
    /// Over all functions.
    public var requestsPerSecond = 0.0135
    public var serviceMean: TimeSpan = .seconds(8)
    public var seed: UInt64 = 1

    public init() {}

    public func arrivals() -> [Arrival] {
        var generator = SeededGenerator(seed: self.seed)
        let weights = (1...self.functions).map { 1 / Power.of(Double($0), self.zipf) }
        let sum = weights.reduce(0, +)
        var all: [Arrival] = []
        for (function, weight) in weights.enumerated() {
            let meanGap = sum / weight / self.requestsPerSecond
            var at = Self.unit(&generator) * meanGap
            while at < Double(self.length.microseconds) * 1e-6 {
                let service = min(60, max(0.2, self.exponential(&generator) * Double(self.serviceMean.microseconds) * 1e-6))
                all.append(
                    Arrival(
                        at: Timestamp(microseconds: Int64(at * 1e6)), function: function,
                        service: TimeSpan(microseconds: Int64(service * 1e6))))
                at += self.gap(mean: meanGap, &generator)
            }
        }
        return all.sorted { ($0.at, $0.function) < ($1.at, $1.function) }
    }

    private func gap(mean: Double, _ generator: inout SeededGenerator) -> Double {
        let part = Self.unit(&generator)
        // Weights and scales whose mean is one.
        let scale = part < 0.60 ? 0.05 : part < 0.92 ? 0.5 : 10.1
        return mean * scale * Power.exponential(Self.normal(&generator) - 0.5)
    }

    private func exponential(_ generator: inout SeededGenerator) -> Double { -Power.logarithm(Self.unit(&generator)) }

    private static func unit(_ generator: inout SeededGenerator) -> Double {
        Double.random(in: 1e-12..<1, using: &generator)
    }

    /// By the sum of twelve uniform numbers: near enough, and the same everywhere.
    private static func normal(_ generator: inout SeededGenerator) -> Double {
        (0..<12).reduce(-6) { sum, _ in sum + Self.unit(&generator) }
    }
}
