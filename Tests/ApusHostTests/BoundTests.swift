import ApusCore
import ApusEngine
@testable import ApusHost
import ApusLoop
import ApusTestSupport
import Glibc
import Synchronization
import Testing

/// What happens at bounds, with the time of the look given instead of waited for.
@Suite struct BoundTests {
    private func channel(_ bed: Bed) -> WorkerChannel? { bed.shard.channels.values.first }

    /// Looks after the only worker as if it were that much later.
    private func look(_ bed: Bed, after span: TimeSpan) async {
        await bed.run {
            guard let channel = bed.shard.channels.values.first else { return }
            bed.shard.look(after: channel, now: bed.shard.now + span)
        }
    }

    private func look(_ bed: Bed, at time: Timestamp) async {
        await bed.run {
            guard let channel = bed.shard.channels.values.first else { return }
            bed.shard.look(after: channel, now: time)
        }
    }

    @Test func anIdleWorkerThatAnswersItsPingLives() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1))
        #expect(await bed.invoke(1, "hello").text == "hello")
        await self.look(bed, after: Limits.Host.pingInterval + .milliseconds(1))
        try await bed.until("the answer") { self.channel(bed)?.machine.pingSentAt == nil }
        #expect(await bed.invoke(1, "hello").text == "hello")
        #expect(await bed.statistics().workersExited == 0)
        await bed.close()
    }

    @Test func anIdleWorkerThatDoesNotAnswerIsReplaced() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["deaf"]))
        #expect(await bed.invoke(1, "hello").text == "hello")
        await self.look(bed, after: Limits.Host.pingInterval + .milliseconds(1))
        let sent = try #require(await bed.run { self.channel(bed)?.machine.pingSentAt })
        await self.look(bed, at: sent + Limits.Host.pingTimeout)
        #expect(await bed.run { self.channel(bed)?.fatal == nil })
        await self.look(bed, at: sent + Limits.Host.pingTimeout + .microseconds(1))
        try await bed.until("its end") { bed.shard.statistics.workersExited == 1 }
        #expect(await bed.invoke(1, "hello").text == "hello")
        await bed.close()
    }

    @Test func aWorkerThatDoesNotSayThatItSleepsIsEnded() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1))
        #expect(await bed.invoke(1, "hello").text == "hello")
        let since = try #require(
            await bed.run { () -> Timestamp? in
                guard let channel = self.channel(bed), channel.machine.sleep(inFlight: 0) else { return nil }
                channel.hookSince = bed.shard.now
                return channel.hookSince
            })
        await self.look(bed, at: since + Limits.Host.hookTimeout)
        #expect(await bed.run { self.channel(bed)?.fatal == nil })
        // Asked in the turn of the look: it may be gone in the next.
        let code = await bed.run { () -> ErrorCode? in
            guard let channel = self.channel(bed) else { return nil }
            bed.shard.look(after: channel, now: since + Limits.Host.hookTimeout + .microseconds(1))
            return channel.fatal?.code
        }
        #expect(code == .workerCrashed)
        try await bed.until("its end") { bed.shard.statistics.workersExited == 1 }
        await bed.close()
    }

    @Test func aWorkersOutputIsReadUpToItsBoundInASecond() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1))
        #expect(await bed.invoke(1, "hello").text == "hello")
        await bed.run {
            guard let capture = self.channel(bed)?.captures.first else {
                Issue.record("no capture")
                return
            }
            let (now, most) = (Timestamp(milliseconds: 10_000), Limits.Host.captureBytesPerSecond)
            #expect(capture.account(most, now: now) && !capture.isPaused)
            #expect(!capture.account(1, now: now + .milliseconds(999)) && capture.isPaused)
            capture.resume()
            #expect(!capture.isPaused && capture.isWatching)
            // The next second has a bound of its own.
            #expect(capture.account(most, now: now + .seconds(1)) && !capture.isPaused)
        }
        await bed.close()
    }

    @Test func aFrameThatStaysIncompleteEndsItsWorker() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["drip"]))
        async let answer = bed.invoke(1, "bad")
        try await bed.until("a part of a frame") { self.channel(bed)?.partSince != nil }
        let since = try #require(await bed.run { self.channel(bed)?.partSince })
        await self.look(bed, at: since + Limits.Host.partialFrameTimeout)
        #expect(await bed.run { self.channel(bed)?.fatal == nil })
        await self.look(bed, at: since + Limits.Host.partialFrameTimeout + .microseconds(1))
        #expect(await answer.code == .protocolError)
        await bed.close()
    }

    @Test func aWorkerThatDoesNotReadIsEndedWhenTooMuchWaitsForIt() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["hang"]))
        async let answer = bed.invoke(1, "bad")
        try await bed.until("the attempt runs") { self.channel(bed)?.attempts.count == 1 }
        await bed.run {
            guard let channel = self.channel(bed) else { return }
            channel.output.append(Array(repeating: 0, count: Limits.Host.outputBufferBytes))
            bed.shard.flush(channel)
            #expect(channel.fatal == nil)
            channel.output.append(Array(repeating: 0, count: 4 << 20))
            bed.shard.flush(channel)
            #expect(channel.fatal?.code == .protocolError)
        }
        #expect(await answer.code == .protocolError)
        await bed.close()
    }

    @Test func aStopIsBoundedWhateverWorkersDo() async throws {
        let bed = try await Bed()
        try await bed.deploy(function(1, ["stay"]))
        try await bed.deploy(function(2, ["hang"]))
        #expect(await bed.invoke(1, "hello").text == "hello")
        async let hanging = bed.invoke(2, "bad")
        try await bed.until("both run") { bed.shard.instances().count == 2 && bed.shard.attemptsInFlight == 1 }
        await bed.close(within: .milliseconds(200))
        #expect(bed.shard.instances().isEmpty)
        #expect(await hanging.code != nil)
    }

    @Test func recordsThatCompactionTookAreSkipped() async throws {
        let clock = Bed.clock
        let log = FlakyLog { clock.now }
        let bed = try await Bed(log: log)
        let (input, output) = (try bed.topic("in", compact: true), try bed.topic("out"))
        log.beforeDispatch { places in
            guard places.contains(where: { $0.offset == 1 }) else { return }
            log.beforeDispatch { _ in }
            let newer = LogBatch.Append(topic: input, block: EventBlock.encode(event("new", key: "b")))
            log.submit(LogBatch(urgency: .producer, appends: [newer])) { _ in }
        }
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.publish(input, [event("first", key: "a"), event("old", key: "b")])
        try await bed.until("two replies") { bed.events(of: output).count == 2 }
        #expect(Set(bed.events(of: output).map(\.text)) == ["first", "new"])
        #expect(await bed.statistics().recordsGone == 1)
        await bed.close()
    }

    @Test func oldRecordsAreReadAheadOfTheLoop() async throws {
        let reads = Mutex(0)
        let clock = Bed.clock
        let bed = try await Bed(log: MemoryLog { clock.now }) { work in
            reads.withLock { $0 += 1 }
            Task.detached { work() }
            return true
        }
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        let count = Int(Limits.Host.recentRecords) + 500
        try await bed.publish(input, (0..<count).map { event("\($0)") })
        try await bed.deploy(function(1, concurrency: 8, triggers: [trigger(1, on: input, replyTo: output)]))
        try await bed.until("all replies", seconds: 60) { bed.shard.statistics.replies == UInt64(count) }
        try await bed.until("all replies are written") { bed.events(of: output).count == count }
        let ahead = reads.withLock { $0 }
        #expect(ahead > 0 && ahead <= 4)
        await bed.close()
    }

    /// Behaviour 13.
    @Test func outputsOfAWriteThatFailedAreWrittenOnceLater() async throws {
        let clock = Bed.clock
        let log = FlakyLog { clock.now }
        let bed = try await Bed(log: log)
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, triggers: [trigger(1, on: input, replyTo: output)]))
        log.fail(next: 2)
        try await bed.publish(input, (0..<20).map { event("\($0)", key: "\($0 % 3)") })
        try await bed.until("20 replies") { bed.events(of: output).count >= 20 }
        #expect(log.failuresLeft == 0)
        #expect(bed.events(of: output).map(\.text).sorted() == (0..<20).map { "\($0)" }.sorted())
        let statistics = await bed.statistics()
        #expect(statistics.commitsFailed == 2)
        #expect(statistics.dispatched == 20)
        await bed.close()
    }

    /// Behaviour 13.
    @Test func aLogThatRefusesEveryWriteStopsWorkAtItsBoundAndIsCounted() async throws {
        var engine = EngineConfiguration()
        engine.unsettledPerPartition = 8
        let clock = Bed.clock
        let log = FlakyLog { clock.now }
        let bed = try await Bed(log: log, engine: engine)
        let (input, output) = (try bed.topic("in"), try bed.topic("out"))
        try await bed.deploy(function(1, concurrency: 4, triggers: [trigger(1, on: input, replyTo: output)]))
        log.fail(next: .max)
        try await bed.publish(input, (0..<40).map { event("\($0)") })
        try await bed.until("the bound, and writes that fail") {
            bed.shard.statistics.dispatched == 8 && bed.shard.statistics.commitsFailed >= 3
        }
        #expect(bed.events(of: output).isEmpty)
        log.fail(next: 0)
        try await bed.until("all replies") { bed.events(of: output).count >= 40 }
        #expect(bed.events(of: output).map(\.text).sorted() == (0..<40).map { "\($0)" }.sorted())
        await bed.close()
    }

    @Test func aWorkerThatRefusesARecordOfItsTableFailsWithTableFailed() async throws {
        var engine = EngineConfiguration()
        engine.startBackoff = .milliseconds(1)
        let bed = try await Bed(engine: engine)
        let table = try bed.topic("settings", compact: true)
        try await bed.publish(table, [event("value", key: "key")])
        try await bed.deploy(function(1, ["fail"], triggers: [trigger(1, on: table, kind: .table)]))
        #expect(await bed.invoke(1, "hello").code == .tableFailed)
        await bed.close()
    }

    @Test func manySmallEventsOfManyPartitionsAllArrive() async throws {
        let bed = try await Bed()
        let (input, output) = (try bed.topic("in", partitions: 4), try bed.topic("out"))
        try await bed.deploy(
            function(1, concurrency: 16, scale: ScalePlan(max: 2), triggers: [trigger(1, on: input, replyTo: output)]))
        for start in stride(from: 0, to: 3_000, by: 300) {
            try await bed.publish(input, (start..<start + 300).map { event("\($0)", key: "\($0 % 97)") })
        }
        try await bed.until("3000 replies", seconds: 60) { bed.shard.statistics.replies == 3_000 }
        try await bed.until("all are written") { bed.events(of: output).count == 3_000 }
        #expect(Set(bed.events(of: output).compactMap { Int($0.text) }).count == 3_000)
        await bed.close()
    }
}

private func + (left: TimeSpan, right: TimeSpan) -> TimeSpan {
    TimeSpan(microseconds: left.microseconds + right.microseconds)
}
private func - (left: TimeSpan, right: TimeSpan) -> TimeSpan {
    TimeSpan(microseconds: left.microseconds - right.microseconds)
}
