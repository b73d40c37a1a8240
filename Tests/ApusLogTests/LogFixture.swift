import ApusCore
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusLog

/// Helpers around an embedded log under test.
enum LogFixture {
    static func open(_ path: String, _ configuration: EmbeddedLogConfiguration, clock: ManualClock = ManualClock())
        throws -> EmbeddedLog
    {
        try EmbeddedLog(directory: path, configuration: configuration) { clock.now }
    }

    static func topic(_ name: String) throws -> TopicName { try #require(TopicName(.default, name)) }

    static func append(_ topic: TopicName, bytes: Int, key: String? = nil, partition: Int? = 0) -> LogBatch.Append {
        let event = Event(key: key.map { Array($0.utf8) }, data: Array(repeating: 7, count: bytes))
        return LogBatch.Append(topic: topic, partition: partition, block: EventBlock.encode(event))
    }

    /// Submits and waits for the answer.
    static func write(_ log: any EventLog, _ batch: LogBatch) throws -> LogReceipt {
        let answer = Monitor<Result<LogReceipt, ApusError>?>(nil)
        log.submit(batch) { result in
            answer.withLock { $0 = result }
            answer.signal()
        }
        return try #require(answer.take(within: 20_000) { $0 }, "the log answers").get()
    }

    /// A clock by which each commit or group of a log has a time of its own.
    static func ticking() -> @Sendable () -> Timestamp {
        let ticks = Mutex<Int64>(1_000)
        return {
            ticks.withLock {
                $0 += 1
                return Timestamp(milliseconds: $0)
            }
        }
    }

    /// - Returns: how many times the records have of batches that wait together, so many small ones each; under a ``ticking()`` clock.
    static func timesTogether(_ log: any EventLog, _ topic: TopicName, _ counts: [Int]) throws -> Int {
        Set(try self.writeTogether(log, topic, counts).map(\.timestamp)).count
    }

    /// Has batches of so many small records each wait together: an answer holds up the writer until all of them are queued.
    /// - Returns: their answers, in their order.
    private static func writeTogether(_ log: any EventLog, _ topic: TopicName, _ counts: [Int]) throws -> [LogReceipt] {
        let record = Self.append(topic, bytes: 1)
        let hold = Monitor((isHeld: false, isOver: false))
        log.submit(LogBatch(urgency: .producer, appends: [record])) { _ in
            hold.withLock { $0.isHeld = true }
            hold.signal()
            _ = hold.take(within: 20_000) { $0.isOver ? true : nil }
        }
        try #require(hold.take(within: 20_000) { $0.isHeld ? true : nil } != nil, "the log answers")
        let answers = Monitor<[Int: Result<LogReceipt, ApusError>]>([:])
        for (index, count) in counts.enumerated() {
            log.submit(LogBatch(urgency: .producer, appends: Array(repeating: record, count: count))) { result in
                answers.withLock { $0[index] = result }
                answers.signal()
            }
        }
        hold.withLock { $0.isOver = true }
        hold.signal()
        let all = try #require(answers.take(within: 60_000) { $0.count == counts.count ? $0 : nil }, "the log answers")
        return try counts.indices.map { try #require(all[$0]).get() }
    }

    /// Writes batches until one is refused.
    /// - Returns: how many were written, and the refusal.
    static func fill(_ log: any EventLog, max: Int = 100_000, _ batch: LogBatch) throws -> (
        written: Int, error: ApusError
    ) {
        for written in 0..<max {
            do {
                _ = try LogFixture.write(log, batch)
            } catch let error as ApusError {
                return (written, error)
            }
        }
        throw ApusError(.internal, "\(max) batches were written and none refused")
    }

    static func count(_ log: any EventLog, _ topic: TopicName, _ partition: Int = 0) throws -> Int {
        let place = TopicPartition(topic, partition)
        let end = try log.bounds(of: place).end
        var next: Offset = 0
        var count = 0
        while next < end {
            next = try log.read(place, from: next, maxRecords: 1_000, maxBytes: .max) { _, _ in
                count += 1
                return true
            }
        }
        return count
    }

    /// Looks until `condition` holds, with a deadline.
    static func eventually(_ what: String, seconds: Int = 20, _ condition: () throws -> Bool) throws {
        for _ in 0..<seconds * 500 {
            if try condition() { return }
            usleep(2_000)
        }
        throw ApusError(.internal, "\(what): not within \(seconds) s")
    }

    /// The code that `body` fails with, or nil.
    static func code(_ body: () throws -> Void) -> ErrorCode? {
        do {
            try body()
            return nil
        } catch let error as ApusError {
            return error.code
        } catch {
            return .internal
        }
    }

    static func readFile(_ path: String) throws -> [UInt8] {
        let file = try #require(fopen(path, "r"))
        defer { fclose(file) }
        fseek(file, 0, SEEK_END)
        let size = ftell(file)
        rewind(file)
        return [UInt8](unsafeUninitializedCapacity: size) { buffer, count in
            count = fread(buffer.baseAddress, 1, size, file)
        }
    }

    static func writeFile(_ path: String, _ bytes: [UInt8]) throws {
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        try #require(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
