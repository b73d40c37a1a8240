internal import ApusCore
internal import Glibc
internal import Synchronization

extension EventLogContract {
    static let writingPromises: [Promise] = [
        Promise("records get the next offsets in the order of their batch") { try $0.offsetsAreInOrder() },
        Promise("a key goes to the partition that Java's client picks") { try $0.keysPickPartitions() },
        Promise("records without a key are spread over all partitions") { try $0.recordsWithoutKeyAreSpread() },
        Promise("an event comes back as it was, with the time of its append") { try $0.eventsComeBack() },
        Promise("a batch is written whole or not at all, its ledger with it") { try $0.batchesAreAtomic() },
        Promise("one bad batch does not harm its neighbours") { try $0.badBatchesAreAlone() },
        Promise("a record over the limit is refused, one at the limit is taken") { try $0.recordsAreBounded() },
        Promise("what is no event is refused") { try $0.onlyEventsAreTaken() },
        Promise("ledger entries are replaced, deleted and found by prefix") { try $0.ledgerIsKept() },
        Promise("ledger keys are bounded") { try $0.ledgerKeysAreBounded() },
        Promise("batches of one caller keep their order, however many submit") { try $0.submittersKeepTheirOrder() },
        Promise("an empty batch succeeds") { try $0.emptyBatchesSucceed() },
    ]

