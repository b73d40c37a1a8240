import ApusCore
import ApusManifest
import ApusTestSupport
import Testing

@testable import ApusServer

@Suite struct ScheduleMachineTests {
    private let hour = TimeSpan.seconds(3_600)

    @Test func everyTimeFiresOnceAndInOrder() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan())
        bed.pass(self.hour)
        #expect(bed.minutes == Array(stride(from: 5, through: 60, by: 5)))
        #expect(bed.fired.allSatisfy { $0.missed == 0 } && bed.machine.counters.fired == 12)
        // The record says what came last and what comes next.
        let record = try #require(bed.records[ScheduleBed.key("f")])
        #expect(record.last?.due == ScheduleBed.noon + self.hour && record.last?.invocation != nil)
        #expect(record.next == ScheduleBed.noon + self.hour + .seconds(300))
    }

    @Test func whatIsDueAtTheMomentOfItsDeployIsNotItsOwn() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan(since: ScheduleBed.noon))
        bed.pass(.zero)
        #expect(bed.fired.isEmpty)
    }

    // MARK: missed times

    @Test(arguments: [(ScheduleTriggerManifest.Missed.skip, [] as [Int64]), (.once, [20]), (.all, [5, 10, 15, 20])])
    func timesMissedWhileTheServerWasDownAreTheTriggersToDecide(
        missed: ScheduleTriggerManifest.Missed, expected: [Int64]
    ) throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan("f", "*/5 * * * *", missed))
        bed.now = ScheduleBed.noon + .seconds(22 * 60)
        bed.kill()
        #expect(bed.minutes == expected)
        #expect(bed.fired.last?.missed ?? 0 == (missed == .once ? 3 : 0))
        let skipped: Int64 = missed == .all ? 0 : missed == .once ? 3 : 4
        let record = bed.records[try ScheduleBed.key("f")]
        #expect(bed.machine.counters.skipped == skipped && record?.skipped == skipped)
        // Once is enough: the next restart finds nothing missed.
        bed.kill()
        #expect(bed.minutes == expected && bed.machine.counters.skipped == 0)
        bed.pass(.seconds(180))
        #expect(bed.minutes == expected + [25])
    }

    @Test(arguments: [(Int64(0), true), (Int64(1), false)])
    func aFiringIsMissedOnceItIsLaterThanTheGrace(more: Int64, isFired: Bool) throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan("f", "*/5 * * * *", .skip))
        bed.jump(TimeSpan(microseconds: 300_000_000 + Limits.Schedules.grace.microseconds + more))
        #expect(bed.fired.count == (isFired ? 1 : 0))
        #expect(bed.machine.counters.skipped == (isFired ? 0 : 1))
    }

    @Test func allAreMadeUpForUpToABoundAndTheRestIsCounted() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan("f", "* * * * *", .all))
        bed.jump(TimeSpan.seconds(Int64(Limits.Schedules.madeUp) * 60 + 600))
        #expect(bed.minutes == Array(1...Int64(Limits.Schedules.madeUp)) + [Int64(Limits.Schedules.madeUp) + 10])
        #expect(bed.other == [.skipped(try ScheduleBed.key("f"), count: 9, isMore: false)])
        #expect(bed.machine.counters.skipped == 9)
        // Made up for is counted in a row: a firing in time begins a new one.
        bed.pass(.seconds(60))
        bed.jump(.seconds(180))
        #expect(
            bed.minutes.suffix(3) == [
                Int64(Limits.Schedules.madeUp) + 12, Int64(Limits.Schedules.madeUp) + 13,
                Int64(Limits.Schedules.madeUp) + 14,
            ])
        // The bound holds across restarts.
        bed.fate = { _ in .heldDurable }
        for _ in 0..<2 * Limits.Schedules.madeUp {
            bed.jump(.seconds(3_600))
            bed.kill()
        }
        let record = bed.records[try ScheduleBed.key("f")]
        #expect(record?.madeUp ?? 0 <= Limits.Schedules.madeUp)
    }

    @Test func aYearOfMinutesIsSkippedWithoutCountingEachOfThem() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan("f", "* * * * *", .skip))
        bed.jump(TimeSpan.seconds(365 * 86_400))
        #expect(bed.other == [.skipped(try ScheduleBed.key("f"), count: Limits.Schedules.counted, isMore: true)])
        bed.pass(.seconds(60))
        #expect(bed.minutes.last == Int64(365 * 1_440 + 1))
    }

    // MARK: refusals

    @Test func aRefusedFiringIsTriedAgainLaterAndLaterAndNeverLost() throws {
        var bed = ScheduleBed()
        var tries: [Int64] = []
        bed.fate = { _ in .held }
        bed.apply(try ScheduleBed.plan("f", "0 * * * *", .skip))
        bed.pass(self.hour)
        for _ in 0..<9 {
            let firing = try bed.takeHeld()
            #expect(firing.due == ScheduleBed.noon + self.hour)
            let before = bed.now
            bed.report(firing, isAccepted: false)
            let wake = try #require(bed.machine.nextWake)
            tries.append((wake - before).microseconds / 1_000_000)
            bed.pass(wake - before)
        }
        #expect(tries == [1, 2, 4, 8, 16, 32, 60, 60, 60])
        // Decided in time, so that it is no missed one, however late it gets through.
        bed.report(try bed.takeHeld(), isAccepted: true)
        #expect(
            bed.machine.counters.refused == 9 && bed.machine.counters.fired == 1 && bed.machine.counters.skipped == 0)
        bed.fate = { _ in .accepted }
        bed.pass(self.hour)
        #expect(bed.minutes == [120])
    }

    @Test func noMoreAreUnderWayThanTheBoundAndAllGetTheirTurn() throws {
        var bed = ScheduleBed()
        bed.fate = { _ in .held }
        let count = Limits.Schedules.inFlight + 50
        for index in 0..<count { bed.apply(try ScheduleBed.plan("f\(index)", "0 13 * * *")) }
        bed.pass(self.hour)
        #expect(bed.held.count == Limits.Schedules.inFlight && bed.machine.underWay == Limits.Schedules.inFlight)
        var done: Set<ScheduleKey> = []
        while let firing = bed.held.popLast() {
            done.insert(firing.key)
            bed.report(firing, isAccepted: true)
            #expect(bed.machine.underWay <= Limits.Schedules.inFlight)
        }
        #expect(done.count == count && bed.machine.counters.fired == Int64(count))
    }

    // MARK: pauses and deploys

    @Test(arguments: [(ScheduleTriggerManifest.Missed.skip, 0), (.once, 1), (.all, 12)])
    func whatAPauseMissedIsTheTriggersToDecide(missed: ScheduleTriggerManifest.Missed, count: Int) throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan("f", "*/5 * * * *", missed, isPaused: true))
        bed.pass(.seconds(3_660))
        #expect(bed.fired.isEmpty && bed.machine.nextWake == nil)
        bed.kill()
        #expect(bed.fired.isEmpty)
        bed.apply(try ScheduleBed.plan("f", "*/5 * * * *", missed))
        #expect(bed.fired.count == count)
    }

    @Test func aFiringThatAPauseMeetsOnItsWayIsNotLost() throws {
        for isAccepted in [true, false] {
            var bed = ScheduleBed()
            bed.fate = { _ in .held }
            bed.apply(try ScheduleBed.plan())
            bed.pass(.seconds(300))
            bed.apply(try ScheduleBed.plan(isPaused: true))
            bed.report(try bed.takeHeld(), isAccepted: isAccepted)
            bed.pass(self.hour)
            #expect(bed.held.isEmpty)
            bed.apply(try ScheduleBed.plan())
            let firing = try bed.takeHeld()
            // Of the hour's times, the one that was accepted is not missed.
            #expect(firing.missed == (isAccepted ? 11 : 12) && bed.held.isEmpty)
        }
    }

    @Test func aChangedScheduleStartsAnewAndAChangedPolicyGoesOn() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan())
        bed.pass(.seconds(600))
        bed.apply(try ScheduleBed.plan("f", "*/5 * * * *", .all))
        bed.pass(.seconds(300))
        #expect(bed.minutes == [5, 10, 15])
        bed.apply(try ScheduleBed.plan("f", "*/20 * * * *", .all, generation: 2, since: bed.now))
        bed.kill()
        bed.pass(.seconds(300))
        let record = bed.records[try ScheduleBed.key("f")]
        #expect(bed.minutes == [5, 10, 15, 20] && record?.generation == 2)
    }

    @Test func anAnswerToAFiringOfAnOlderGenerationChangesNothing() throws {
        var bed = ScheduleBed()
        bed.fate = { _ in .heldDurable }
        bed.apply(try ScheduleBed.plan())
        bed.pass(.seconds(300))
        bed.apply(try ScheduleBed.plan("f", "*/20 * * * *", generation: 2, since: bed.now))
        bed.report(try bed.takeHeld(), isAccepted: true)
        bed.pass(.seconds(900))
        #expect(bed.minutes == [5, 20] && bed.machine.underWay == 1)
        // Nor does its record, which came after the newer one was made.
        bed.records[try ScheduleBed.key("f")]?.generation = 1
        bed.fate = { _ in .accepted }
        bed.kill()
        #expect(bed.minutes.last == 20)
    }

    @Test func whatIsGoneIsForgotten() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan("a"))
        bed.apply(try ScheduleBed.plan("b", "0 0 1 1 *"))
        bed.pass(.seconds(300))
        try bed.remove("a")
        // It never fired, so that there is no record of it.
        try bed.remove("b")
        let a = try ScheduleBed.key("a")
        #expect(bed.other == [.forget(a)] && bed.records.isEmpty)
        bed.pass(self.hour)
        #expect(bed.fired.count == 1)
    }

    @Test func recordsOfTriggersThatAreNoLongerDeployedAreRemovedAtTheStart() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan("a"))
        bed.apply(try ScheduleBed.plan("b"))
        bed.pass(.seconds(300))
        bed.plans.removeFirst()
        bed.kill()
        let a = try ScheduleBed.key("a")
        #expect(bed.other == [.forget(a)] && bed.records.count == 1)
        var machine = ScheduleMachine()
        machine.restore(try #require(bed.records[ScheduleBed.key("b")]))
        // Its zone cannot be read just now: how far it came is kept.
        #expect(machine.finishRestoring(keeping: [try ScheduleBed.key("b")]).isEmpty)
    }

    // MARK: the clock

    @Test func aClockThatIsSetBackALittleFiresNothingTwice() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan())
        bed.pass(self.hour)
        bed.jump(TimeSpan(microseconds: -2 * 3_600_000_000))
        bed.pass(.seconds(2 * 3_600 + 300))
        #expect(bed.minutes == Array(stride(from: 5, through: 65, by: 5)) && bed.other.isEmpty)
    }

    @Test func aClockThatWasFarAheadStartsAnewFromNow() throws {
        var bed = ScheduleBed(now: ScheduleBed.noon + .seconds(10 * 365 * 86_400))
        bed.apply(try ScheduleBed.plan("f", "*/5 * * * *", .once, since: bed.now))
        bed.pass(.seconds(300))
        #expect(bed.fired.count == 1)
        for isRestarted in [true, false] {
            var bed = bed
            let ahead = bed.now
            if isRestarted {
                bed.now = ScheduleBed.noon
                bed.kill()
            } else {
                bed.jump(TimeSpan(microseconds: ScheduleBed.noon.microseconds - ahead.microseconds))
            }
            #expect(bed.other == [.clockWentBack(try ScheduleBed.key("f"))])
            bed.pass(.seconds(300))
            #expect(bed.minutes.last == 5)
        }
    }

    @Test func aRefusedFiringWaitsNoLongerForAClockThatWasSetBack() throws {
        var bed = ScheduleBed()
        bed.fate = { _ in .refused }
        bed.apply(try ScheduleBed.plan())
        bed.pass(.seconds(300))
        bed.jump(TimeSpan(microseconds: -3_600_000_000))
        bed.fate = { _ in .accepted }
        bed.pass(Limits.Schedules.retryMax)
        #expect(bed.minutes == [5])
    }

    // MARK: many, and kills at any point

    @Test(arguments: 0..<24)
    func killedAtAnyPointEveryTimeFiresExactlyOnce(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        var bed = ScheduleBed()
        let lines = ["* * * * *", "*/5 * * * *", "7,23 * * * *", "0 * * * *", "30 12-14 * * *"]
        var plans: [SchedulePlan] = []
        for index in 0..<100 {
            plans.append(try ScheduleBed.plan("f\(index)", lines[index % lines.count], .all))
        }
        for plan in plans { bed.apply(plan) }
        bed.fate = { _ in
            switch Int.random(in: 0..<10, using: &random) {
            case 0: .refused
            case 1: .held
            case 2: .heldDurable
            default: .accepted
            }
        }
        for _ in 0..<200 {
            switch Int.random(in: 0..<8, using: &random) {
            case 0: bed.kill()
            case 1: bed.jump(TimeSpan(microseconds: -Int64.random(in: 0..<600_000_000, using: &random)))
            case 2: bed.jump(TimeSpan(microseconds: Int64.random(in: 0..<600_000_000, using: &random)))
            case 3:
                // Those not reported: durable ones were written, the others not.
                for firing in bed.held.shuffled(using: &random) {
                    let isDurable = bed.fired.contains {
                        $0.ticket == firing.ticket && $0.key == firing.key && $0.due == firing.due
                    }
                    bed.report(firing, isAccepted: isDurable)
                }
                bed.held = []
            default: bed.pass(TimeSpan(microseconds: Int64.random(in: 0..<120_000_000, using: &random)))
            }
        }
        // The end: everything gets through.
        bed.fate = { _ in .accepted }
        bed.kill()
        bed.pass(.seconds(3 * 3_600))
        let fired = Dictionary(grouping: bed.fired, by: \.key).mapValues { $0.map(\.due) }
        var whole = 0
        for plan in plans {
            var expected: [Timestamp] = []
            var next = plan.clock.next(after: plan.since)
            while let time = next, time <= bed.now {
                expected.append(time)
                next = plan.clock.next(after: time)
            }
            let found = fired[plan.key] ?? []
            // A long row of misfortunes may end in times left out, which are counted; no time fires twice or out of
            // order.
            let skipped = Int(bed.records[plan.key]?.skipped ?? 0)
            #expect(found.count == expected.count - skipped, "seed \(seed), \(plan.key), \(plan.clock.cron)")
            #expect(zip(found, found.dropFirst()).allSatisfy { $0 < $1 } && Set(found).isSubset(of: expected))
            if skipped == 0 { whole += 1 }
        }
        #expect(whole >= 80)
    }

    @Test func thousandsOfSchedulesFireAtMidnightAndCostNothingBetween() throws {
        var bed = ScheduleBed()
        for index in 0..<5_000 { bed.apply(try ScheduleBed.plan("f\(index)", "0 0 * * *")) }
        #expect(bed.machine.nextWake == ScheduleBed.noon + .seconds(12 * 3_600))
        bed.pass(.seconds(13 * 3_600))
        #expect(bed.fired.count == 5_000 && Set(bed.fired.map(\.key)).count == 5_000)
        #expect(bed.machine.nextWake == ScheduleBed.noon + .seconds(36 * 3_600))
    }

    @Test func deployingAgainAndAgainKeepsTheHeapSmall() throws {
        var bed = ScheduleBed()
        for generation in 1...UInt64(Limits.Schedules.staleWakes * 4) {
            bed.apply(try ScheduleBed.plan("f", "0 0 1 1 *", generation: generation))
            #expect(bed.machine.wakeCount <= 2 + Limits.Schedules.staleWakes + 1)
        }
    }

    @Test func aRecordGoesThroughItsBytesAndWhatIsNoneIsRefused() throws {
        var state = ScheduleState(key: try ScheduleBed.key("f"), generation: 7, position: ScheduleBed.noon)
        #expect(ScheduleState(state.event) == state)
        state.next = ScheduleBed.noon + .seconds(60)
        state.last = ScheduleState.Last(
            due: ScheduleBed.noon, fired: ScheduleBed.noon + .seconds(1), invocation: InvocationID(high: 1, low: 2))
        (state.madeUp, state.fired, state.skipped) = (3, 4, 5)
        #expect(ScheduleState(state.event) == state)
        for key in ["a/b", "a/b/c/d", "A/b/c", "a//c", ""] {
            var event = state.event
            event.key = Array(key.utf8)
            #expect(ScheduleState(event) == nil, "\(key)")
        }
        var event = state.event
        event.data = Array("{\"format\":2}".utf8)
        #expect(ScheduleState(event) == nil)
    }

    @Test func theEventSaysWhichTimeItStandsFor() throws {
        var bed = ScheduleBed()
        bed.apply(try ScheduleBed.plan())
        bed.jump(.seconds(1_200))
        let firing = try #require(bed.fired.first)
        let event = firing.event(now: bed.now)
        #expect(event["id"] == "default/f/schedule/2026-07-28T12:20:00Z" && event["type"] == "dev.apus.schedule")
        #expect(
            event["source"] == "/apus/schedules/default/f/schedule" && event["scheduledtime"] == "2026-07-28T12:20:00Z")
        #expect(event["trigger"] == "schedule" && event["missed"] == "3")
        #expect(text(event.data) == #"{"scheduledTime":"2026-07-28T12:20:00Z","trigger":"schedule","missed":3}"#)
        #expect(throws: Never.self) { try EventBlock.check(event) }
    }
}
