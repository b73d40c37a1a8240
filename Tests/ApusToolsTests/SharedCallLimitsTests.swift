import ApusCore
import ApusTools
import Testing

/// Bounds of callers that ask several servers, which hear of each other with a delay.
@Suite struct SharedCallLimitsTests {
    private static let start = Timestamp(milliseconds: 1_800_000_000_000)

    /// Servers that tell each other every 250 ms what they let a caller do; it takes 100 ms until the others have it.
    private struct Servers {
        var limits: [CallLimits]
        private var underWay: [(at: Timestamp, from: Int, name: String, count: CallCount)] = []

        init(_ count: Int) { self.limits = (0..<count).map { _ in CallLimits() } }

        mutating func tell(now: Timestamp) {
            for index in self.limits.indices {
                for (name, count) in self.limits[index].news(now: now, isShared: true, max: 100) {
                    self.underWay.append((now + .milliseconds(100), index, name, count))
                }
            }
        }

        mutating func deliver(now: Timestamp) {
            for message in self.underWay where message.at <= now {
                for index in self.limits.indices where index != message.from {
                    self.limits[index].heard(message.name, from: "node-\(message.from)", message.count, now: now)
                }
            }
            self.underWay.removeAll { $0.at <= now }
        }
    }

    @Test(arguments: [2, 4], [600, 6_000] as [Int64])
    func aRateHoldsOnAllOfThemTogether(count: Int, perMinute: Int64) {
        var servers = Servers(count)
        let bounds = CallBounds(callsPerMinute: perMinute)
        var admitted: Int64 = 0
        // Twice the rate for a minute, evenly over the servers.
        let step = 30_000_000 / perMinute
        for index in 0..<(60_000_000 / step) {
            let now = Self.start + TimeSpan(microseconds: index * step)
            if (index * step) % 250_000 < step { servers.tell(now: now) }
            servers.deliver(now: now)
            let server = Int(index) % count
            if servers.limits[server].begin("a", bounds, now: now) == .admitted {
                admitted += 1
                servers.limits[server].end("a")
            }
        }
        // A minute's worth, and a second's for each server that may be ahead before it heard of the others.
        let ahead = Int64(count) * max(1, perMinute / 60)
        #expect((perMinute * 95 / 100...perMinute + ahead + perMinute * 5 / 100).contains(admitted), "\(admitted)")
    }

    @Test func whoKeepsItsBoundIsNotRefusedWhicheverServerItAsks() {
        var servers = Servers(2)
        for index in 0..<1_000 as Range<Int64> {
            let now = Self.start + .milliseconds(index * 100)
            if index % 3 == 0 { servers.tell(now: now) }
            servers.deliver(now: now)
            let verdict = servers.limits[Int(index) % 2].begin("a", CallBounds(callsPerMinute: 600), now: now)
            #expect(verdict == .admitted, "\(index)")
            servers.limits[Int(index) % 2].end("a")
        }
    }

