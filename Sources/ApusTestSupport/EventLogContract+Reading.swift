internal import ApusCore
internal import Synchronization

extension EventLogContract {
    static let readingPromises: [Promise] = [
        Promise("a read ends at its limits and says where to go on") { try $0.readsAreBounded() },
        Promise("a read from beyond the end is an error, from the end nothing") { try $0.readsEnd() },
        Promise("single records are lent by their places") { try $0.recordsAreLentByPlace() },
        Promise("a time is found by its first record") { try $0.timesAreFound() },
        Promise("a follower hears of each partition that grew") { try $0.followersHear() },
        Promise("a follower that left hears nothing more") { try $0.followersLeave() },
    ]

    func readsAreBounded() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            let place = TopicPartition(name, 0)
            try log.createTopic(name, TopicConfiguration())
            _ = try log.write(LogBatch(urgency: .producer, appends: (0..<10).map { record(name, "\($0)") }))
            let size = record(name, "0").block.count
            func read(from start: Offset, records: Int = 100, bytes: Int = 1 << 20, stopAt: Offset = -1) throws -> (
                [Offset], Offset
            ) {
                var offsets: [Offset] = []
                let next = try log.read(place, from: start, maxRecords: records, maxBytes: bytes) { offset, _ in
                    offsets.append(offset)
                    return offset != stopAt
                }
                return (offsets, next)
            }
            func check(_ answer: ([Offset], Offset), _ offsets: Range<Offset>, _ next: Offset, _ what: String) throws {
                try expect(answer.0 == Array(offsets) && answer.1 == next, "\(what): \(answer)")
            }
            try check(try read(from: 0), 0..<10, 10, "all")
            try check(try read(from: 3, records: 4), 3..<7, 7, "four records")
            try check(try read(from: 0, bytes: 3 * size), 0..<3, 3, "three records' bytes")
            try check(try read(from: 0, bytes: 3 * size - 1), 0..<2, 2, "a byte less")
            try check(try read(from: 0, bytes: 0), 0..<1, 1, "one record at least")
            try check(try read(from: 2, stopAt: 5), 2..<6, 6, "stopped")
            try check(try read(from: 4, records: 0), 4..<4, 4, "no record")
            try check(try read(from: -5), 0..<10, 10, "from before the start")
        }
    }

    func readsEnd() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration())
            try log.append(name, "x")
            let next = try log.read(TopicPartition(name, 0), from: 1, maxRecords: 5, maxBytes: 100) { _, _ in true }
            try expectEqual(next, 1, "the end")
            try expectError(.offsetOutOfRange, "beyond the end") {
                _ = try log.read(TopicPartition(name, 0), from: 2, maxRecords: 5, maxBytes: 100) { _, _ in true }
            }
        }
    }

    func recordsAreLentByPlace() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            let second = try topic("b")
            try log.createTopic(name, TopicConfiguration(partitions: 2))
            try log.createTopic(second, TopicConfiguration())
            for index in 0..<6 { try log.append(name, "a\(index)", partition: index % 2) }
            try log.append(second, "b0")
            let wanted: [(TopicName, Int, Offset, String?)] = [
                (name, 0, 2, "a4"), (name, 0, 0, "a0"), (second, 0, 0, "b0"), (name, 1, 1, "a3"), (name, 1, 3, nil),
                (name, 0, -1, nil),
                (name, 0, 2, "a4"),
            ]
            var found: [String?] = Array(repeating: "never", count: wanted.count)
            try log.records(at: wanted.map { RecordPlace(TopicPartition($0.0, $0.1), $0.2) }) { index, bytes in
                guard let bytes else {
                    found[index] = nil
                    return
                }
                found[index] = (try? EventBlock.decode(RawSpan(_unsafeBytes: bytes)).data).map {
                    String(decoding: $0, as: UTF8.self)
                }
            }
            try expectEqual(found, wanted.map(\.3), "the records")
            try log.records(at: []) { _, _ in found = [] }
            try expectEqual(found.count, wanted.count, "no place, no record")
        }
    }

    func timesAreFound() throws {
        try self.withLog { log, clock in
            let name = try topic("a")
            let place = TopicPartition(name, 0)
            try log.createTopic(name, TopicConfiguration())
            try expectEqual(try log.offset(of: place, at: .zero), 0, "in an empty partition")
            for index in 0..<200 {
                clock.set(Timestamp(microseconds: 10_000_000 + Int64(index / 3) * 1_000))
                try log.append(name, "\(index)")
            }
            try expectEqual(try log.offset(of: place, at: .zero), 0, "before all")
            for second in [0, 1, 17, 66] {
                let time = Timestamp(microseconds: 10_000_000 + Int64(second) * 1_000)
                try expectEqual(try log.offset(of: place, at: time), Offset(second * 3), "at \(second)")
                let between = Timestamp(microseconds: time.microseconds - 1)
                try expectEqual(try log.offset(of: place, at: between), Offset(second * 3), "just before \(second)")
            }
            try expectEqual(try log.offset(of: place, at: Timestamp(microseconds: 10_066_001)), 200, "after all")
        }
    }

    func followersHear() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            let other = try topic("b")
            try log.createTopic(name, TopicConfiguration(partitions: 3))
            try log.createTopic(other, TopicConfiguration())
            let heard = Mutex<[[Offset]]>([[], [], []])
            let token = log.follow(name) { partition, end in heard.withLock { $0[partition].append(end) } }
            defer { log.unfollow(token) }
            _ = try log.write(
                LogBatch(
                    urgency: .producer,
                    appends: [
                        record(name, "a", partition: 0), record(name, "b", partition: 0),
                        record(name, "c", partition: 2), record(other, "d"),
                    ])
            )
            try eventually("the news") { heard.withLock { $0[0].last == 2 && $0[2].last == 1 } }
            try log.append(name, "e", partition: 0)
            try eventually("more news") { heard.withLock { $0[0].last == 3 } }
            // Once per commit and partition, each with a new end.
            try expectEqual(heard.withLock { $0 }, [[2, 3], [], [1]], "what was heard")
        }
    }

    func followersLeave() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration())
            let left = Atomic<Int>(0)
            let stayed = Atomic<Int>(0)
            let token = log.follow(name) { _, _ in left.add(1, ordering: .sequentiallyConsistent) }
            let other = log.follow(name) { _, _ in stayed.add(1, ordering: .sequentiallyConsistent) }
            try log.append(name, "a")
            try eventually("the news") {
                left.load(ordering: .sequentiallyConsistent) == 1 && stayed.load(ordering: .sequentiallyConsistent) == 1
            }
            log.unfollow(token)
            log.unfollow(token)
            try log.append(name, "b")
            try eventually("the news for the other") { stayed.load(ordering: .sequentiallyConsistent) == 2 }
            try expectEqual(left.load(ordering: .sequentiallyConsistent), 1, "news for the one that left")
            log.unfollow(other)
        }
    }
}
