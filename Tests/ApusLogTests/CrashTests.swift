import ApusCore
import ApusLog
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@Suite(.serialized) struct CrashTests {
    private static let submitters = 3
    private static let recordsPerBatch = 4

    /// Appends from several threads until the process is killed. Each batch carries its number in its records and in
    /// the ledger; each acknowledgement is written to the file `acknowledged` before anything else happens.
    fileprivate static func appendUntilKilled(_ directory: String, afterAcknowledgements count: Int) throws {
        let clock = ManualClock()
        let log = try EmbeddedLog(
            directory: directory + "/data", configuration: smallConfiguration(.fsync, mapBytes: 512 << 20)
        ) { clock.now }
        let topic = try #require(TopicName(.default, "crash"))
        try log.createTopic(topic, TopicConfiguration(partitions: submitters))
        let file = open(directory + "/acknowledged", O_WRONLY | O_CREAT | O_APPEND, 0o600)
        try #require(file >= 0)
        let acknowledged = Atomic<Int>(0)
        for submitter in 0..<submitters {
            let next = try CrashTests.settled(log, submitter)
            CrashTests.submit(log, topic, submitter, next) { number in
                let line = Array("\(submitter) \(number)\n".utf8)
                _ = write(file, line, line.count)
                if acknowledged.add(1, ordering: .sequentiallyConsistent).newValue == count { kill(getpid(), SIGKILL) }
            }
        }
        while true { pause() }
    }

    /// Submits batch after batch, several in flight, each after an earlier one was acknowledged.
    private static func submit(
        _ log: EmbeddedLog, _ topic: TopicName, _ submitter: Int, _ first: Int,
        _ onAcknowledged: @escaping @Sendable (Int) -> Void
    ) {
        // The lock covers number and submission, so that the batches are in the order of their numbers.
        let next = Shared(first)
        @Sendable func send() {
            next.number.withLock { number in
                let mine = number
                let appends = (0..<recordsPerBatch).map { index in
                    LogBatch.Append(
                        topic: topic, partition: submitter,
                        block: EventBlock.encode(Event(data: Array("\(mine) \(index)".utf8))))
                }
                let entry = LogBatch.LedgerWrite(key: [UInt8(submitter)], value: Array("\(mine)".utf8))
                log.submit(LogBatch(urgency: .producer, appends: appends, ledger: [entry])) { result in
                    guard case .success = result else { return }
                    onAcknowledged(mine)
                    send()
                }
                number += 1
            }
        }
        for _ in 0..<5 { send() }
    }

    private final class Shared: Sendable {
        let number: Mutex<Int>
        init(_ number: Int) { self.number = Mutex(number) }
    }

    /// The number after the last batch that the ledger knows.
    private static func settled(_ log: EmbeddedLog, _ submitter: Int) throws -> Int {
        guard let entry = try log.ledger(prefix: [UInt8(submitter)]).first else { return 0 }
        return try #require(Int(String(decoding: entry.value, as: UTF8.self))) + 1
    }

    /// Behaviour 12.
    @Test func whatWasAcknowledgedSurvivesKill() async throws {
        let scratch = ScratchDirectory("crash")
        let path = scratch.path
        for round in 1...4 {
            let count = 40 * round + 7
            await #expect(processExitsWith: .signal(SIGKILL)) { [path = path as String, count = count as Int] in
                try CrashTests.appendUntilKilled(path, afterAcknowledgements: count)
            }
            try CrashTests.checkWhatIsLeft(path, atLeast: round)
        }
    }

    private static func checkWhatIsLeft(_ path: String, atLeast rounds: Int) throws {
        var newest = Array(repeating: -1, count: submitters)
        for line in String(decoding: try LogFixture.readFile(path + "/acknowledged"), as: UTF8.self).split(
            separator: "\n")
        {
            let numbers = line.split(separator: " ").compactMap { Int($0) }
            try #require(numbers.count == 2)
            newest[numbers[0]] = max(newest[numbers[0]], numbers[1])
        }
        try #require(newest.contains { $0 >= rounds })
        var configuration = smallConfiguration(.fsync, mapBytes: 512 << 20)
        configuration.checksWholeFile = true
        let log = try LogFixture.open(path + "/data", configuration)
        defer { log.close() }
        let topic = try LogFixture.topic("crash")
        for submitter in 0..<submitters {
            let settled = try CrashTests.settled(log, submitter)
            #expect(settled > newest[submitter], "what was acknowledged is in the ledger")
            var texts: [String] = []
            var next: Offset = 0
            let place = TopicPartition(topic, submitter)
            let end = try log.bounds(of: place).end
            while next < end {
                next = try log.read(place, from: next, maxRecords: 1_000, maxBytes: .max) { _, bytes in
                    texts.append(String(decoding: bytes.dropFirst(EventBlock.headBytes), as: UTF8.self))
                    return true
                }
            }
            let expected = (0..<settled).flatMap { number in (0..<recordsPerBatch).map { "\(number) \($0)" } }
            #expect(
                texts == expected,
                "the records of submitter \(submitter) are those that its ledger says, each once, in order")
        }
    }
}
