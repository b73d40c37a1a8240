public import ApusCore
internal import Glibc
internal import Synchronization

/// What every event log must do, as functions over a log that a factory makes. Each throws ``ContractViolation`` saying
/// what was expected; an adapter's tests run ``all``.
///
/// Nothing here knows which log it talks to, waits without a deadline, or reads a clock other than the one it set.
public struct EventLogContract: Sendable {
    /// Makes logs for the suite.
    public struct Factory: Sendable {
        /// An empty log on the given clock.
        public var make: @Sendable (ManualClock) throws -> any EventLog
        /// Closes a log and opens what it left behind; nil for a log that keeps nothing.
        public var reopen: (@Sendable (any EventLog, ManualClock) throws -> any EventLog)?
        /// How long a tombstone stays on the logs that `make` makes, on their clock.
        public var tombstoneTime: TimeSpan

        public init(
            tombstoneTime: TimeSpan,
            make: @escaping @Sendable (ManualClock) throws -> any EventLog,
            reopen: (@Sendable (any EventLog, ManualClock) throws -> any EventLog)? = nil
        ) {
            self.tombstoneTime = tombstoneTime
            self.make = make
            self.reopen = reopen
        }
    }

    /// One promise of the contract.
    public struct Promise: Sendable, CustomStringConvertible {
        public let description: String
        let check: @Sendable (EventLogContract) throws -> Void

        init(_ description: String, _ check: @escaping @Sendable (EventLogContract) throws -> Void) {
            self.description = description
            self.check = check
        }

        public func check(_ factory: Factory) throws { try self.check(EventLogContract(factory: factory)) }
    }

    public static let all: [Promise] = topicPromises + writingPromises + readingPromises + keepingPromises

    let factory: Factory

    /// Runs `body` with a new log and closes it after.
    func withLog(_ body: (any EventLog, ManualClock) throws -> Void) throws {
        let clock = ManualClock()
        let log = try self.factory.make(clock)
        defer { log.close() }
        try body(log, clock)
    }
}

/// A promise that was not kept.
public struct ContractViolation: Error, CustomStringConvertible {
    public let description: String
}

/// A clock that goes on when a test says so. Begins at one second.
public final class ManualClock: Sendable {
    private let time = Atomic<Int64>(1_000_000)

    public init() {}

    public var now: Timestamp { Timestamp(microseconds: self.time.load(ordering: .sequentiallyConsistent)) }
    public func advance(by span: TimeSpan) { self.time.add(span.microseconds, ordering: .sequentiallyConsistent) }
    public func set(_ time: Timestamp) { self.time.store(time.microseconds, ordering: .sequentiallyConsistent) }
}

// MARK: helpers of the promises

func expect(_ isTrue: Bool, _ what: @autoclosure () -> String, line: UInt = #line) throws {
    if !isTrue { throw ContractViolation(description: "\(what()) (line \(line))") }
}

func expectEqual<Value: Equatable>(_ value: Value, _ expected: Value, _ what: String, line: UInt = #line) throws {
    if value != expected {
        throw ContractViolation(description: "\(what): \(value) instead of \(expected) (line \(line))")
    }
}

func expectError(_ code: ErrorCode, _ what: String, line: UInt = #line, _ body: () throws -> Void) throws {
    do {
        try body()
    } catch let error as ApusError {
        try expect(error.code == code, "\(what): \(error) instead of \(code)", line: line)
        return
    }
    throw ContractViolation(description: "\(what): no error instead of \(code) (line \(line))")
}

/// Looks until `condition` holds; fails after `seconds` of wall time, which is a deadline and no measurement.
func eventually(_ what: String, seconds: Int = 20, line: UInt = #line, _ condition: () throws -> Bool) throws {
    for _ in 0..<seconds * 500 {
        if try condition() { return }
        usleep(2_000)
    }
    throw ContractViolation(description: "\(what): not within \(seconds) s (line \(line))")
}

/// A value that another thread sets once.
final class Box<Value: Sendable>: @unchecked Sendable {
    private let value = Mutex<Value?>(nil)
    // SAFETY: a semaphore is made for use from many threads; its address is stable.
    private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

    init() { sem_init(self.semaphore, 0, 0) }

    deinit {
        sem_destroy(self.semaphore)
        self.semaphore.deallocate()
    }

    func set(_ value: Value) {
        self.value.withLock { $0 = value }
        sem_post(self.semaphore)
    }

    /// - Returns: nil when nothing was set within 20 seconds.
    func wait() -> Value? {
        var deadline = timespec()
        clock_gettime(CLOCK_REALTIME, &deadline)
        deadline.tv_sec += 20
        while sem_timedwait(self.semaphore, &deadline) != 0 {
            if errno != EINTR { return nil }
        }
        return self.value.withLock { $0 }
    }
}

extension EventLog {
    /// Submits and waits for the answer.
    func write(_ batch: LogBatch, line: UInt = #line) throws -> LogReceipt {
        let box = Box<Result<LogReceipt, ApusError>>()
        self.submit(batch) { box.set($0) }
        guard let result = box.wait() else {
            throw ContractViolation(description: "no answer to a batch (line \(line))")
        }
        return try result.get()
    }

    @discardableResult
    func append(
        _ topic: TopicName, _ text: String?, key: String? = nil, partition: Int? = nil, line: UInt = #line
    ) throws -> LogReceipt.Place {
        let receipt = try self.write(
            LogBatch(urgency: .producer, appends: [record(topic, text, key: key, partition: partition)]), line: line
        )
        try expectEqual(receipt.places.count, 1, "places of one append", line: line)
        return receipt.places[0]
    }

    /// All records of a partition from an offset on: offset and event.
    func everything(_ topic: TopicName, _ partition: Int = 0, from start: Offset = 0) throws -> [(
        offset: Offset, event: Event
    )] {
        var found: [(offset: Offset, event: Event)] = []
        var next = start
        let end = try self.bounds(of: TopicPartition(topic, partition)).end
        while next < end {
            var failure: FrameError?
            let following = try self.read(
                TopicPartition(topic, partition), from: next, maxRecords: 100, maxBytes: 1 << 20
            ) { offset, bytes in
                do throws(FrameError) {
                    found.append((offset, try EventBlock.decode(RawSpan(_unsafeBytes: bytes))))
                } catch {
                    failure = error
                }
                return true
            }
            if let failure { throw failure }
            try expect(following > next, "a read goes on: from \(next) to \(following)")
            next = following
        }
        return found
    }

    func texts(_ topic: TopicName, _ partition: Int = 0) throws -> [String] {
        try self.everything(topic, partition).map {
            $0.event.data.map { String(decoding: $0, as: UTF8.self) } ?? "(tombstone)"
        }
    }
}

func record(_ topic: TopicName, _ text: String?, key: String? = nil, partition: Int? = nil) -> LogBatch.Append {
    let event = Event(
        key: key.map { Array($0.utf8) },
        attributes: [Attribute("type", "test"), Attribute("trace", "1", kind: .header)],
        data: text.map { Array($0.utf8) }
    )
    return LogBatch.Append(topic: topic, partition: partition, block: EventBlock.encode(event))
}

func topic(_ name: String) throws -> TopicName {
    guard let topic = TopicName(.default, name) else { throw ContractViolation(description: "'\(name)' is no topic") }
    return topic
}
