import ApusCore
import ApusTestSupport
import Glibc
import Testing

@testable import ApusLog

/// The same promises on a real Kafka.
@Suite(.enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason))) struct KafkaKeyTests {
    private func with(_ body: (KeyPromises, _ folder: String) throws -> Void) throws {
        let scratch = ScratchDirectory("keys")
        let kafka = try KafkaFixture { $0.keysFolder = scratch.path }
        defer { kafka.deleteTopics() }
        try body(
            KeyPromises { clock, keys in
                var configuration = kafka.configuration
                configuration.keys = keys
                return try KafkaLog(configuration) { clock.now }
            }, scratch.path)
    }

    @Test func keysAreKnownUntilTheirTimeIsOverAlsoAfterARestart() throws {
        try self.with { promises, _ in try promises.keysAreKnownUntilTheirTimeIsOverAlsoAfterARestart() }
    }

    @Test func aKeyThatIsWrittenAgainIsKeptLonger() throws {
        try self.with { promises, _ in try promises.aKeyThatIsWrittenAgainIsKeptLonger() }
    }

    @Test func ofTooManyTheOldestAreForgottenInBoundedSteps() throws {
        try self.with { promises, _ in try promises.ofTooManyTheOldestAreForgottenInBoundedSteps() }
    }

    @Test func keysTakeEffectWithTheirBatchOrNotAtAll() throws {
        try self.with { promises, _ in try promises.keysTakeEffectWithTheirBatchOrNotAtAll() }
    }

    @Test func repetitionsThatComeTogetherTakeEffectOnce() throws {
        try self.with { promises, _ in try promises.repetitionsThatComeTogetherTakeEffectOnce() }
    }

    @Test func whatIsRefusedMayBeTriedAgainUnderItsKey() throws {
        try self.with { promises, _ in try promises.whatIsRefusedMayBeTriedAgainUnderItsKey() }
    }

    @Test func whatStandsBesideAKeyIsBounded() throws {
        try self.with { promises, _ in try promises.whatStandsBesideAKeyIsBounded() }
    }

    @Test func aBatchTakesEffectOnce() throws {
        try self.with { promises, _ in
            let clock = ManualClock()
            let log = try promises.open(clock, 1_000)
            defer { log.close() }
            try promises.aBatchTakesEffectOnce(log, clock)
        }
    }

    /// The file is a cache: without it the answers are read from the log.
    @Test func aFileThatWasDeletedIsMadeAgainFromTheLog() throws {
        try self.with { promises, folder in
            let topic = try LogFixture.topic("a")
            let clock = ManualClock()
            var log = try promises.open(clock, 1_000)
            try log.createTopic(topic, TopicConfiguration())
            let batch = LogBatch(
                urgency: .producer, appends: [LogFixture.append(topic, bytes: 1)], once: KeyPromises.once(1))
            let first = try LogFixture.write(log, batch)
            log.close()
            for name in ["kafka-keys.mdb", "kafka-keys.mdb-lock"] {
                #expect(unlink("\(folder)/\(name)") == 0)
            }
            log = try promises.open(clock, 1_000)
            defer { log.close() }
            let second = try LogFixture.write(log, batch)
            #expect(second.isRepeated)
            #expect(second.places == first.places)
            #expect(try LogFixture.count(log, topic) == 1)
        }
    }
}
