import ApusCore
import ApusTestSupport
import Glibc

@testable import ApusLog

/// Logs on a real Kafka that do not see each other: each has topics with a prefix of its own, deleted when the test is over.
struct KafkaFixture {
    let configuration: KafkaLogConfiguration

    init(_ change: (inout KafkaLogConfiguration) -> Void = { _ in }) throws {
        var configuration = KafkaLogConfiguration(bootstrap: try KafkaBroker.bootstrap())
        let name = "t\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        configuration.cluster = name
        configuration.topicPrefix = "\(name)."
        configuration.maintenanceInterval = .milliseconds(20)
        configuration.tombstoneTime = .seconds(3_600)
        change(&configuration)
        self.configuration = configuration
    }

    /// Leaves the broker as it was.
    func deleteTopics() {
        guard let client = try? KafkaClient(self.configuration, .admin, name: "cleaner"),
            let topics = try? client.partitions()
        else { return }
        for topic in topics.keys where topic.hasPrefix(self.configuration.topicPrefix) {
            try? KafkaAdmin(client: client).delete(topic)
        }
    }

    func open(_ clock: ManualClock = ManualClock()) throws -> KafkaLog {
        try KafkaLog(self.configuration) { clock.now }
    }
}
