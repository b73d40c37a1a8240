internal import ApusCore

extension EventLogContract {
    static let topicPromises: [Promise] = [
        Promise("a topic is there after it was made") { try $0.topicsAreMade() },
        Promise("making a topic again succeeds with the same configuration only") { try $0.topicsAreMadeOnce() },
        Promise("a topic without partitions, or with too many, is refused") { try $0.partitionsAreBounded() },
        Promise("a topic gets more partitions, never fewer, and a compacted one none") { try $0.topicsGrow() },
        Promise("a deleted topic is gone, and one of its name begins anew") { try $0.topicsAreDeleted() },
        Promise("what does not exist is not found") { try $0.unknownTopicsAreErrors() },
    ]

    func topicsAreMade() throws {
        try self.withLog { log, _ in
            let configuration = TopicConfiguration(partitions: 3, retentionTime: .seconds(60), retentionBytes: 1 << 20)
            try log.createTopic(try topic("b"), configuration)
            try log.createTopic(try topic("a"), TopicConfiguration())
            try expectEqual(log.topic(try topic("b")), configuration, "the configuration")
            try expectEqual(log.topics(), [try topic("a"), try topic("b")], "the topics")
            for partition in 0..<3 {
                try expectEqual(
                    try log.bounds(of: TopicPartition(try topic("b"), partition)), OffsetBounds(start: 0, end: 0),
                    "an empty partition")
            }
        }
    }

    func topicsAreMadeOnce() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 2))
            try log.append(name, "x", partition: 0)
            try log.createTopic(name, TopicConfiguration(partitions: 2))
            try expectEqual(try log.texts(name), ["x"], "the records")
            try expectError(.alreadyExists, "another configuration") {
                try log.createTopic(name, TopicConfiguration(partitions: 3))
            }
        }
    }

    func partitionsAreBounded() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try expectError(.invalidArgument, "no partition") {
                try log.createTopic(name, TopicConfiguration(partitions: 0))
            }
            try expectError(.invalidArgument, "too many") {
                try log.createTopic(name, TopicConfiguration(partitions: Limits.partitionsPerTopic + 1))
            }
            try log.createTopic(name, TopicConfiguration(partitions: Limits.partitionsPerTopic))
            let last = Limits.partitionsPerTopic - 1
            try log.append(name, "x", partition: last)
            try expectEqual(try log.texts(name, last), ["x"], "the last partition")
            try expectError(.invalidArgument, "a partition beyond the last") {
                try log.append(name, "x", partition: last + 1)
            }
            try expectError(.invalidArgument, "a negative partition") { try log.append(name, "x", partition: -1) }
            try expectError(.invalidArgument, "bounds beyond the last") {
                _ = try log.bounds(of: TopicPartition(name, last + 1))
            }
        }
    }

    func topicsGrow() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            try log.createTopic(name, TopicConfiguration(partitions: 1))
            try log.append(name, "x")
            try log.alterTopic(name, TopicConfiguration(partitions: 3, retentionTime: .seconds(9)))
            try expectEqual(
                log.topic(name), TopicConfiguration(partitions: 3, retentionTime: .seconds(9)), "the configuration")
            try log.append(name, "y", partition: 2)
            try expectEqual(try log.texts(name, 0), ["x"], "the old partition")
            try expectEqual(try log.texts(name, 2), ["y"], "the new partition")
            try expectError(.invalidArgument, "fewer partitions") {
                try log.alterTopic(name, TopicConfiguration(partitions: 2))
            }
            try expectError(.invalidArgument, "compacting afterwards") {
                try log.alterTopic(name, TopicConfiguration(partitions: 3, isCompacted: true))
            }
            let compacted = try topic("c")
            try log.createTopic(compacted, TopicConfiguration(partitions: 1, isCompacted: true))
            try expectError(.invalidArgument, "more partitions of a compacted topic") {
                try log.alterTopic(compacted, TopicConfiguration(partitions: 2, isCompacted: true))
            }
        }
    }

    func topicsAreDeleted() throws {
        try self.withLog { log, _ in
            let name = try topic("a")
            let other = try topic("other")
            try log.createTopic(name, TopicConfiguration(partitions: 2))
            try log.createTopic(other, TopicConfiguration())
            for index in 0..<300 {
                _ = try log.write(LogBatch(urgency: .producer, appends: [record(name, "\(index)")]))
            }
            try log.append(other, "stays")
            try log.deleteTopic(name)
            try expect(log.topic(name) == nil, "the topic is gone")
            try expectError(.topicNotFound, "reading it") { _ = try log.texts(name) }
            try expectError(.topicNotFound, "writing it") { try log.append(name, "x") }
            try log.createTopic(name, TopicConfiguration(partitions: 2))
            try expectEqual(
                try log.bounds(of: TopicPartition(name, 0)), OffsetBounds(start: 0, end: 0), "the new topic")
            let place = try log.append(name, "new", partition: 1)
            try expectEqual(place.offset, 0, "the first offset")
            try expectEqual(try log.texts(name, 1), ["new"], "the new record")
            try expectEqual(try log.texts(other), ["stays"], "another topic")
        }
    }

    func unknownTopicsAreErrors() throws {
        try self.withLog { log, _ in
            let name = try topic("missing")
            try expect(log.topic(name) == nil, "no configuration")
            try expectError(.topicNotFound, "bounds") { _ = try log.bounds(of: TopicPartition(name, 0)) }
            try expectError(.topicNotFound, "append") { try log.append(name, "x") }
            try expectError(.topicNotFound, "alter") { try log.alterTopic(name, TopicConfiguration()) }
            try expectError(.topicNotFound, "delete") { try log.deleteTopic(name) }
            try expectError(.topicNotFound, "offset") { _ = try log.offset(of: TopicPartition(name, 0), at: .zero) }
            try expectError(.topicNotFound, "records") {
                try log.records(at: [RecordPlace(TopicPartition(name, 0), 0)]) { _, _ in }
            }
        }
    }
}
