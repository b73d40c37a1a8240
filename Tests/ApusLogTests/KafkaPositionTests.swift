import ApusCore
import ApusTestSupport
import CRDKafka
import Synchronization
import Testing

@testable import ApusLog

/// Positions as offsets of groups, on a real Kafka.
@Suite(.serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)))
struct KafkaPositionTests {
    private static let group = "apus.default.reader.in"

    private struct Site {
        let kafka: KafkaFixture
        let topic: TopicName
        let said = Said()

        final class Said: Sendable {
            let lines = Mutex<[String]>([])
        }

        init() throws {
            let said = self.said
            self.kafka = try KafkaFixture {
                $0.sharing = KafkaLogConfiguration.Sharing(node: "node", sessionMilliseconds: 6_000)
                $0.positionsInterval = .milliseconds(50)
                $0.observer = KafkaObserver(log: { level, client, text in
                    if level <= 4 { said.lines.withLock { $0.append("\(client): \(text)") } }
                })
            }
            self.topic = try LogFixture.topic("in")
        }

        func open() throws -> KafkaLog {
            let log = try KafkaLog(self.kafka.configuration) {
                Timestamp(milliseconds: LogWriter.monotonicMilliseconds())
            }
            if log.topic(self.topic) == nil { try log.createTopic(self.topic, TopicConfiguration(partitions: 2)) }
            return log
        }

        func term(_ log: KafkaLog, partition: Int) throws -> ShareTerm {
            let share = Share.of(self.topic, partition: partition, .cpu)
            let found = Mutex<UInt64>(0)
            let watch = try #require(log.sharing).watch { change in
                if case .working(let term) = change, term.share == share { found.withLock { $0 = term.term } }
            }
            defer { log.sharing?.unwatch(watch) }
            try LogFixture.eventually("the share is worked", seconds: 40) { found.withLock { $0 } > 0 }
            return ShareTerm(share, term: found.withLock { $0 })
        }

        func position(_ partition: Int, _ offset: Offset?) -> GroupPosition {
            GroupPosition(
                group: KafkaPositionTests.group, place: TopicPartition(self.topic, partition), offset: offset)
        }

        func settle(_ log: KafkaLog, _ term: ShareTerm, partition: Int, _ offset: Offset?) throws {
            _ = try LogFixture.write(
                log,
                LogBatch(
                    urgency: .settlement,
                    ledger: [
                        LogBatch.LedgerWrite(
                            key: Array("k/\(partition)".utf8), value: offset.map { [UInt8($0)] }, share: term.share,
                            position: self.position(partition, offset))
                    ], owner: term))
        }

        /// What Kafka's own tools would be told, and what they would set.
        func tool() throws -> GroupOffsets {
            GroupOffsets(
                client: try KafkaClient(
                    self.kafka.configuration, .positions(group: "\(self.kafka.configuration.topicPrefix)tool"),
                    name: "tool"))
        }

        func shown(_ offsets: [(partition: Int, offset: Offset)] = [(0, -1), (1, -1)]) -> GroupOffsets.Group {
            let prefix = self.kafka.configuration.topicPrefix
            return GroupOffsets.Group(
                name: prefix + KafkaPositionTests.group,
                places: offsets.map {
                    GroupOffsets.Place(topic: prefix + self.topic.onLog, partition: $0.partition, offset: $0.offset)
                })
        }

