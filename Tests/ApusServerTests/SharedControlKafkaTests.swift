import ApusCore
import ApusLoop
import ApusManifest
import ApusStore
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusLog
@testable import ApusServer

/// Control writes of several nodes on a real Kafka.
@Suite(.serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)))
struct SharedControlKafkaTests {
    /// Nodes on one cluster, with topics that nobody else sees.
    final class Site {
        let configuration: KafkaLogConfiguration
        let seal: RecordSeal
        private(set) var logs: [KafkaLog] = []
        private(set) var nodes: [SharedNode] = []

        init() throws {
            var configuration = KafkaLogConfiguration(bootstrap: try KafkaBroker.bootstrap())
            let name = "c\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
            configuration.cluster = name
            configuration.topicPrefix = "\(name)."
            self.configuration = configuration
            self.seal = RecordSeal(try SharedControlTests.keys("ab"))
        }

        /// A node that begins now.
        func add(prepare: (Control, any EventLog) -> Void = { _, _ in }) throws -> SharedNode {
            var configuration = self.configuration
            configuration.sharing = KafkaLogConfiguration.Sharing(
                node: "node-\(self.logs.count)", sessionMilliseconds: 6_000)
            let clock = SystemClock()
            let log = try KafkaLog(configuration) { clock.now }
            self.logs.append(log)
            for topic in [TopicName.control, .schedule] {
                try log.createTopic(topic, TopicConfiguration(partitions: 1, isCompacted: true))
            }
            for topic in [TopicName.commands, .answers] {
                try log.createTopic(
                    topic,
                    TopicConfiguration(
                        partitions: Limits.ControlCommands.partitions, retentionTime: Limits.ControlCommands.kept))
            }
            let node = try SharedNode(
                log, try log.commandOwnership(), seal: self.seal, deadline: .seconds(60), prepare: prepare)
            self.nodes.append(node)
            return node
        }

        /// Ends a node without a word to the others.
        func stop(_ index: Int) {
            self.nodes[index].stop()
            self.logs[index].close()
        }

        func end(stopped: Set<Int> = []) {
            for index in self.nodes.indices where !stopped.contains(index) { self.stop(index) }
            guard let client = try? KafkaClient(self.configuration, .admin, name: "cleaner"),
                let topics = try? client.partitions()
            else { return }
            for topic in topics.keys where topic.hasPrefix(self.configuration.topicPrefix) {
                try? KafkaAdmin(client: client).delete(topic)
            }
        }

        func produce(_ topic: String, key: String, value: [UInt8]?) throws {
            let producer = try KafkaProducer(self.configuration, transactionalID: nil)
            producer.begin(1)
            producer.produce(
                0, key: Array(key.utf8), value: value, topic: self.configuration.topicPrefix + topic, partition: 0,
                Timestamp(milliseconds: 1_700_000_000_000))
            producer.finish()
            #expect(producer.failure(0) == nil)
        }
    }

    @Test func aDeployOnOneNodeIsSeenByTheOtherAndConflictsAreDecidedOnce() throws {
        let site = try Site()
        defer { site.end() }
        let (first, second) = (try site.add(), try site.add())
        let done = try first.deploy(SharedControlTests.topic + SharedControlTests.function("embed"))
        #expect(done.outcomes.map(\.action) == [.created, .created])
        let place = try #require(done.position)
        #expect(waitUntil(seconds: 20) { second.control.followed.load(ordering: .acquiring) > place.offset })
        #expect(second.control.catalogue.functions.count == 1)
        #expect(second.log.topic(try #require(TopicName(.default, "documents"))) != nil)
        for round in 0..<3 {
            let codes = SharedControlTests.race([first, second], round: round)
            #expect(codes == [.conflict], "round \(round)")
        }
    }

    @Test func anotherNodeGoesOnDecidingAndKnowsWhatWasAnswered() throws {
        let site = try Site()
        let first = try site.add()
        _ = try first.deploy(SharedControlTests.topic)
        let second = try site.add()
        _ = try second.deploy(SharedControlTests.function("a"))
        site.stop(0)
        defer { site.end(stopped: [0]) }
        // The first left without a word: the group gives its partitions away when its session is over.
        let done = try second.deploy(SharedControlTests.function("b"))
        #expect(done.outcomes.map(\.action) == [.created])
        #expect(second.control.catalogue.functions.count == 2)
        #expect(second.control.deciding.withLock { $0 } != nil)
    }

    @Test func whatSomebodyElseWritesIsIgnoredAndTheValidRecordComesAgain() throws {
        let site = try Site()
        defer { site.end() }
        let node = try site.add()
        _ = try node.deploy(SharedControlTests.topic + SharedControlTests.function("embed"))
        try site.produce("apus.control", key: "Function/default/embed", value: nil)
        let sealed = try #require(node.log as? SealedLog)
        #expect(waitUntil(seconds: 20) { sealed.ignored.unsealed == 1 })
        #expect(waitUntil(seconds: 20) { node.control.counters.repaired.load(ordering: .relaxed) == 1 })
        let name = try #require(ResourceName(.default, "embed"))
        #expect(node.control.catalogue.functions[name]?.generation == 1)
        // Whoever starts now has it, and a server without the key does not start at all.
        let late = try site.add()
        #expect(late.control.catalogue.functions[name]?.generation == 1)
    }
}
