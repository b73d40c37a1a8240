import ApusCore
import ApusTools
import Testing

@Suite struct CallLimitsTests {
    private static let start = Timestamp(milliseconds: 1_800_000_000_000)

    @Test(arguments: [60, 600, 6_000] as [Int64]) func overTenSecondsAtTwiceTheLoadTheBoundHolds(perMinute: Int64) {
        var limits = CallLimits()
        let bounds = CallBounds(callsPerMinute: perMinute)
        var admitted: Int64 = 0
        let step = 30_000_000 / perMinute
        for index in 0..<(10_000_000 / step) {
            let now = Self.start + TimeSpan(microseconds: index * step)
            if limits.begin("a", bounds, now: now) == .admitted {
                admitted += 1
                limits.end("a")
            }
        }
        // Ten seconds' worth, and the second that may be ahead.
        #expect((perMinute / 6...perMinute / 6 + max(1, perMinute / 60)).contains(admitted))
    }

    @Test func whoKeepsItsBoundIsNeverRefused() {
        var limits = CallLimits()
        for index in 0..<1_000 as Range<Int64> {
            let verdict = limits.begin(
                "a", CallBounds(callsPerMinute: 120), now: Self.start + .milliseconds(index * 500))
            #expect(verdict == .admitted)
        }
    }

    @Test func aRefusalSaysWhenItIsWorthTryingAgain() {
        var limits = CallLimits()
        let bounds = CallBounds(callsPerMinute: 60)
        let first = limits.begin("a", bounds, now: Self.start)
        #expect(first == .admitted)
        guard case .refused(let refusal) = limits.begin("a", bounds, now: Self.start + .milliseconds(100)) else {
            Issue.record("admitted at once")
            return
        }
        #expect(refusal.bound == .callsPerMinute && refusal.retryAfter == .milliseconds(900))
        let again = limits.begin("a", bounds, now: Self.start + .milliseconds(100) + refusal.retryAfter)
        #expect(again == .admitted)
        let other = limits.begin("b", bounds, now: Self.start)
        #expect(other == .admitted, "callers do not wait for one another")
    }

    @Test func soManyRunAtOnceAndNoMore() {
        var limits = CallLimits()
        let bounds = CallBounds(concurrent: 2)
        let verdicts = (0..<3).map { _ in limits.begin("a", bounds, now: Self.start) }
        #expect(verdicts[..<2] == [.admitted, .admitted])
        #expect(verdicts[2] == .refused(.init(bound: .concurrent, limit: 2, retryAfter: .seconds(1))))
        limits.end("a")
        let next = limits.begin("a", bounds, now: Self.start)
        #expect(next == .admitted)
        for _ in 0..<9 { limits.end("a") }
        let all = (0..<3).map { _ in limits.begin("a", bounds, now: Self.start) }
        #expect(all[..<2] == [.admitted, .admitted] && all[2] != .admitted)
    }

    @Test func aDayEndsAtMidnight() {
        var limits = CallLimits()
        let bounds = CallBounds(callsPerDay: 1)
        let midnight = Timestamp(milliseconds: 86_400_000 * 20_000)
        let first = limits.begin("a", bounds, now: midnight + .seconds(-60))
        #expect(first == .admitted)
        let second = limits.begin("a", bounds, now: midnight + .seconds(-10))
        #expect(second == .refused(.init(bound: .callsPerDay, limit: 1, retryAfter: .seconds(10))))
        let next = limits.begin("a", bounds, now: midnight)
        #expect(next == .admitted)
    }

    @Test func aBudgetIsUsedUpByWhatCallsCost() {
        var limits = CallLimits()
        let bounds = CallBounds(budgetPerDay: Money(2.5))
        let midnight = Timestamp(milliseconds: 86_400_000 * 20_000)
        let evening = midnight + .seconds(-60)
        func begin(_ now: Timestamp) -> CallLimits.Verdict {
            defer { limits.end("a") }
            return limits.begin("a", bounds, now: now)
        }
        #expect(begin(evening) == .admitted)
        limits.charge("a", Money(billionths: 2_499_999_999), now: evening)
        #expect(begin(evening) == .admitted, "there is a billionth left")
        limits.charge("b", Money(billionths: 9_000_000_000), now: evening)
        #expect(begin(evening) == .admitted, "another one's calls")
        // The last call may cost more than is left.
        limits.charge("a", Money(billionths: 1_000_000_000), now: evening)
        let refusal = CallLimits.Refusal(bound: .budgetPerDay, limit: 2_500_000_000, retryAfter: .seconds(10))
        #expect(begin(midnight + .seconds(-10)) == .refused(refusal))
        #expect(begin(midnight) == .admitted, "another day")
        // What ran into the next day is of that day.
        limits.charge("a", Money(billionths: 2_500_000_000), now: midnight)
        #expect(begin(midnight) != .admitted)
    }

    @Test func moneyIsExactAndReadsAsItIsWritten() {
        for (amount, text) in [(2.5, "2.5"), (0.000000001, "0.000000001"), (1_000_000_000, "1000000000"), (0, "0"), (10.05, "10.05")] {
            #expect(Money(amount)?.text == text)
        }
        for amount in [-0.1, 1_000_000_001, .infinity, .nan] { #expect(Money(amount) == nil, "\(amount)") }
        #expect(Money(billionths: .max) + Money(billionths: 1) == Money(billionths: .max))
    }

    @Test func callersAreBoundedAndThoseThatRunAreKept() {
        var limits = CallLimits(callersMax: 4)
        let bounds = CallBounds(concurrent: 1)
        let first = limits.begin("runs", bounds, now: Self.start)
        #expect(first == .admitted)
        for index in 0..<100 {
            let verdict = limits.begin("x\(index)", bounds, now: Self.start)
            #expect(verdict == .admitted)
            limits.end("x\(index)")
        }
        let again = limits.begin("runs", bounds, now: Self.start)
        #expect(again != .admitted)
    }

    @Test func theTighterBoundCounts() {
        let one = CallBounds(callsPerMinute: 60, concurrent: nil, callsPerDay: 5)
        let other = CallBounds(callsPerMinute: 30, concurrent: 2, callsPerDay: 9)
        #expect(one.with(other) == CallBounds(callsPerMinute: 30, concurrent: 2, callsPerDay: 5))
        let (small, large) = (CallBounds(budgetPerDay: Money(1)), CallBounds(concurrent: 1, budgetPerDay: Money(2)))
        #expect(large.with(small) == CallBounds(concurrent: 1, budgetPerDay: Money(1)))
    }
}
