import ApusCore
import ApusLoop
import ApusManifest
import ApusStore
import ApusTelemetry
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

/// Schedules of several nodes on one log: only the one that decides fires.
@Suite(.timeLimit(.minutes(2))) struct SharedScheduleTests {
    private final class Clock: Sendable {
        private let time = Mutex(ScheduleBed.noon)
        var now: Timestamp { self.time.withLock { $0 } }
        func set(_ time: Timestamp) { self.time.withLock { $0 = time } }
    }

    /// A node's runner; what it fires is written as the owner that it was when it began.
    private final class Node: InvocationAccepting {
        let cluster: MemoryCluster
        let topic: TopicName
        let loop = EventLoop()
        private let term = Mutex<OwnedCommands?>(nil)
        private let runnerSlot = Mutex<ScheduleRunner?>(nil)

        init(_ number: Int, _ cluster: MemoryCluster, _ topic: TopicName, _ catalogue: Catalogue, _ clock: Clock) {
            self.cluster = cluster
            self.topic = topic
            let runner = ScheduleRunner(
                loop: self.loop, log: cluster.log, accepting: self, zones: TimeZones(), journal: Log(level: .error),
                clock: { clock.now })
            runner.bind { [unowned self] batch, completion in self.submit(batch, completion) }
            self.runnerSlot.withLock { $0 = runner }
            cluster.join(number) { [unowned self] change in
                switch change {
                case .gained(let term):
                    self.term.withLock { $0 = term }
                    #expect(throws: Never.self) { try runner.start(catalogue) }
                case .lost: runner.pause()
                }
            }
        }

        var runner: ScheduleRunner {
            guard let runner = self.runnerSlot.withLock({ $0 }) else { preconditionFailure("it was stopped") }
            return runner
        }

        private func submit(
            _ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
        ) {
            let term = self.term.withLock { $0 } ?? OwnedCommands(partition: 0, term: .max)
            self.cluster.submit(batch, as: term, completion)
        }

        func accept(
            _ function: ResourceName, _ event: Event, principal: String, told: [Attribute], along: [LogBatch.Append],
            once: LogBatch.Once?, completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
        ) {
            let append = LogBatch.Append(topic: self.topic, partition: 0, block: EventBlock.encode(event))
            let place = TopicPartition(self.topic, 0)
            self.submit(LogBatch(urgency: .producer, appends: [append] + along)) { result in
                completion(
                    result.map { receipt in
                        let offset = receipt.places[0].offset
                        return AcceptedInvocation(
                            id: InvocationID(high: 7, low: UInt64(offset)), position: RecordPlace(place, offset))
                    })
            }
        }

        /// Looks at the clock, and lets what it fired be answered.
        func tick() {
            let runner = self.runner
            for _ in 0..<3 { self.loop.runAndWait { runner.tick() } }
        }

        func stop() {
            self.runner.stop()
            self.loop.stop()
            self.runnerSlot.withLock { $0 = nil }
        }
    }

    private static func catalogue() throws -> Catalogue {
        let yaml = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: f}
            spec: {runtime: python3, handler: "main:handle", triggers: [{schedule: {cron: '*/5 * * * *', missed: all}}]}
            """
        let manifest = try Manifest.parse(yaml, file: "f.yaml")[0]
        guard case .function(let function) = manifest else { throw ApusError(.internal, "no function") }
        var catalogue = Catalogue()
        _ = try catalogue.apply(
            ControlRecord(
                kind: .function, namespace: .default, name: "f", generation: 1, time: ScheduleBed.noon,
                content: .function(
                    FunctionDeployment(
                        manifest: manifest.toJSON(), revision: "r", bundle: "b", layer: nil, triggers: [],
                        schedules: function.scheduleTriggers.map {
                            ScheduleDeployment(name: $0.name, generation: 1, since: ScheduleBed.noon)
                        }, origin: 1))))
        return catalogue
    }

    @Test(arguments: 0..<12) func aTakeOverNeitherSkipsNorDoubles(seed: Int) throws {
        var random = SeededGenerator(seed: UInt64(seed))
        let cluster = try MemoryCluster.make()
        let topic = try #require(TopicName(.default, "invocations"))
        try cluster.log.createTopic(topic, TopicConfiguration())
        let clock = Clock()
        let catalogue = try Self.catalogue()
        let nodes = (0..<3).map { Node($0, cluster, topic, catalogue, clock) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0)
        let steps: Int64 = 40
        for step in 1...steps {
            clock.set(ScheduleBed.noon + .seconds(step * 300))
            switch Int.random(in: 0..<5, using: &random) {
            // A former owner that hears nothing goes on trying, in vain.
            case 0: cluster.move(to: Int.random(in: 0..<3, using: &random), isTold: Bool.random(using: &random))
            case 1: cluster.fail(.refuses)
            case 2:
                cluster.fail(.losesTheOwner)
                for node in nodes { node.tick() }
                cluster.move(to: Int.random(in: 0..<3, using: &random), isTold: false)
            default: break
            }
            for node in nodes { node.tick() }
        }
        cluster.move(to: 1)
        let expected = (1...steps).map { ScheduleBed.noon + .seconds($0 * 300) }
        let isDone = waitUntil(seconds: 20) {
            nodes[1].tick()
            return (try? Self.times(cluster, topic).count).map { $0 >= expected.count } ?? false
        }
        #expect(isDone, "seed \(seed)")
        #expect(try Self.times(cluster, topic).sorted() == expected.map { RFC3339.format($0) }.sorted(), "seed \(seed)")
    }

    /// The times that the invocations on the log stand for.
    private static func times(_ cluster: MemoryCluster, _ topic: TopicName) throws -> [String] {
        var times: [String] = []
        _ = try cluster.log.read(TopicPartition(topic, 0), from: 0, maxRecords: 10_000, maxBytes: .max) { _, block in
            if let event = try? EventBlock.decode(block.bytes) { times.append(event["scheduledtime"] ?? "") }
            return true
        }
        return times
    }
}
