public import ApusCore

/// For each function the stay that would have cost least over its gaps, one for the device and one for the host's memory.
///
/// With a stay of k, a gap g costs min(g, k) of rent, and the wait for a start where g > k. Holding the device also spares the
/// host's memory, and a start from there is what a lost device costs; so the two stays do not depend on each other:
/// the device's weighs its price less the host's against the wake, the host's its price against what a cold start takes longer.
///
/// A few gaps say little of their tail, so a function borrows the shape that the gaps of all functions have around their own
/// middle, moved to its own; the more gaps of its own it has, the less that counts.
public struct RentOrBuy: KeepAlivePolicy {
    /// Gaps of a function that count: the weights of older ones fade.
    public static let memory = 1_000
    /// Gaps that the shape of all functions is made of.
    public static let sharedMemory = 10_000
    /// How many gaps of its own the borrowed shape is worth.
    public static let borrowed: Float = 20
    /// Gaps before a function is trusted; until then ``prior``.
    public static let trusted = 5

    private var histories: [GapHistogram] = []
    /// The bins of all gaps, from the middle of their function's on.
    private var shape = GapHistogram(bins: 2 * GapHistogram.bins, memory: RentOrBuy.sharedMemory)
    public let prices: KeepAlivePrices
    /// What a function without a history gets.
    public let prior: KeepAlive

    public init(
        prices: KeepAlivePrices = KeepAlivePrices(),
        prior: KeepAlive = KeepAlive(device: .seconds(60), host: .seconds(4 * 3_600))
    ) {
        self.prices = prices
        self.prior = prior
    }

    public mutating func observe(gap: TimeSpan, of function: Int) {
        while self.histories.count <= function { self.histories.append(GapHistogram(memory: Self.memory)) }
        let bin = GapHistogram.bin(of: gap)
        self.histories[function].add(bin: bin)
        guard self.isTrusted(function) else { return }
        self.shape.add(bin: bin + GapHistogram.bins - Int(self.histories[function].center.rounded()))
    }

    private func isTrusted(_ function: Int) -> Bool {
        self.histories.indices.contains(function)
            && Int(self.histories[function].count.rounded()) >= Self.trusted
    }

    public mutating func keep(_ function: Int, _ view: KeepAliveView) -> KeepAlive {
        guard self.isTrusted(function) else {
            return view.canSleep ? self.prior : KeepAlive(device: self.prior.device, host: self.prior.device)
        }
        let (wake, cold) = (Self.seconds(view.wake), Self.seconds(view.cold))
        guard view.canSleep else {
            var device = Search(rent: self.prices.deviceSecond, miss: cold * self.prices.waitingSecond)
            var nothing = Search(rent: 0, miss: 0)
            self.search(self.histories[function], &device, &nothing)
            return KeepAlive(device: device.stay, host: device.stay)
        }
        let spared = max(0, self.prices.deviceSecond - self.prices.hostSecond)
        var device = Search(rent: spared, miss: wake * self.prices.waitingSecond)
        var host = Search(rent: self.prices.hostSecond, miss: max(0, cold - wake) * self.prices.waitingSecond)
        self.search(self.histories[function], &device, &host)
        return KeepAlive(device: device.stay, host: host.stay)
    }

    /// Goes through the bins once, for both tiers: the function's own gaps and the borrowed ones together.
    private func search(_ history: GapHistogram, _ device: inout Search, _ host: inout Search) {
        let scale = history.count / history.sum
        let share = self.shape.sum > 0 ? Self.borrowed / self.shape.sum : 0
        let start = GapHistogram.bins - Int(history.center.rounded())
        var left: Float = 0
        for bin in 0..<GapHistogram.bins {
            left += history.counts[bin] * scale + self.shape.counts[start + bin] * share
        }
        device.begin(left)
        host.begin(left)
        var held: Float = 0
        for bin in 0..<GapHistogram.edges.count {
            let gaps = history.counts[bin] * scale + self.shape.counts[start + bin] * share
            held += gaps * GapHistogram.lengths[bin]
            left = max(0, left - gaps)
            let edge = GapHistogram.upper[bin]
            device.look(bin, rented: held + left * edge, left: left)
            host.look(bin, rented: held + left * edge, left: left)
        }
    }

    /// The stay, one of the bins' edges or none at all, that costs least; of equals the shortest.
    private struct Search {
        /// What a second costs, and a gap that outlasts the stay.
        let rent: Float
        let miss: Float
        private var best = -1
        private var lowest: Float = 0

        init(rent: Double, miss: Double) {
            self.rent = Float(rent)
            self.miss = Float(miss)
        }

        mutating func begin(_ gaps: Float) { self.lowest = gaps * self.miss }

        mutating func look(_ bin: Int, rented: Float, left: Float) {
            let cost = rented * self.rent + left * self.miss
            if cost < self.lowest { (self.best, self.lowest) = (bin, cost) }
        }

        var stay: TimeSpan { self.best < 0 ? .zero : TimeSpan(microseconds: GapHistogram.edges[self.best]) }
    }

    private static func seconds(_ span: TimeSpan) -> Double { Double(span.microseconds) * 1e-6 }
}
