import ApusCore
import ApusLog
import ApusTestSupport
import Testing

/// The contract of the event log, unchanged, on a real Kafka.
@Suite(.enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason))) struct KafkaContractTests {
    @Test(arguments: EventLogContract.all)
    func kafkaLogKeeps(_ promise: EventLogContract.Promise) throws {
        let kafka = try KafkaFixture()
        let make: @Sendable (ManualClock) throws -> any EventLog = { clock in
            try KafkaLog(kafka.configuration) { clock.now }
        }
        defer { kafka.deleteTopics() }
        try promise.check(
            EventLogContract.Factory(tombstoneTime: .seconds(3_600), make: make) { log, clock in
                log.close()
                return try make(clock)
            })
    }
}