    @Test func aDaysCallsCountEverywhereAndWhatRunsDoesTooUntilNobodySaysSo() {
        var servers = Servers(2)
        let bounds = CallBounds(concurrent: 3, callsPerDay: 5)
        func begin(_ server: Int, _ seconds: Int64) -> CallLimits.Verdict {
            servers.limits[server].begin("a", bounds, now: Self.start + .seconds(seconds))
        }
        func pass(_ seconds: Int64) {
            servers.tell(now: Self.start + .seconds(seconds))
            servers.deliver(now: Self.start + .seconds(seconds + 1))
        }
        #expect(begin(0, 0) == .admitted && begin(0, 0) == .admitted && begin(1, 0) == .admitted)
        pass(1)
        guard case .refused(let refusal) = begin(1, 2) else { return #expect(Bool(false), "a fourth runs") }
        #expect(refusal.bound == .concurrent && refusal.limit == 3)
        // It is said again as long as they run; the first server's calls end.
        pass(8)
        if case .admitted = begin(1, 20) { #expect(Bool(false), "what runs is forgotten") }
        servers.limits[0].end("a")
        servers.limits[0].end("a")
        pass(21)
        #expect(begin(1, 23) == .admitted)
        pass(24)
        #expect(begin(0, 26) == .admitted, "five today")
        pass(27)
        guard case .refused(let last) = begin(1, 29) else { return #expect(Bool(false), "a sixth today") }
        #expect(last.bound == .callsPerDay)
        // The first server is gone without a word: what it ran no longer counts, what it did today does.
        servers.limits[1].end("a")
        let tight = CallBounds(concurrent: 2, callsPerDay: 100)
        #expect(servers.limits[1].begin("a", tight, now: Self.start + .seconds(60)) == .admitted)
    }

    @Test func aRestartForgetsNoCallsOfTheDayAndAllThatRan() {
        var before = CallLimits()
        let bounds = CallBounds(concurrent: 2, callsPerDay: 3)
        for _ in 0..<2 { #expect(before.begin("a", bounds, now: Self.start) == .admitted) }
        let news = before.news(now: Self.start, isShared: false, max: 10)
        #expect(news.map(\.name) == ["a"] && news.first?.count.today == 2)
        var after = CallLimits()
        for (name, count) in news { after.restore(name, of: nil, count, now: Self.start) }
        #expect(after.begin("a", bounds, now: Self.start) == .admitted)
        guard case .refused(let refusal) = after.begin("a", bounds, now: Self.start) else {
            return #expect(Bool(false), "a fourth today")
        }
        #expect(refusal.bound == .callsPerDay)
        // The next day begins with none, and yesterday's can be forgotten.
        let tomorrow = Self.start + .seconds(86_400)
        #expect(after.outdated(now: Self.start).isEmpty)
        after.end("a")
        #expect(after.outdated(now: tomorrow) == ["a"])
        #expect(after.begin("a", bounds, now: tomorrow) == .admitted)
    }

    @Test func aBudgetIsOneForAllServersAndOutlivesARestart() {
        var servers = Servers(2)
        let bounds = CallBounds(budgetPerDay: Money(1))
        #expect(servers.limits[0].begin("a", bounds, now: Self.start) == .admitted)
        servers.limits[0].end("a")
        // A task of it may run where it never called.
        servers.limits[1].charge("a", Money(billionths: 400_000_000), now: Self.start)
        servers.limits[0].charge("a", Money(billionths: 600_000_000), now: Self.start)
        #expect(servers.limits[0].begin("a", bounds, now: Self.start) == .admitted, "not heard yet")
        servers.limits[0].end("a")
        servers.tell(now: Self.start)
        servers.deliver(now: Self.start + .seconds(1))
        for server in 0..<2 {
            guard case .refused(let refusal) = servers.limits[server].begin("a", bounds, now: Self.start + .seconds(1)) else {
                return #expect(Bool(false), "server \(server)")
            }
            #expect(refusal.bound == .budgetPerDay)
        }
        // One that begins anew, of what it and the other said.
        var alone = CallLimits()
        #expect(alone.begin("a", bounds, now: Self.start) == .admitted)
        alone.charge("a", Money(1) ?? .zero, now: Self.start)
        alone.end("a")
        var after = CallLimits()
        for (name, count) in alone.news(now: Self.start, isShared: false, max: 10) {
            after.restore(name, of: nil, count, now: Self.start)
        }
        #expect(after.begin("a", bounds, now: Self.start) != .admitted)
    }

    @Test func onlyWhatIsNewIsSaidAndNotMoreThanIsAskedFor() {
        var limits = CallLimits()
        for index in 0..<10 {
            #expect(limits.begin("c\(index)", CallBounds(callsPerDay: 5), now: Self.start) == .admitted)
        }
        // Of a caller without bounds nobody needs to know.
        #expect(limits.begin("free", CallBounds(), now: Self.start) == .admitted)
        // A rate is of the moment: it matters to other servers alone.
        #expect(limits.begin("paced", CallBounds(callsPerMinute: 60), now: Self.start) == .admitted)
        let first = limits.news(now: Self.start, isShared: false, max: 4).map(\.name)
        let rest = limits.news(now: Self.start, isShared: false, max: 100).map(\.name)
        #expect(first.count == 4 && Set(first + rest).count == 10 && !rest.contains("paced"))
        #expect(limits.news(now: Self.start, isShared: false, max: 100).isEmpty)
        limits.untold(["c3"])
        #expect(limits.news(now: Self.start, isShared: false, max: 100).map(\.name) == ["c3"])
    }

    @Test func callersThatOthersSpeakOfAreBoundedToo() {
        var limits = CallLimits(callersMax: 2)
        let count = CallCount(day: Self.start.milliseconds / 86_400_000, today: 9, running: 0)
        #expect(limits.begin("a", CallBounds(concurrent: 1), now: Self.start) == .admitted)
        #expect(limits.begin("b", CallBounds(concurrent: 1), now: Self.start) == .admitted)
        limits.heard("c", from: "node-1", count, now: Self.start)
        // Both places are taken by callers that run: what was heard of a third is not kept.
        limits.end("a")
        #expect(limits.begin("c", CallBounds(callsPerDay: 9), now: Self.start) == .admitted)
    }
}
