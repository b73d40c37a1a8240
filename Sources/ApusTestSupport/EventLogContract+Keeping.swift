internal import ApusCore

extension EventLogContract {
    static let keepingPromises: [Promise] = [
        Promise("a compacted topic keeps the newest record of each key") { try $0.compactionKeepsTheNewest() },
        Promise("a compacted topic refuses records without a key") { try $0.compactionNeedsKeys() },
        Promise("a tombstone removes its key at once and goes when its time is over") { try $0.tombstonesGo() },
        Promise("records older than the retention time go, and offsets go on") { try $0.retentionByTime() },
        Promise("the oldest records go when a topic is over its size") { try $0.retentionBySize() },
        Promise("a changed retention takes effect on what is there") { try $0.retentionIsAltered() },
        Promise("what is discarded goes, what lies behind it stays") { try $0.discarding() },
        Promise("everything is there after a restart") { try $0.everythingSurvives() },
        Promise("offsets go on after a restart, also when the last record is gone") { try $0.offsetsSurvive() },
    ]

    func compactionKeepsTheNewest() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 1, isCompacted: true))
            let long = String(repeating: "k", count: 2_000)
            _ = try log.write(
                LogBatch(
                    urgency: .settlement,
                    appends: [
                        record(name, "1", key: "x"), record(name, "2", key: "y"), record(name, "3", key: "x"),
                        record(name, "4", key: long),
                    ])
            )
            try log.append(name, "5", key: "y")
            try expectEqual(try log.append(name, "6", key: long).offset, 5, "offsets go on")
            try expectEqual(try log.everything(name).map(\.offset), [2, 4, 5], "the offsets that are left")
            try expectEqual(try log.texts(name), ["3", "5", "6"], "what is left")
            try expectEqual(try log.bounds(of: TopicPartition(name, 0)).end, 6, "the end")
            let found = try ["x", "y", long, "z"].map {
                try log.newest(of: Array($0.utf8), in: TopicPartition(name, 0))
            }
            try expectEqual(found, [2, 4, 5, nil], "where the newest record of a key lies")
            var gone = false
            try log.records(at: [RecordPlace(TopicPartition(name, 0), 0)]) { _, bytes in gone = bytes == nil }
            try expect(gone, "a superseded record is gone")
            for round in 0..<200 { try log.append(name, "\(round)", key: "x") }
            try expectEqual(try log.texts(name), ["5", "6", "199"], "after many rounds")
        }
    }

    func compactionNeedsKeys() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 2, isCompacted: true))
            try expectError(.invalidEvent, "no key") { try log.append(name, "x") }
            try log.append(name, "x", key: "")
            try log.append(name, "y", key: "")
            let texts = try log.texts(name, 0) + log.texts(name, 1)
            try expectEqual(texts, ["y"], "an empty key is a key")
        }
    }

    func tombstonesGo() throws {
        try self.withLog { log, clock in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 1, isCompacted: true))
            try log.append(name, "1", key: "x")
            try log.append(name, "2", key: "y")
            try log.append(name, "3", key: "z")
            try log.append(name, nil, key: "x")
            try log.append(name, nil, key: "z")
            try expectEqual(
                try log.texts(name), ["2", "(tombstone)", "(tombstone)"], "a tombstone is seen by who reads")
            try log.append(name, "again", key: "z")
            clock.advance(by: TimeSpan(microseconds: self.factory.tombstoneTime.microseconds + 1_000_000))
            try eventually("the end of the tombstone") { try log.texts(name) == ["2", "again"] }
            try log.append(name, "back", key: "x")
            try expectEqual(try log.texts(name), ["2", "again", "back"], "a key that came back")
            try expectEqual(try log.bounds(of: TopicPartition(name, 0)).end, 7, "the end")
        }
    }

    func retentionByTime() throws {
        try self.withLog { log, clock in
            let name = try topic("a")
            let place = TopicPartition(name, 0)
            try log.createTopic(name, TopicConfiguration(partitions: 2, retentionTime: .seconds(100)))
            for index in 0..<5 { try log.append(name, "old \(index)", partition: 0) }
            clock.advance(by: .seconds(60))
            try log.append(name, "young", partition: 0)
            clock.advance(by: .seconds(60))
            try eventually("the end of the old") { try log.bounds(of: place).start == 5 }
            try expectEqual(try log.texts(name), ["young"], "what is left")
            try expectEqual(try log.offset(of: place, at: .zero), 5, "the first that is left")
            clock.advance(by: .seconds(60))
            try eventually("the end of all") { try log.bounds(of: place) == OffsetBounds(start: 6, end: 6) }
            try expectEqual(try log.texts(name), [], "nothing")
            try expectEqual(try log.append(name, "next", partition: 0).offset, 6, "the next offset")
        }
    }

    func discarding() throws {
        try self.withLog { log, _ in
            let (name, place) = (try topic("a"), TopicPartition(try topic("a"), 1))
            try log.createTopic(name, TopicConfiguration(partitions: 2))
            for index in 0..<20 { try log.append(name, "\(index)", partition: index % 2) }
            log.discard(place, before: 4)
            log.discard(place, before: 3)
            log.discard(TopicPartition(name, 7), before: 3)
            log.discard(TopicPartition(try topic("missing"), 0), before: 3)
            try eventually("the first to go") { try log.bounds(of: place).start == 4 }
            try expectEqual(try log.bounds(of: place), OffsetBounds(start: 4, end: 10), "the bounds")
            try expectEqual(try log.texts(name, 1), ["9", "11", "13", "15", "17", "19"], "what is left")
            try expectEqual(try log.everything(name, 0).count, 10, "the other partition")
            log.discard(place, before: 10)
            try eventually("all to go") { try log.texts(name, 1).isEmpty }
            try expectEqual(try log.append(name, "20", partition: 1).offset, 10, "offsets go on")
        }
    }

    func retentionBySize() throws {
        try self.withLog { log, clock in
            let name = try topic("a")
            let size = Int64(record(name, "00").block.count)
            try log.createTopic(name, TopicConfiguration(partitions: 2, retentionBytes: 10 * size))
            for index in 10..<40 {
                clock.advance(by: .milliseconds(1))
                try log.append(name, "\(index)", partition: index % 2)
            }
            try eventually("the bound") {
                try log.everything(name, 0).count + log.everything(name, 1).count <= 10
            }
            try expectEqual(try log.texts(name, 0), ["30", "32", "34", "36", "38"], "the newest of partition 0")
            try expectEqual(try log.texts(name, 1), ["31", "33", "35", "37", "39"], "the newest of partition 1")
            try expectEqual(try log.bounds(of: TopicPartition(name, 0)), OffsetBounds(start: 10, end: 15), "the bounds")
        }
    }

    func retentionIsAltered() throws {
        try self.withLog { log, clock in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration())
            for index in 0..<5 { try log.append(name, "\(index)") }
            clock.advance(by: .seconds(1_000))
            try log.append(name, "5")
            try expectEqual(try log.texts(name).count, 6, "without retention all stay")
            try log.alterTopic(name, TopicConfiguration(retentionTime: .seconds(500)))
            try eventually("the end of the old") { try log.texts(name) == ["5"] }
        }
    }

    /// Runs `before` on a log, restarts it, and runs `after` on what came back. Nothing to do for a log that keeps
    /// nothing.
    private func acrossRestart(
        before: (any EventLog, ManualClock) throws -> Void, after: (any EventLog, ManualClock) throws -> Void
    ) throws {
        guard let reopen = self.factory.reopen else { return }
        let clock = ManualClock()
        let log = try self.factory.make(clock)
        let identity = log.identity
        try before(log, clock)
        let reopened = try reopen(log, clock)
        defer { reopened.close() }
        try expectEqual(reopened.identity, identity, "the identity")
        try after(reopened, clock)
    }

    func everythingSurvives() throws {
        let name = try topic("a")
        let compacted = try topic("c")
        let configuration = TopicConfiguration(partitions: 3, retentionTime: .seconds(1_000), retentionBytes: 1 << 30)
        try self.acrossRestart { log, clock in
            try log.createTopic(name, configuration)
            try log.createTopic(compacted, TopicConfiguration(isCompacted: true))
            for index in 0..<30 { try log.append(name, "\(index)", partition: index % 3) }
            for index in 0..<9 { try log.append(compacted, "\(index)", key: "\(index % 3)") }
            clock.advance(by: .seconds(5))
            _ = try log.write(LogBatch(urgency: .settlement, ledger: [LogBatch.LedgerWrite(key: [1, 2], value: [3])]))
        } after: { log, clock in
            try expectEqual(log.topics(), [name, compacted], "the topics")
            try expectEqual(log.topic(name), configuration, "the configuration")
            try expectEqual(try log.texts(name, 1), stride(from: 1, to: 30, by: 3).map { "\($0)" }, "the records")
            try expectEqual(try log.ledger(prefix: [1]).map(\.value), [[3]], "the ledger")
            try log.append(compacted, "new", key: "1")
            try expectEqual(try log.texts(compacted), ["6", "8", "new"], "compaction goes on")
            clock.set(.zero)
            try log.append(name, "late", partition: 0)
            let times = try log.everything(name).map(\.event.timestamp)
            try expect(times == times.sorted(), "time does not run backwards across a restart")
        }
    }

    func offsetsSurvive() throws {
        let name = try topic("a")
        let compacted = try topic("c")
        try self.acrossRestart { log, clock in
            try log.createTopic(name, TopicConfiguration(retentionTime: .seconds(10)))
            try log.createTopic(compacted, TopicConfiguration(isCompacted: true))
            for index in 0..<4 { try log.append(name, "\(index)") }
            try log.append(compacted, "x", key: "k")
            try log.append(compacted, nil, key: "k")
            clock.advance(by: TimeSpan(microseconds: self.factory.tombstoneTime.microseconds + 100_000_000))
            try eventually("the end of all") { try log.texts(name).isEmpty && log.texts(compacted).isEmpty }
        } after: { log, _ in
            try expectEqual(try log.bounds(of: TopicPartition(name, 0)), OffsetBounds(start: 4, end: 4), "the bounds")
            try expectEqual(try log.append(name, "next").offset, 4, "the next offset")
            try expectEqual(
                try log.append(compacted, "next", key: "k").offset, 2, "the next offset of the compacted topic")
            try expectEqual(try log.texts(compacted), ["next"], "what is there")
        }
    }
}
