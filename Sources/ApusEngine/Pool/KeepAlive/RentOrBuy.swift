public import ApusCore

/// For each function the stay that would have cost least over its last gaps, one for the device and one for the host's memory.
///
/// With a stay of k, a gap g costs min(g, k) of rent, and the wait for a start where g > k. Holding the device also spares the
/// host's memory, and a start from there is what a lost device costs; so the two stays do not depend on each other:
/// the device's weighs its price less the host's against the wake, the host's its price against what a cold start takes longer.
/// The sums of all candidates are kept up to date with each gap, so a decision reads a few numbers.
public struct RentOrBuy: KeepAlivePolicy {
    /// The gaps of a function that count.
    public static let window = 100
    /// Gaps before it is trusted; until then ``prior``.
    public static let trusted = 5

    /// Stays to choose from: about a third apart, so that the best of them costs at most a few percent more than the best of all.
    static let candidates: [Int64] = {
        var all: [Int64] = [0]
        var next = 1.0
        while next < 48 * 3_600 {
            all.append(Int64(next * 1_000_000))
            next *= 1.33
        }
        return all
    }()

    private struct History {
        /// Gaps in microseconds, the oldest overwritten first.
        var gaps: [Int64] = []
        var oldest = 0
        /// For each candidate, the rent in microseconds over the gaps, and how many of them outlast it.
        var rent = [Int64](repeating: 0, count: RentOrBuy.candidates.count)
        var misses = [Int32](repeating: 0, count: RentOrBuy.candidates.count)

        mutating func count(_ gap: Int64, _ sign: Int64) {
            for index in RentOrBuy.candidates.indices {
                let stay = RentOrBuy.candidates[index]
                self.rent[index] += sign * min(gap, stay)
                if gap > stay { self.misses[index] += Int32(sign) }
            }
        }

        mutating func add(_ gap: Int64) {
            self.count(gap, 1)
            guard self.gaps.count == RentOrBuy.window else { return self.gaps.append(gap) }
            self.count(self.gaps[self.oldest], -1)
            self.gaps[self.oldest] = gap
            self.oldest = (self.oldest + 1) % RentOrBuy.window
        }

        /// The cheapest stay; of equals the shortest.
        func best(rentPerSecond: Double, missSeconds: Double, waitingSecond: Double) -> Int64 {
            var best = 0
            var lowest = Double.infinity
            for index in RentOrBuy.candidates.indices {
                let rent = Double(self.rent[index]) * 1e-6 * rentPerSecond
                let cost = rent + Double(self.misses[index]) * missSeconds * waitingSecond
                if cost < lowest { (best, lowest) = (index, cost) }
            }
            return RentOrBuy.candidates[best]
        }
    }

    private var histories: [History] = []
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
        while self.histories.count <= function { self.histories.append(History()) }
        self.histories[function].add(max(0, gap.microseconds))
    }

    public mutating func keep(_ function: Int, _ view: KeepAliveView) -> KeepAlive {
        guard self.histories.indices.contains(function), self.histories[function].gaps.count >= Self.trusted else {
            return view.canSleep ? self.prior : KeepAlive(device: self.prior.device, host: self.prior.device)
        }
        let history = self.histories[function]
        let cold = Double(view.cold.microseconds) * 1e-6
        guard view.canSleep else {
            let stay = history.best(
                rentPerSecond: self.prices.deviceSecond, missSeconds: cold, waitingSecond: self.prices.waitingSecond)
            return KeepAlive(device: TimeSpan(microseconds: stay), host: TimeSpan(microseconds: stay))
        }
        let wake = Double(view.wake.microseconds) * 1e-6
        let device = history.best(
            rentPerSecond: max(0, self.prices.deviceSecond - self.prices.hostSecond), missSeconds: wake,
            waitingSecond: self.prices.waitingSecond)
        let host = history.best(
            rentPerSecond: self.prices.hostSecond, missSeconds: max(0, cold - wake),
            waitingSecond: self.prices.waitingSecond)
        return KeepAlive(device: TimeSpan(microseconds: device), host: TimeSpan(microseconds: host))
    }
}
