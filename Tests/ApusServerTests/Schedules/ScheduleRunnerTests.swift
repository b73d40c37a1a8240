import ApusCore
import ApusJSON
import ApusLog
import ApusLoop
import ApusManifest
import ApusStore
import ApusTelemetry
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

/// The runner on a real log and loop, by a clock that the test sets.
@Suite(.timeLimit(.minutes(2))) struct ScheduleRunnerTests {
    private final class Clock: Sendable {
        private let time = Mutex(ScheduleBed.noon)
        var now: Timestamp { self.time.withLock { $0 } }
        func set(_ time: Timestamp) { self.time.withLock { $0 = time } }
    }

    /// Appends invocations to a topic, in one transaction with what comes along; refuses when told to.
    private final class Accepting: InvocationAccepting {
        let log: any EventLog
        let topic: TopicName
        let refusal = Mutex<ApusError?>(nil)

        init(_ log: any EventLog, _ topic: TopicName) {
            self.log = log
            self.topic = topic
        }

        func accept(
            _ function: ResourceName, _ event: Event, principal: String, told: [Attribute], along: [LogBatch.Append],
            once: LogBatch.Once?, completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
        ) {
            if let refusal = self.refusal.withLock({ $0 }) { return completion(.failure(refusal)) }
            let append = LogBatch.Append(topic: self.topic, partition: 0, block: EventBlock.encode(event))
            let place = TopicPartition(self.topic, 0)
            self.log.submit(LogBatch(urgency: .producer, appends: [append] + along)) { result in
                completion(
                    result.map { receipt in
                        AcceptedInvocation(
                            id: InvocationID(high: 7, low: UInt64(receipt.places[0].offset)),
                            position: RecordPlace(place, receipt.places[0].offset))
                    })
            }
        }
    }

    private final class Bed: Sendable {
        let clock = Clock()
        let folder: ScratchDirectory
        let log: EmbeddedLog
        let loop = EventLoop()
        let accepting: Accepting
        let runner: ScheduleRunner
        let topic: TopicName

        init(_ folder: ScratchDirectory, at time: Timestamp, _ catalogue: Catalogue) throws {
            self.folder = folder
            self.clock.set(time)
            self.log = try EmbeddedLog(
                directory: folder.path, configuration: EmbeddedLogConfiguration()
            ) { SystemClock().now }
            self.topic = try #require(TopicName(.default, "invocations"))
            try self.log.createTopic(self.topic, TopicConfiguration())
            try self.log.createTopic(.schedule, TopicConfiguration(partitions: 1, isCompacted: true))
            self.accepting = Accepting(self.log, self.topic)
            let clock = self.clock
            self.runner = ScheduleRunner(
                loop: self.loop, log: self.log, accepting: self.accepting, zones: TimeZones(), journal: Log(),
                clock: { clock.now })
            try self.runner.start(catalogue)
        }

        func end() {
            self.runner.stop()
            self.log.close()
            self.loop.stop()
        }

        func advance(to time: Timestamp) {
            self.clock.set(time)
            let runner = self.runner
            self.loop.runAndWait { runner.tick() }
        }

        func snapshot() -> [ScheduleSnapshot] {
            let runner = self.runner
            return self.loop.runAndWait { runner.snapshot() ?? [] }
        }

        /// The ids of the invocations on the log.
        func ids() throws -> [String] {
            let place = TopicPartition(self.topic, 0)
            var ids: [String] = []
            _ = try self.log.read(place, from: 0, maxRecords: 10_000, maxBytes: .max) { _, block in
                if let event = try? EventBlock.decode(block.bytes) { ids.append(event["id"] ?? "") }
                return true
            }
            return ids
        }

        func until(_ count: Int64, location: Testing.SourceLocation = #_sourceLocation) throws {
            let isMet = waitUntil(seconds: 30) { self.snapshot().reduce(0) { $0 + $1.fired } >= count }
            try #require(isMet, "fired \(self.snapshot())", sourceLocation: location)
        }
    }

    private func catalogue(_ triggers: String, paused: Bool = false, generation: UInt64 = 1) throws -> Catalogue {
        let yaml = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: f}
            spec: {runtime: python3, handler: "main:handle", triggers: [\(triggers)]}
            """
        let manifest = try Manifest.parse(yaml, file: "f.yaml")[0]
        guard case .function(let function) = manifest else { throw ApusError(.internal, "no function") }
        var catalogue = Catalogue()
        _ = try catalogue.apply(
            ControlRecord(
                kind: .function, namespace: .default, name: "f", generation: generation, time: ScheduleBed.noon,
                content: .function(
                    FunctionDeployment(
                        manifest: manifest.toJSON(), revision: "r", bundle: "b", layer: nil, triggers: [],
                        schedules: function.scheduleTriggers.map {
                            ScheduleDeployment(name: $0.name, generation: generation, since: ScheduleBed.noon)
                        }, origin: 1))))
        return catalogue
    }

    @Test func firesAndGoesOnWhereItWasAfterARestart() throws {
        let folder = ScratchDirectory("schedules")
        let catalogue = try self.catalogue("{schedule: {cron: '*/5 * * * *', missed: all}}")
        let minute: (Int64) -> Timestamp = { ScheduleBed.noon + .seconds($0 * 60) }
        var bed = try Bed(folder, at: ScheduleBed.noon, catalogue)
        #expect(bed.snapshot().first?.next == minute(5))
        bed.advance(to: minute(5))
        try bed.until(1)
        bed.advance(to: minute(10))
        try bed.until(2)
        let last = try #require(bed.snapshot().first?.last)
        #expect(last.due == minute(10) && last.invocation == InvocationID(high: 7, low: 1))
        bed.end()
        // Down over two times.
        bed = try Bed(folder, at: minute(22), catalogue)
        try bed.until(4)
        bed.end()
        bed = try Bed(folder, at: minute(23), catalogue)
        #expect(bed.snapshot().first?.fired == 4 && bed.snapshot().first?.next == minute(25))
        #expect(bed.snapshot().first?.last?.invocation == InvocationID(high: 7, low: 3))
        #expect(try bed.ids() == ["05", "10", "15", "20"].map { "default/f/schedule/2026-07-28T12:\($0):00Z" })
        bed.end()
    }

    @Test func aFiringThatIsRefusedComesThroughLater() throws {
        let bed = try Bed(
            ScratchDirectory("schedules"), at: ScheduleBed.noon, try self.catalogue("{schedule: '*/5 * * * *'}"))
        bed.accepting.refusal.withLock { $0 = ApusError(.queueFull, "full") }
        bed.advance(to: ScheduleBed.noon + .seconds(300))
        let isTold = waitUntil(seconds: 30) { bed.snapshot().first?.problem == "queue_full" }
        #expect(isTold)
        bed.accepting.refusal.withLock { $0 = nil }
        bed.advance(to: ScheduleBed.noon + .seconds(302))
        try bed.until(1)
        #expect(bed.snapshot().first?.problem == nil)
        #expect(try bed.ids() == ["default/f/schedule/2026-07-28T12:05:00Z"])
        let runner = bed.runner
        let counters = bed.loop.runAndWait { runner.counters }
        #expect(counters == ScheduleMachine.Counters(fired: 1, skipped: 0, refused: 1))
        bed.end()
    }

    @Test func whatIsDeletedOrHasNoZoneDoesNotFire() throws {
        let catalogue = try self.catalogue(
            "{schedule: '* * * * *'}, {schedule: {cron: '* * * * *', zone: Nowhere/City}, name: lost}")
        let folder = ScratchDirectory("schedules")
        var bed = try Bed(folder, at: ScheduleBed.noon, catalogue)
        let rows = bed.snapshot().sorted { $0.key < $1.key }
        #expect(rows.map(\.key.trigger) == ["lost", "schedule"] && rows[0].problem?.contains("Nowhere/City") == true)
        bed.advance(to: ScheduleBed.noon + .seconds(60))
        try bed.until(1)
        bed.runner.apply([.functionRemoved(try #require(catalogue.functions.values.first))])
        let isGone = waitUntil(seconds: 30) { bed.snapshot().isEmpty }
        #expect(isGone)
        bed.advance(to: ScheduleBed.noon + .seconds(600))
        #expect(try bed.ids().count == 1)
        bed.end()
        // Its record is gone as well: the same name starts anew.
        bed = try Bed(folder, at: ScheduleBed.noon + .seconds(61), try self.catalogue("{schedule: '* * * * *'}"))
        try bed.until(1)
        #expect(bed.snapshot().first?.fired == 1)
        bed.end()
    }
}
