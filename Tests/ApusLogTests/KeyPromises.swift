import ApusCore
import ApusCrypto
import ApusTestSupport
import Testing

@testable import ApusLog

/// What logs keep that remember keys: one body for each, whatever the log stands on.
struct KeyPromises {
    /// Opens the log, or opens it again.
    let open: (_ clock: ManualClock, _ keys: Int) throws -> any EventLog

    static func key(_ number: Int) -> [UInt8] { SHA256.hash(Array("\(number)".utf8)) }

    static func remember(_ numbers: Range<Int>, until time: Timestamp) -> LogBatch {
        LogBatch(
            urgency: .settlement,
            keys: numbers.map { LogBatch.KeyWrite(key: Self.key($0), value: [UInt8($0 & 0xFF)], keptUntil: time) })
    }

    static func known(_ log: any EventLog, _ numbers: Range<Int>) throws -> [Int] {
        let values = try log.remembered(numbers.map(Self.key))
        #expect(zip(numbers, values).allSatisfy { $1 == nil || $1 == [UInt8($0 & 0xFF)] })
        return zip(numbers, values).filter { $1 != nil }.map(\.0)
    }

    static func once(_ number: Int, _ fingerprint: [UInt8] = [1], until: Timestamp = .distantFuture) -> LogBatch.Once {
        LogBatch.Once(key: Self.key(number), fingerprint: fingerprint, keptUntil: until)
    }

    func keysAreKnownUntilTheirTimeIsOverAlsoAfterARestart() throws {
        let clock = ManualClock()
        var log = try self.open(clock, 1_000)
        let start = clock.now
        _ = try LogFixture.write(log, Self.remember(0..<5, until: start + .seconds(10)))
        _ = try LogFixture.write(log, Self.remember(5..<10, until: start + .seconds(100)))
        #expect(try Self.known(log, 0..<12) == Array(0..<10))
        log.close()
        log = try self.open(clock, 1_000)
        defer { log.close() }
        #expect(try Self.known(log, 0..<12) == Array(0..<10))
        clock.advance(by: .seconds(11))
        #expect(try Self.known(log, 0..<12) == Array(5..<10))
        try LogFixture.eventually("the first are forgotten") { log.status.keys == 5 }
        #expect(log.status.keysForgotten == 0, "their time was over")
    }

    func aKeyThatIsWrittenAgainIsKeptLonger() throws {
        let clock = ManualClock()
        let log = try self.open(clock, 1_000)
        defer { log.close() }
        _ = try LogFixture.write(log, Self.remember(0..<1, until: clock.now + .seconds(10)))
        _ = try LogFixture.write(log, Self.remember(0..<1, until: clock.now + .seconds(100)))
        clock.advance(by: .seconds(50))
        #expect(try Self.known(log, 0..<1) == [0])
        clock.advance(by: .seconds(51))
        try LogFixture.eventually("it is forgotten") { log.status.keys == 0 }
    }

    func ofTooManyTheOldestAreForgottenInBoundedSteps() throws {
        let clock = ManualClock()
        let log = try self.open(clock, 100)
        defer { log.close() }
        for number in 0..<150 {
            _ = try LogFixture.write(
                log, Self.remember(number..<number + 1, until: clock.now + .seconds(1_000 + Int64(number))))
        }
        try LogFixture.eventually("only as many as may be are left") { log.status.keys == 100 }
        #expect(log.status.keysForgotten == 50)
        #expect(try Self.known(log, 0..<150) == Array(50..<150))
    }

    func keysTakeEffectWithTheirBatchOrNotAtAll() throws {
        let log = try self.open(ManualClock(), 1_000)
        defer { log.close() }
        var batch = Self.remember(0..<1, until: .distantFuture)
        batch.appends = [LogFixture.append(try LogFixture.topic("missing"), bytes: 1)]
        #expect(LogFixture.code { _ = try LogFixture.write(log, batch) } == .topicNotFound)
        #expect(try Self.known(log, 0..<1).isEmpty)
    }

    func aBatchTakesEffectOnce(_ log: any EventLog, _ clock: ManualClock) throws {
        let topic = try LogFixture.topic("a")
        try log.createTopic(topic, TopicConfiguration(partitions: 3))
        let appends = (0..<6).map { LogFixture.append(topic, bytes: 1, key: "\($0)", partition: nil) }
        let batch = LogBatch(urgency: .producer, appends: appends, once: Self.once(1, until: clock.now + .seconds(60)))
        let first = try LogFixture.write(log, batch)
        #expect(!first.isRepeated)
        let second = try LogFixture.write(log, batch)
        #expect(second.isRepeated)
        #expect(second.places == first.places)
        #expect(second.timestamp == first.timestamp)
        let count = try (0..<3).reduce(0) { try $0 + LogFixture.count(log, topic, $1) }
        #expect(count == 6)
        let other = LogBatch(urgency: .producer, appends: appends, once: Self.once(1, [2]))
        #expect(LogFixture.code { _ = try LogFixture.write(log, other) } == .conflict)
        clock.advance(by: .seconds(61))
        #expect(try !LogFixture.write(log, batch).isRepeated, "its time is over")
    }

    func repetitionsThatComeTogetherTakeEffectOnce() throws {
        let topic = try LogFixture.topic("a")
        let log = try self.open(ManualClock(), 1_000)
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration())
        let answers = Monitor<[Result<LogReceipt, ApusError>]>([])
        let batch = LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 1)], once: Self.once(1))
        for _ in 0..<50 {
            log.submit(batch) { result in
                answers.withLock { $0.append(result) }
                answers.signal()
            }
        }
        let all = try #require(answers.take(within: 20_000) { $0.count == 50 ? $0 : nil })
        let receipts = try all.map { try $0.get() }
        #expect(receipts.count { !$0.isRepeated } == 1)
        #expect(Set(receipts.map(\.places)).count == 1)
        #expect(try LogFixture.count(log, topic) == 1)
    }

    func whatIsRefusedMayBeTriedAgainUnderItsKey() throws {
        let topic = try LogFixture.topic("a")
        let log = try self.open(ManualClock(), 1_000)
        defer { log.close() }
        let batch = LogBatch(urgency: .producer, appends: [LogFixture.append(topic, bytes: 1)], once: Self.once(1))
        #expect(LogFixture.code { _ = try LogFixture.write(log, batch) } == .topicNotFound)
        try log.createTopic(topic, TopicConfiguration())
        #expect(try !LogFixture.write(log, batch).isRepeated)
    }

    func whatStandsBesideAKeyIsBounded() throws {
        let topic = try LogFixture.topic("a")
        let log = try self.open(ManualClock(), 1_000)
        defer { log.close() }
        try log.createTopic(topic, TopicConfiguration())
        let append = LogFixture.append(topic, bytes: 1)
        let none = LogReceipt(places: [], timestamp: .zero)
        let most = (Limits.Log.keyValueBytes - OnceReceipt(fingerprint: [1], receipt: none).encode().count) / 12
        func write(_ count: Int) -> ErrorCode? {
            LogFixture.code {
                _ = try LogFixture.write(
                    log,
                    LogBatch(
                        urgency: .producer, appends: Array(repeating: append, count: count), once: Self.once(count)))
            }
        }
        #expect(write(most) == nil)
        #expect(write(most + 1) == .invalidArgument)
    }
}
