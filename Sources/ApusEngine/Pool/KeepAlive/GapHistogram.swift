internal import ApusCore

/// How long a function's gaps are: counted in bins a third apart, where what is long ago counts less.
///
/// Some two hundred bytes for a function, however many gaps it had; adding one touches one bin.
struct GapHistogram: Sendable {
    /// A number as it stands here, so that making a histogram in another module needs nothing of this one.
    static let bins = 45

    /// The upper edges of the bins, in microseconds, from a second to three days; the last bin is open.
    static let edges: [Int64] = {
        var next = 1.0
        return (1..<bins).map { _ in
            defer { next *= 1.33 }
            return Int64(next * 1_000_000)
        }
    }()

    /// The edges in seconds.
    static let upper: [Float] = edges.map { Float($0) * 1e-6 }

    /// What the gaps of a bin are taken to be, in seconds: halfway between its edges.
    static let lengths: [Float] = (0..<bins).map { bin in
        let lower = bin == 0 ? 0 : Float(edges[bin - 1]) * 1e-6
        let upper = bin == edges.count ? lower * 1.33 : Float(edges[bin]) * 1e-6
        return (lower + upper) / 2
    }

    static func bin(of gap: TimeSpan) -> Int {
        var (low, high) = (0, Self.edges.count)
        while low < high {
            let middle = (low + high) / 2
            if gap.microseconds <= Self.edges[middle] { high = middle } else { low = middle + 1 }
        }
        return low
    }

    private(set) var counts: [Float]
    private(set) var sum: Float = 0
    /// Of the bins' places.
    private var places: Float = 0
    /// What the next gap weighs. It grows instead of all that was before being made less.
    private var weight: Float = 1
    /// What each gap weighs more than the one before.
    private let growth: Float

    /// - Parameters:
    ///   - bins: of an ordinary one ``bins``; more where bins are counted from another place.
    ///   - memory: the weights of all gaps sum up to as many as this of the newest.
    init(bins: Int = GapHistogram.bins, memory: Int) {
        self.counts = [Float](repeating: 0, count: bins)
        self.growth = Float(memory) / Float(memory - 1)
    }

    mutating func add(bin: Int) {
        if self.weight > 1e6 { self.rescale() }
        self.counts[bin] += self.weight
        self.sum += self.weight
        self.places += self.weight * Float(bin)
        self.weight *= self.growth
    }

    /// Gaps seen, what is long ago counted less.
    var count: Float { self.sum / self.weight * self.growth }

    /// The mean place of the gaps among the bins; the logarithm of their length, that is.
    var center: Float { self.sum > 0 ? self.places / self.sum : 0 }

    private mutating func rescale() {
        let factor = 1 / self.weight
        for bin in self.counts.indices { self.counts[bin] *= factor }
        self.sum *= factor
        self.places *= factor
        self.weight = 1
    }
}
