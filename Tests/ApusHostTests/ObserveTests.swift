import ApusCore
import ApusEngine
import Testing

@testable import ApusHost

@Suite struct AttemptTimingTests {
    private static func timing(
        arrived: Int64, dispatched: Int64, ended: Int64, started: Int64, ready: Int64, isWoken: Bool = false
    ) -> AttemptTiming {
        AttemptTiming(
            arrived: Timestamp(microseconds: arrived), dispatched: Timestamp(microseconds: dispatched),
            ended: Timestamp(microseconds: ended), started: Timestamp(microseconds: started),
            ready: Timestamp(microseconds: ready), isWoken: isWoken)
    }

    @Test func aWorkerThatWasThereCostsNoStart() {
        let timing = Self.timing(arrived: 100, dispatched: 130, ended: 230, started: 10, ready: 50)
        #expect(
            timing == AttemptTiming(queued: .microseconds(30), startTier: .ready, running: .microseconds(100)))
        let woken = Self.timing(arrived: 100, dispatched: 100, ended: 101, started: 1, ready: 2, isWoken: true)
        #expect(woken.startTier == .woken && woken.queued == .zero)
    }

    @Test func theStartCountsAsFarAsItWasWaitedFor() {
        let own = Self.timing(arrived: 100, dispatched: 170, ended: 200, started: 105, ready: 165)
        #expect(own.startTier == .cold && own.starting == .microseconds(60) && own.queued == .microseconds(10))
        let others = Self.timing(arrived: 100, dispatched: 170, ended: 200, started: 10, ready: 165)
        #expect(others.starting == .microseconds(65) && others.queued == .microseconds(5))
    }

    @Test func clocksThatDisagreeGiveNoNegativeTimes() {
        let timing = Self.timing(arrived: 200, dispatched: 150, ended: 140, started: 10, ready: 20)
        #expect(timing == AttemptTiming())
    }
}

@Suite struct DeliveryNotesTests {
    private static var state: FunctionState { FunctionState(function(1), triggers: []) }
    private static let failure = Failure(.functionFailed, "boom")

    private static func note(_ low: UInt64) -> DeliveryNote {
        DeliveryNote(function: Self.state, trigger: nil, invocation: InvocationID(high: 0, low: low))
    }

    private static func work(_ id: UInt64) -> Work { .request(RequestID(rawValue: id)) }

    @Test func theRingHoldsTheNewestAndNoMore() {
        var notes = DeliveryNotes()
        for id in 0..<UInt64(Limits.Host.notes + 5) { _ = notes.append(Self.note(id)) }
        var seen: [UInt64] = []
        notes.newestFirst {
            seen.append($0.invocation.low)
            return true
        }
        #expect(seen == (5..<UInt64(Limits.Host.notes + 5)).reversed())
    }

    @Test func successesAreNotedSoManyASecondAndSlowOnesToo() {
        var notes = DeliveryNotes()
        let now = Timestamp(microseconds: 50_000_000)
        let quick = AttemptTiming()
        let slow = AttemptTiming(queued: Limits.Host.slowDelivery)
        let taken = (0..<1_000).count { _ in notes.takesSuccess(quick, now: now) }
        #expect(taken == Limits.Host.notedSuccessesPerSecond)
        let others = [
            notes.takesSuccess(slow, now: now), notes.takesSuccess(quick, now: now + .milliseconds(999)),
            notes.takesSuccess(quick, now: now + .seconds(1)),
        ]
        #expect(others == [true, false, true])
        // A backlog that is worked through: all of it took long, and few look at more than some.
        let later = now + .seconds(5)
        let slowTaken = (0..<1_000).count { _ in notes.takesSuccess(slow, now: later) }
        #expect(slowTaken == Limits.Host.notedSlowPerSecond + Limits.Host.notedSuccessesPerSecond)
    }

