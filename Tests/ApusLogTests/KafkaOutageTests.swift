import ApusCore
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusLog

/// A real broker that hangs or is killed while it is written to. It is this suite's own: nobody else's may be stopped.
@Suite(.serialized, .enabled(if: OwnBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)))
struct KafkaOutageTests {
    /// Behaviour 31.
    @Test(arguments: ["pause", "kill"])
    func whatIsWrittenWhileABrokerIsAwayIsThereOnceAfterItsReturn(_ fault: String) throws {
        let broker = try OwnBroker()
        defer { broker.stop() }
        var configuration = KafkaLogConfiguration(bootstrap: broker.bootstrap)
        configuration.deliveryMilliseconds = 25_000
        let clock = ManualClock()
        let log = try KafkaLog(configuration) { clock.now }
        defer { log.close() }
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        let total = 60
        let answers = Mutex<[Int: Result<LogReceipt, ApusError>]>([:])
        for index in 0..<total {
            // Each its own transaction as far as they do not wait for each other: replies with a position.
            let entry = LogBatch.LedgerWrite(key: [9, UInt8(index)], value: [1])
            let batch = LogBatch(
                urgency: .settlement, appends: [LogFixture.append(name, bytes: 100 + index)], ledger: [entry])
            log.submit(batch) { result in answers.withLock { $0[index] = result } }
            if index == 20 {
                try LogFixture.eventually("the first answers") { answers.withLock { !$0.isEmpty } }
                try broker.run(fault, "1")
            }
        }
        // While it is away nothing is answered, neither way.
        let before = answers.withLock { $0.count }
        usleep(2_000_000)
        #expect(answers.withLock { $0.count } <= before + 21)
        try broker.run(fault == "pause" ? "resume" : "revive", "1")
        try LogFixture.eventually("all answers", seconds: 120) { answers.withLock { $0.count == total } }
        let written = answers.withLock { $0.values.compactMap { try? $0.get() }.count }
        #expect(written == total, "each was written: \(answers.withLock { $0 })")
        #expect(try LogFixture.count(log, name) == total, "and is there once")
        #expect(try log.ledger(prefix: [9]).count == total)
        _ = try LogFixture.write(log, LogBatch(urgency: .producer, appends: [LogFixture.append(name, bytes: 1)]))
        #expect(log.status.failure == nil)
    }

    /// A server that ends while its brokers are away waits for them for a bounded while, answers everybody, and says what was not committed.
    @Test func theEndOfALogWaitsForItsBrokersNoLongerThanItSays() throws {
        let broker = try OwnBroker()
        defer { broker.stop() }
        var configuration = KafkaLogConfiguration(bootstrap: broker.bootstrap)
        var sharing = KafkaLogConfiguration.Sharing(node: "node", sessionMilliseconds: 600_000)
        // Positions wait for others for longer than this test takes: none is written before the brokers are gone.
        sharing.ledgerMilliseconds = 3_600_000
        configuration.sharing = sharing
        let said = Lines()
        configuration.observer = KafkaObserver(log: { level, client, text in
            if level <= 3 { said.add("\(client): \(text)") }
        })
        let log = try KafkaLog(configuration) { Timestamp(milliseconds: LogWriter.monotonicMilliseconds()) }
        let name = try LogFixture.topic("a")
        try log.createTopic(name, TopicConfiguration())
        let share = Share(.cpu, 3)
        let term = Mutex<UInt64>(0)
        let watch = try #require(log.sharing).watch { change in
            if case .working(let working) = change, working.share == share { term.withLock { $0 = working.term } }
        }
        defer { log.sharing?.unwatch(watch) }
        try LogFixture.eventually("the share is worked", seconds: 60) { term.withLock { $0 } > 0 }
        @Sendable func batch(_ value: UInt8, _ outputs: LogBatch.Outputs) -> LogBatch {
            var append = LogFixture.append(name, bytes: 100)
            append.outputs = outputs
            return LogBatch(
                urgency: .settlement, appends: [append],
                ledger: [LogBatch.LedgerWrite(key: [9, value], value: [1], share: share, outputs: outputs)],
                owner: ShareTerm(share, term: term.withLock { $0 }))
        }
        // Their outputs are on the log, their positions are not.
        for value in UInt8(100)..<103 { _ = try LogFixture.write(log, batch(value, .beforeLedger)) }
        try broker.run("pause", "1")
        let answers = Mutex(0)
        let total = 6
        for index in 1...UInt8(total) {
            log.submit(batch(index, index % 2 == 0 ? .transaction : .beforeLedger)) { _ in answers.withLock { $0 += 1 } }
        }
        log.submit(LogBatch(urgency: .producer, appends: [LogFixture.append(name, bytes: 1)])) { _ in
            answers.withLock { $0 += 1 }
        }
        let isClosed = Mutex(false)
        let thread = try LogThread {
            log.end(within: .seconds(3))
            log.close()
            isClosed.withLock { $0 = true }
        }
        // Waits of its own go on for up to 90 s.
        try LogFixture.eventually("the end", seconds: 45) { isClosed.withLock { $0 } }
        thread.join()
        #expect(answers.withLock { $0 } == total + 1)
        #expect(said.all.contains { $0.contains("the share cpu/3 ends with 3 positions") }, "\(said.all)")
        try broker.run("resume", "1")
    }

    private final class Lines: Sendable {
        private let lines = Mutex<[String]>([])
        func add(_ line: String) { self.lines.withLock { $0.append(line) } }
        var all: [String] { self.lines.withLock { $0 } }
    }
}

/// A broker that a test may stop.
private struct OwnBroker {
    static let script: String = {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        return "/\(root)/../shared/kafka/broker"
    }()
    static let isThere = access(Self.script, X_OK) == 0 && access("/usr/bin/java", X_OK) == 0

    let bootstrap: String
    private let folder = "/tmp/apus-kafka-own-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"

    init() throws {
        self.bootstrap = try KafkaBroker.start(Self.script, in: self.folder)
    }

    func run(_ verb: String, _ node: String) throws {
        let process = try ChildProcess(Self.script, [verb, node, "--dir", self.folder], in: "/tmp")
        guard process.wait(seconds: 120) == 0 else {
            throw ApusError(.internal, "broker \(verb): \(process.errors)")
        }
    }

    func stop() {
        _ = try? ChildProcess(Self.script, ["stop", "--dir", self.folder, "--wipe"], in: "/tmp").wait(seconds: 60)
    }
}