    func offsetsAreInOrder() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 2))
            let receipt = try log.write(
                LogBatch(
                    urgency: .producer,
                    appends: [
                        record(name, "a", partition: 0), record(name, "b", partition: 1),
                        record(name, "c", partition: 0),
                    ])
            )
            let expected = [(0, 0), (1, 0), (0, 1)].map { LogReceipt.Place(partition: $0.0, offset: Offset($0.1)) }
            try expectEqual(receipt.places, expected, "the places")
            try expectEqual(try log.append(name, "d", partition: 0).offset, 2, "the next offset")
            try expectEqual(try log.texts(name, 0), ["a", "c", "d"], "partition 0")
            try expectEqual(try log.texts(name, 1), ["b"], "partition 1")
            try expectEqual(try log.bounds(of: TopicPartition(name, 0)), OffsetBounds(start: 0, end: 3), "the bounds")
        }
    }

    func keysPickPartitions() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 10))
            for index in 0..<50 {
                let key = Array("key-\(index)".utf8)
                let expected = key.withUnsafeBytes { Murmur2.partition(of: $0, among: 10) }
                try expectEqual(
                    try log.append(name, "x", key: "key-\(index)").partition, expected, "the partition of key-\(index)")
            }
            try expectEqual(
                try log.append(name, "x", key: "key-1", partition: 7).partition, 7, "a partition that was asked for")
        }
    }

    func recordsWithoutKeyAreSpread() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 4))
            let receipt = try log.write(LogBatch(urgency: .producer, appends: (0..<40).map { record(name, "\($0)") }))
            for partition in 0..<4 {
                let count = receipt.places.filter { $0.partition == partition }.count
                try expectEqual(count, 10, "records in partition \(partition)")
            }
        }
    }

    func eventsComeBack() throws {
        try self.withLog { log, clock in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration())
            let event = Event(
                key: [0, 255, 7],
                attributes: [
                    Attribute("id", "1"), Attribute("source", "/s", kind: .uriReference),
                    Attribute("flag", "true", kind: .boolean),
                    Attribute("bin", bytes: [0, 1, 2], kind: .binary), Attribute("x", "y", kind: .header),
                ],
                data: Array("data".utf8),
                // What a producer claims is not the log's time.
                timestamp: Timestamp(microseconds: 42)
            )
            let empty = Event(data: [])
            clock.set(Timestamp(microseconds: 5_000_001))
            let receipt = try log.write(
                LogBatch(
                    urgency: .producer,
                    appends: [event, empty].map { LogBatch.Append(topic: name, block: EventBlock.encode($0)) })
            )
            try expectEqual(receipt.timestamp, Timestamp(microseconds: 5_000_001), "the receipt's time")
            let found = try log.everything(name).map(\.event)
            var expected = [event, empty]
            for index in expected.indices { expected[index].timestamp = receipt.timestamp }
            try expectEqual(found, expected, "the events")
            // The clock may stand or go back; the log's time does not.
            clock.set(Timestamp(microseconds: 4_000_000))
            try log.append(name, "later")
            try expect(
                try log.everything(name).map(\.event.timestamp).last == receipt.timestamp, "time does not run backwards"
            )
        }
    }

    func batchesAreAtomic() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration())
            let good = LogBatch(
                urgency: .settlement, appends: [record(name, "a")], ledger: [LogBatch.LedgerWrite(key: [1], value: [9])]
            )
            _ = try log.write(good)
            let bad = LogBatch(
                urgency: .settlement, appends: [record(name, "b"), record(try topic("missing"), "c")],
                ledger: [LogBatch.LedgerWrite(key: [1], value: [10])]
            )
            try expectError(.topicNotFound, "a batch with an unknown topic") { _ = try log.write(bad) }
            try expectEqual(try log.texts(name), ["a"], "the records")
            try expectEqual(try log.ledger(prefix: []).map(\.value), [[9]], "the ledger")
        }
    }

    func badBatchesAreAlone() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            let missing = try topic("missing")
            try log.createTopic(name, TopicConfiguration())
            let results = Mutex<[Int: Bool]>([:])
            for index in 0..<60 {
                let target = index % 3 == 1 ? missing : name
                log.submit(LogBatch(urgency: .producer, appends: [record(target, "\(index)")])) { result in
                    let isSuccess = if case .success = result { true } else { false }
                    results.withLock { $0[index] = isSuccess }
                }
            }
            try eventually("every answer") { results.withLock { $0.count } == 60 }
            for index in 0..<60 {
                try expectEqual(
                    results.withLock { $0[index] ?? nil }, Bool?(index % 3 != 1), "the answer to batch \(index)")
            }
            try expectEqual(try log.texts(name), (0..<60).filter { $0 % 3 != 1 }.map(String.init), "what was written")
        }
    }

    func recordsAreBounded() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration())
            let head = EventBlock.size(of: Event(data: []))
            let largest = EventBlock.encode(Event(data: Array(repeating: 7, count: Limits.recordBytes - head)))
            let receipt = try log.write(
                LogBatch(urgency: .producer, appends: [LogBatch.Append(topic: name, block: largest)]))
            try expectEqual(receipt.places.map(\.offset), [0], "the largest record")
            let larger = EventBlock.encode(Event(data: Array(repeating: 7, count: Limits.recordBytes - head + 1)))
            try expectError(.eventTooLarge, "a larger record") {
                _ = try log.write(LogBatch(urgency: .producer, appends: [LogBatch.Append(topic: name, block: larger)]))
            }
            var count = 0
            let next = try log.read(TopicPartition(name, 0), from: 0, maxRecords: 10, maxBytes: 1) { _, bytes in
                count = bytes.count
                return true
            }
            try expectEqual(count, Limits.recordBytes, "one record is lent, whatever its size")
            try expectEqual(next, 1, "where to go on")
        }
    }

    func onlyEventsAreTaken() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration())
            var long = EventBlock.encode(Event(data: [1, 2, 3]))
            long.append(0)
            let short = Array(EventBlock.encode(Event(data: [1, 2, 3])).dropLast())
            for block in [[], Array(repeating: 0xFF, count: 24), Array(repeating: 0, count: 23), long, short]
                as [[UInt8]]
            {
                try expectError(.invalidEvent, "\(block.count) bytes that are no event") {
                    _ = try log.write(
                        LogBatch(urgency: .producer, appends: [LogBatch.Append(topic: name, block: block)]))
                }
            }
            try expectEqual(try log.bounds(of: TopicPartition(name, 0)).end, 0, "the end")
        }
    }

    func ledgerIsKept() throws {
        try self.withLog { log, _ in
            func write(_ entries: [(String, String?)]) throws {
                let ledger = entries.map {
                    LogBatch.LedgerWrite(key: Array($0.0.utf8), value: $0.1.map { Array($0.utf8) })
                }
                _ = try log.write(LogBatch(urgency: .settlement, ledger: ledger))
            }
            func entries(_ prefix: String) throws -> [String] {
                try log.ledger(prefix: Array(prefix.utf8)).map {
                    String(decoding: $0.key, as: UTF8.self) + "=" + String(decoding: $0.value, as: UTF8.self)
                }
            }
            try write([("b/1", "x"), ("a/2", "y"), ("a/1", "z"), ("ab", ""), ("a", "w")])
            try expectEqual(try entries("a/"), ["a/1=z", "a/2=y"], "a prefix")
            try expectEqual(try entries(""), ["a=w", "a/1=z", "a/2=y", "ab=", "b/1=x"], "all")
            try expectEqual(try entries("c"), [], "a prefix of none")
            try write([("a/1", "new"), ("a/2", nil), ("none", nil)])
            try expectEqual(try entries("a/"), ["a/1=new"], "after replacing and deleting")
        }
    }

    func ledgerKeysAreBounded() throws {
        try self.withLog { log, _ in
            let longest = Array(repeating: UInt8(7), count: 511)
            _ = try log.write(LogBatch(urgency: .settlement, ledger: [LogBatch.LedgerWrite(key: longest, value: [1])]))
            try expectEqual(try log.ledger(prefix: longest).map(\.value), [[1]], "the longest key")
            for key in [[], longest + [7]] as [[UInt8]] {
                try expectError(.invalidArgument, "a key of \(key.count) bytes") {
                    _ = try log.write(
                        LogBatch(urgency: .settlement, ledger: [LogBatch.LedgerWrite(key: key, value: [1])]))
                }
            }
        }
    }

    func submittersKeepTheirOrder() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 3))
            let answers = Atomic<Int>(0)
            let failures = Atomic<Int>(0)
            let submitters = 4
            let batches = 200
            let threads = (0..<submitters).map { submitter in
                TestThread {
                    for batch in 0..<batches {
                        let appends = (0..<3).map {
                            record(name, "\(submitter) \(batch) \($0)", partition: submitter % 3)
                        }
                        log.submit(LogBatch(urgency: .producer, appends: appends)) { result in
                            if case .failure = result { failures.add(1, ordering: .sequentiallyConsistent) }
                            answers.add(1, ordering: .sequentiallyConsistent)
                        }
                    }
                }
            }
            for thread in threads { thread.join() }
            try eventually("every answer") { answers.load(ordering: .sequentiallyConsistent) == submitters * batches }
            try expectEqual(failures.load(ordering: .sequentiallyConsistent), 0, "failures")
            for submitter in 0..<submitters {
                let mine = try log.texts(name, submitter % 3).filter { $0.hasPrefix("\(submitter) ") }
                let expected = (0..<batches).flatMap { batch in (0..<3).map { "\(submitter) \(batch) \($0)" } }
                try expect(mine == expected, "the records of submitter \(submitter) are whole and in order")
            }
            for partition in 0..<3 {
                let offsets = try log.everything(name, partition).map(\.offset)
                try expect(
                    offsets == Array(0..<Offset(offsets.count)), "the offsets of partition \(partition) have no gap")
            }
        }
    }

    func emptyBatchesSucceed() throws {
        try self.withLog { log, _ in
            try expectEqual(try log.write(LogBatch(urgency: .producer)).places, [], "the places of nothing")
        }
    }
}

/// A thread of a test.
final class TestThread: @unchecked Sendable {
    // SAFETY: see its one variable.

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    // SAFETY: written in `init`, read once by `join`.
    private var thread = pthread_t()

    init(_ body: @escaping @Sendable () -> Void) {
        let context = Unmanaged.passRetained(Body(body)).toOpaque()
        precondition(pthread_create(&self.thread, nil, testThreadMain, context) == 0, "cannot start a thread")
    }

    func join() { pthread_join(self.thread, nil) }

    fileprivate static func run(_ context: UnsafeMutableRawPointer) {
        Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
    }
}

private func testThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context { TestThread.run(context) }
    return nil
}
