import ApusCore
import Testing

@testable import ApusEngine

struct KeepAliveTests {
    private static let view = KeepAliveView(wake: .seconds(3), cold: .seconds(47), bytes: 16 << 30, canSleep: true)

    @Test(arguments: [1e-9, 0.1, 0.5, 1, 1.4142, 2, 2.718281828, 10, 12345.678, 1e300])
    func logarithmAndExponentialUndoEachOther(_ value: Double) {
        let there = Logarithm.exponential(Logarithm.of(value))
        #expect(abs(there - value) <= 1e-9 * value)
    }

    @Test func theKnownLogarithms() {
        #expect(abs(Logarithm.of(2) - 0.693147180559945) < 1e-12)
        #expect(abs(Logarithm.of(10) - 2.302585092994046) < 1e-11)
        #expect(Logarithm.of(1) == 0 && Logarithm.exponential(0) == 1)
    }

    /// What it finds in bins costs little more than the best stay that a search over all gaps finds.
    @Test func rentOrBuyFindsAStayNearTheCheapest() {
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<50 {
            var policy = RentOrBuy()
            var gaps: [Int64] = []
            for _ in 0..<Int.random(in: 100...300, using: &generator) {
                let gap = Int64.random(in: 0...1 << Int64.random(in: 18...36, using: &generator), using: &generator)
                gaps.append(gap)
                policy.observe(gap: TimeSpan(microseconds: gap), of: 0)
            }
            let keep = policy.keep(0, Self.view)
            func cost(_ stay: Int64, rent: Double, miss: Double) -> Double {
                gaps.reduce(0) { sum, gap in
                    sum + Double(min(gap, stay)) * 1e-6 * rent + (gap > stay ? miss * policy.prices.waitingSecond : 0)
                }
            }
            let rent = policy.prices.deviceSecond - policy.prices.hostSecond
            let best = GapHistogram.edges.map { cost($0, rent: rent, miss: 3) }.min() ?? 0
            #expect(cost(keep.device.microseconds, rent: rent, miss: 3) <= 1.15 * best)
            #expect(keep.host >= keep.device)
        }
    }

    /// A function of five gaps has what the others' tails say of its own.
    @Test func aFunctionOfFewGapsBorrowsTheShapeOfTheOthers() {
        var policy = RentOrBuy()
        for function in 0..<20 {
            for round in 0..<100 { policy.observe(gap: .seconds(round % 10 == 9 ? 7_200 : 10), of: function) }
        }
        var alone = RentOrBuy()
        for _ in 0..<RentOrBuy.trusted {
            policy.observe(gap: .seconds(10), of: 20)
            alone.observe(gap: .seconds(10), of: 20)
        }
        #expect(policy.keep(20, Self.view).host > alone.keep(20, Self.view).host)
    }

    @Test func aHistogramCountsWhatIsLongAgoLess() {
        var histogram = GapHistogram(memory: 10)
        for _ in 0..<10_000 { histogram.add(bin: 3) }
        #expect(abs(histogram.count - 10) < 0.1 && abs(histogram.center - 3) < 0.01)
        for _ in 0..<100 { histogram.add(bin: 5) }
        #expect(abs(histogram.center - 5) < 0.01)
        #expect(GapHistogram.bin(of: .zero) == 0 && GapHistogram.bin(of: .seconds(1)) == 0)
        #expect(GapHistogram.bin(of: .seconds(1 << 40)) == GapHistogram.bins - 1)
    }

    @Test func withoutAHistoryThePriorHolds() {
        var policy = RentOrBuy()
        for _ in 0..<RentOrBuy.trusted - 1 { policy.observe(gap: .seconds(1), of: 3) }
        #expect(policy.keep(3, Self.view) == policy.prior)
        #expect(policy.keep(900, Self.view) == policy.prior)
        var rigid = Self.view
        rigid.canSleep = false
        #expect(policy.keep(3, rigid).host == policy.prior.device)
    }

    @Test func gapsThatAreLongerThanTheirWorthEndAtOnce() {
        var policy = RentOrBuy(prices: KeepAlivePrices(deviceSecond: 1, hostSecond: 0.5, waitingSecond: 1))
        for _ in 0..<100 { policy.observe(gap: .seconds(86_400), of: 0) }
        #expect(policy.keep(0, Self.view) == KeepAlive(device: .zero, host: .zero))
        for _ in 0..<100 { policy.observe(gap: .seconds(1), of: 0) }
        #expect(policy.keep(0, Self.view).device >= .seconds(1))
    }

    @Test func aRegularFunctionIsBroughtBackJustBeforeItsTime() {
        var policy = HistogramPolicy()
        for _ in 0..<50 { policy.observe(gap: .seconds(30 * 60 + 20), of: 0) }
        let keep = policy.keep(0, Self.view)
        #expect(keep.device == .zero)
        #expect(keep.prewarm == .seconds(27 * 60)..<TimeSpan(microseconds: 34_100_000 * 60))
    }

    @Test func aFewSamplesKeepItForTheWholeRange() {
        var policy = HistogramPolicy()
        for _ in 0..<9 { policy.observe(gap: .seconds(60), of: 0) }
        #expect(policy.keep(0, Self.view) == KeepAlive(device: .seconds(240 * 60), host: .seconds(240 * 60)))
    }

    @Test func gapsBeyondTheRangeAreForecast() throws {
        var policy = HistogramPolicy()
        for _ in 0..<20 { policy.observe(gap: .seconds(10 * 3_600), of: 0) }
        let window = try #require(policy.keep(0, Self.view).prewarm)
        #expect(window.contains(.seconds(10 * 3_600)))
        #expect(window.lowerBound > .seconds(8 * 3_600) && window.upperBound < .seconds(12 * 3_600))
    }

    @Test func theOracleTakesTheCheapestOfThree() {
        var oracle = Oracle(functions: 1, prices: KeepAlivePrices(deviceSecond: 1, hostSecond: 0.01, waitingSecond: 10))
        oracle.next[0] = .seconds(20)
        #expect(oracle.keep(0, Self.view).device > .seconds(20))
        oracle.next[0] = .seconds(3_600)
        let host = oracle.keep(0, Self.view)
        #expect(host.device == .zero && host.host > .seconds(3_600))
        oracle.next[0] = .seconds(100 * 3_600)
        #expect(oracle.keep(0, Self.view) == KeepAlive(device: .zero, host: .zero))
    }
}
