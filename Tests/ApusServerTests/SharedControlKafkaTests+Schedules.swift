import ApusCore
import ApusLoop
import ApusStore
import ApusTelemetry
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusLog
@testable import ApusServer

/// Schedules of several nodes on a real Kafka, by a clock that the test sets.
extension SharedControlKafkaTests {
    private final class Clock: Sendable {
        private let time = Mutex(Timestamp.zero)
        var now: Timestamp { self.time.withLock { $0 } }
        func set(_ time: Timestamp) { self.time.withLock { $0 = time } }
    }

    /// A node's schedules, bound as a server binds them; what fires is written by whoever decides, to one queue.
    private final class Firing: InvocationAccepting {
        static let queue = TopicName(onLog: "fired")
        private let loop = EventLoop()
        private let runnerSlot = Mutex<ScheduleRunner?>(nil)
        private let control = Mutex<Control?>(nil)

        init(_ control: Control, _ log: any EventLog, _ clock: Clock) {
            self.control.withLock { $0 = control }
            let runner = ScheduleRunner(
                loop: self.loop, log: log, accepting: self, zones: TimeZones(), journal: Log(level: .error),
                clock: { clock.now })
            runner.bind { [weak control] batch, completion in control?.submitDecided(batch, completion) }
            self.runnerSlot.withLock { $0 = runner }
            control.onDeciding.withLock {
                $0 = { catalogue in
                    guard let catalogue else { return runner.pause() }
                    #expect(throws: Never.self) { try runner.start(catalogue) }
                }
            }
        }

        private var runner: ScheduleRunner? { self.runnerSlot.withLock { $0 } }

        func accept(
            _ function: ResourceName, _ event: Event, principal: String, told: [Attribute], along: [LogBatch.Append],
            once: LogBatch.Once?, completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
        ) {
            guard let queue = Self.queue, let control = self.control.withLock({ $0 }) else { return }
            let append = LogBatch.Append(topic: queue, partition: 0, block: EventBlock.encode(event))
            control.submitDecided(LogBatch(urgency: .producer, appends: [append] + along)) { result in
                completion(
                    result.map { receipt in
                        let place = RecordPlace(TopicPartition(queue, 0), receipt.places[0].offset)
                        return AcceptedInvocation(id: InvocationID(high: 7, low: UInt64(place.offset)), position: place)
                    })
            }
        }

        /// Looks at the clock.
        func tick() {
            guard let runner = self.runner else { return }
            self.loop.runAndWait { runner.tick() }
        }

        func apply(_ changes: [Catalogue.Change]) { self.runner?.apply(changes) }

        func stop() {
            self.runner?.stop()
            self.loop.stop()
            self.runnerSlot.withLock { $0 = nil }
            self.control.withLock { $0 = nil }
        }
    }

    /// The times that fired, as everybody reads them who reads what is committed.
    private static func times(_ log: any EventLog) throws -> [String] {
        let place = TopicPartition(try #require(Firing.queue), 0)
        let (end, start) = try (log.bounds(of: place).end, log.bounds(of: place).start)
        var times: [String] = []
        _ = try log.readAll(place, from: start, to: end, maxRecords: 1_000, maxBytes: .max) { _, block in
            if let event = try? EventBlock.decode(block.bytes) { times.append(event["scheduledtime"] ?? "") }
            return true
        }
        return times
    }

    private static let scheduled = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: clock}
        spec:
          runtime: python3
          handler: "main:f"
          source: .
          triggers: [{schedule: {cron: "*/5 * * * *", missed: all}}]
        """

    /// A firing and how far its schedule has come are one transaction of who decides: an owner that is deposed while it fires, and one that
    /// is gone from one moment to the next, leave no time out and have none fire twice.
    @Test func eachTimeFiresOnceThoughItsOwnersAreDeposedAndGone() throws {
        let site = try Site()
        var gone: Set<Int> = []
        defer { site.end(stopped: gone) }
        let clock = Clock()
        clock.set(SystemClock().now)
        var firings: [Firing] = []
        for _ in 0..<2 {
            _ = try site.add { control, log in firings.append(Firing(control, log, clock)) }
        }
        let nodes = site.nodes
        try site.logs[0].createTopic(try #require(Firing.queue), TopicConfiguration(partitions: 1))
        site.logs[1].lookForTopics()
        #expect(waitUntil(seconds: 30) { nodes.contains { $0.control.deciding.withLock { $0 } != nil } })
        _ = try nodes[0].deploy(Self.scheduled)
        let name = try #require(ResourceName(.default, "clock"))
        #expect(waitUntil(seconds: 20) { nodes.allSatisfy { $0.control.catalogue.functions[name] != nil } })
        let deployed = try #require(nodes[0].control.catalogue.functions[name])
        for firing in firings { firing.apply([.functionApplied(deployed, previous: nil)]) }
        let since = try #require(deployed.schedules.first).deployment.since
        let step: Int64 = 300_000_000
        let first = (since.microseconds / step + 1) * step
        var due: [String] = []
        func pass() {
            let time = Timestamp(microseconds: first + Int64(due.count) * step)
            due.append(RFC3339.format(time))
            clock.set(time)
            for firing in firings { firing.tick() }
        }
        func allFired(by log: any EventLog) -> Bool {
            let late = clock.now + .seconds(120)
            return waitUntil(seconds: 40) {
                // What was refused is tried again after a while of that clock.
                clock.set(min(clock.now + .seconds(1), late))
                for firing in firings { firing.tick() }
                return (try? Self.times(log).count).map { $0 >= due.count } ?? false
            }
        }
        pass()
        #expect(allFired(by: nodes[0].log))
        // Another takes its transactional id, before, within and behind its transactions.
        let depose = { @Sendable [configuration = site.configuration] in
            let id = KafkaSharing.transactionalID(configuration, Share(KafkaCommands.workClass, 0))
            let intruder = KafkaTransactions(configuration, id: id)
            #expect(throws: Never.self) { try intruder.takeOver() }
        }
        for round in 0..<4 {
            if round % 2 == 0 {
                let thread = try LogThread { depose() }
                for _ in 0..<3 { pass() }
                thread.join()
            } else {
                depose()
                pass()
            }
            #expect(allFired(by: nodes[0].log), "round \(round)")
        }
        // The one that decides is gone with what it had begun: it waits for no answer, and says no farewell.
        let owner = try #require(nodes.firstIndex { $0.control.deciding.withLock { $0 } != nil })
        pass()
        site.logs[owner].end(within: .milliseconds(1))
        firings.remove(at: owner).stop()
        site.stop(owner)
        gone = [owner]
        for _ in 0..<3 { pass() }
        let left = nodes[1 - owner]
        #expect(allFired(by: left.log))
        pass()
        #expect(allFired(by: left.log))
        #expect(try Self.times(left.log).sorted() == due.sorted())
        for firing in firings { firing.stop() }
    }
}
