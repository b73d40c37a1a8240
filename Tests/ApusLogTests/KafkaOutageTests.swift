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