    @Test func attemptsOfOneDeliveryStandTogetherAndTheLastAreKept() throws {
        var notes = DeliveryNotes()
        for number in 1...6 {
            var attempt = AttemptNote()
            attempt.number = number
            notes.failed(Self.work(1), Self.note(9), attempt, Self.failure)
        }
        let taken = notes.take(Self.work(1))
        let note = try #require(taken)
        #expect(note.attempts == 6 && note.lastAttempts.map(\.number) == [3, 4, 5, 6] && note.message == "boom")
        #expect(!notes.hasOpen)
    }

    @Test func whatWaitsForAnotherAttemptIsBounded() {
        var notes = DeliveryNotes()
        for id in 0..<UInt64(Limits.Host.openNotes + 10) {
            notes.failed(Self.work(id), Self.note(id), AttemptNote(), Self.failure)
        }
        #expect(notes.open.count == Limits.Host.openNotes)
    }

    @Test func aCommitFindsItsNoteUntilItHasLeftTheRing() {
        var notes = DeliveryNotes()
        let first = notes.append(Self.note(1))
        notes.committed(first, in: .milliseconds(3))
        var committing: TimeSpan?
        notes.newestFirst {
            committing = $0.committing
            return true
        }
        #expect(committing == .milliseconds(3))
        for id in 0..<UInt64(Limits.Host.notes) { _ = notes.append(Self.note(id)) }
        notes.committed(first, in: .milliseconds(9))
        notes.newestFirst {
            #expect($0.committing == nil)
            return true
        }
    }
}

@Suite(.timeLimit(.minutes(2))) struct RecentDeliveryTests {
    @Test func successesRetriesAndDeadLettersAreShownWithTheirAttempts() async throws {
        let bed = try await Bed()
        let (good, bad) = (try bed.topic("good"), try bed.topic("bad"))
        _ = try bed.topic("apus.dead")
        try await bed.deploy(function(1, triggers: [trigger(1, on: good)]))
        try await bed.deploy(function(2, ["fail"], triggers: [trigger(2, on: bad)]))
        try await bed.publish(good, [event("a")])
        try await bed.publish(bad, [event("b")])
        try await bed.until("both are decided") {
            bed.shard.deliveries(limit: 10) { $0.committing != nil }.count == 2
        }
        let found = await bed.run { bed.shard.deliveries(limit: 10) { _ in true } }
        let success = try #require(found.first { $0.function.name == "function-1" })
        #expect(success.state == .succeeded && success.attempts == 1 && success.lastAttempts.first?.code == nil)
        #expect(success.place == RecordPlace(TopicPartition(good, 0), 0) && success.arrivedAt > .zero)
        #expect(success.lastAttempts.first?.timing.startTier == .cold)
        let dead = try #require(found.first { $0.function.name == "function-2" })
        #expect(dead.state == .deadLettered && dead.attempts == 3 && dead.lastAttempts.map(\.number) == [1, 2, 3])
        #expect(!dead.message.isEmpty && dead.lastAttempts.allSatisfy { $0.code != nil })
        await bed.close()
    }

    @Test func aDirectInvocationIsShownAndItsFunctionCounted() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1))
        #expect(await bed.invoke(1, "x").text == "x")
        let found = await bed.run { bed.shard.deliveries(limit: 10) { _ in true } }
        #expect(found.count == 1 && found.first?.state == .succeeded && found.first?.trigger == nil)
        let activity = try #require(await bed.run { bed.shard.activity() }.first)
        #expect(activity.counts.succeeded == 1 && activity.counts.failed == 0)
        #expect(activity.counts.starting.count == 1 && activity.counts.running.count == 1)
        #expect(activity.seconds.reduce(0) { $0 + $1.succeeded } == 1)
        await bed.close()
    }

    @Test func oneThatPassesItsDeadlineIsShownAsFailed() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["slow", "500"], timeout: .milliseconds(50)))
        let answer = await bed.invoke(1, "x")
        #expect(answer.code == .deadlineExceeded)
        let found = await bed.run { bed.shard.deliveries(limit: 10) { $0.state == .failed } }
        #expect(found.count == 1 && found.first?.message.isEmpty == false)
        await bed.close()
    }
}