        func offsets(_ tool: GroupOffsets) throws -> [Offset] {
            try tool.committed([self.shown()])[0].get().map(\.offset)
        }
    }

    /// Behaviours 9, 14: each partition shows where its subscription is, and a position that is gone goes.
    @Test func aGroupShowsWhereItsSubscriptionIs() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let log = try site.open()
        defer { log.close() }
        let tool = try site.tool()
        let terms = [try site.term(log, partition: 0), try site.term(log, partition: 1)]
        #expect(try site.offsets(tool) == [-1001, -1001])
        try site.settle(log, terms[0], partition: 0, 7)
        try site.settle(log, terms[1], partition: 1, 9)
        try LogFixture.eventually("both are shown", seconds: 30) { try site.offsets(tool) == [7, 9] }
        try site.settle(log, terms[0], partition: 0, 8)
        try LogFixture.eventually("one has moved on", seconds: 30) { try site.offsets(tool) == [8, 9] }
        try site.settle(log, terms[1], partition: 1, nil)
        try LogFixture.eventually("one is gone", seconds: 30) { try site.offsets(tool) == [8, -1001] }
        // The library itself tells of a coordinator that is still loading.
        #expect(site.said.lines.withLock { $0.filter { $0.contains("-positions: ") } } == [])
    }

    /// Behaviour 9: what an operator set is found by whoever looks, is not written over, and is done once it was followed. A missing
    /// position is nobody's order.
    @Test func whatAnOperatorSetIsFoundAndKeptUntilItIsFollowed() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let log = try site.open()
        defer { log.close() }
        let tool = try site.tool()
        let positions = try #require(log.positions)
        let term = try site.term(log, partition: 0)
        try site.settle(log, term, partition: 0, 7)
        try LogFixture.eventually("it is shown", seconds: 30) { try site.offsets(tool)[0] == 7 }
        #expect(try positions.moves(of: [site.position(0, 7), site.position(1, 3)], in: nil) == [nil, nil])

        _ = try tool.set([site.shown([(0, 2)])])[0].get()
        #expect(try positions.moves(of: [site.position(0, 7)], in: nil) == [2])
        try site.settle(log, term, partition: 0, 8)
        try LogFixture.eventually("it is told of", seconds: 30) {
            site.said.lines.withLock { $0.contains { $0.contains("was set to 2 by somebody else") } }
        }
        #expect(try site.offsets(tool)[0] == 2)
        #expect(positions.waiting == [site.position(0, 2)])

        try site.settle(log, term, partition: 0, 2)
        try positions.followed([site.position(0, 2)])
        #expect(try positions.moves(of: [site.position(0, 2)], in: nil) == [nil])
        #expect(positions.waiting.isEmpty)
        try site.settle(log, term, partition: 0, 4)
        try LogFixture.eventually("it goes on from there", seconds: 30) { try site.offsets(tool)[0] == 4 }

        _ = try tool.remove([site.shown([(0, -1)])])[0].get()
        #expect(try positions.moves(of: [site.position(0, 4)], in: nil) == [nil])
    }

    /// More groups than are asked for at one time.
    @Test func manyGroupsAreAskedForTogether() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let log = try site.open()
        defer { log.close() }
        let tool = try site.tool()
        let prefix = site.kafka.configuration.topicPrefix
        let groups = (0..<Limits.Kafka.groupsAtOnce * 2 + 1).map { number in
            GroupOffsets.Group(
                name: "\(prefix)g\(number)",
                places: [GroupOffsets.Place(topic: prefix + "in", partition: 0, offset: Offset(number), note: "n")])
        }
        for answer in try tool.set(groups) { _ = try answer.get() }
        let found = try tool.committed(groups)
        for (number, answer) in found.enumerated() {
            let place = try #require(try answer.get().first)
            #expect(place.offset == Offset(number) && place.note == "n")
        }
        for answer in try tool.remove(groups) { _ = try answer.get() }
    }

    // MARK: who works what

    @Test func eachNodeSeesWhoWorksWhichShare() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let first = try site.open()
        defer { first.close() }
        _ = try site.term(first, partition: 0)
        func owners(_ log: KafkaLog) -> [String] { log.sharing?.nodes.map(\.node) ?? [] }
        try LogFixture.eventually("one works all", seconds: 40) {
            owners(first) == Array(repeating: "node", count: Share.count)
                && first.sharing?.nodes.allSatisfy { $0.status.state == .working } ?? false
        }
        var other = site.kafka.configuration
        other.sharing?.node = "the other one"
        let second = try KafkaLog(other) { Timestamp(milliseconds: LogWriter.monotonicMilliseconds()) }
        defer { second.close() }
        try LogFixture.eventually("both see the same of both", seconds: 60) {
            guard let nodes = first.sharing?.nodes, let others = second.sharing?.nodes else { return false }
            return nodes == others && nodes.count == Share.count && Set(nodes.map(\.node)).count == 2
                && nodes.allSatisfy { $0.status.state == .working && $0.status.since > .zero }
        }
    }

    // MARK: what is read

    /// Nothing is fetched of partitions that no follower needs; one that is needed again is read from its end, and one that is added is.
    @Test func whatNoFollowerNeedsIsNotRead() throws {
        let site = try Site()
        defer { site.kafka.deleteTopics() }
        let log = try site.open()
        defer { log.close() }
        let ends = Mutex<[Int: Offset]>([:])
        let token = log.follow(site.topic) { partition, end in ends.withLock { $0[partition] = end } }
        func append(_ partition: Int) throws {
            _ = try LogFixture.write(
                log,
                LogBatch(urgency: .producer, appends: [LogFixture.append(site.topic, bytes: 10, partition: partition)]))
        }
        for partition in 0..<2 { try append(partition) }
        try LogFixture.eventually("both are heard of", seconds: 30) { ends.withLock { $0 } == [0: 1, 1: 1] }
        log.narrow(token, without: [1])
        let known = try #require(log.topicsKnown[site.topic]).partitions
        try LogFixture.eventually("one is let go", seconds: 30) { !known[1].isFollowed }
        let before = log.reader.counters.records.load(ordering: .relaxed)
        for _ in 0..<50 { try append(1) }
        try append(0)
        try LogFixture.eventually("the other is heard of", seconds: 30) { ends.withLock { $0[0] } == 2 }
        #expect(log.reader.counters.records.load(ordering: .relaxed) == before + 1)
        #expect(ends.withLock { $0[1] } == 1)
        #expect(try log.bounds(of: TopicPartition(site.topic, 1)).end == 51)
        log.narrow(token, without: [])
        try LogFixture.eventually("it is heard of again", seconds: 30) { ends.withLock { $0[1] } == 51 }
        log.narrow(token, without: [0, 1])
        try log.alterTopic(site.topic, TopicConfiguration(partitions: 3))
        try append(2)
        try LogFixture.eventually("what was added is heard of", seconds: 30) { ends.withLock { $0[2] } == 1 }
        log.unfollow(token)
    }
}
