import ApusCore
import ApusLoop
import ApusStore
import ApusTestSupport
import Synchronization
import Testing

@testable import ApusServer

/// Requests with an idempotency key, where several nodes share a log.
@Suite struct KeyedWriteTests {
    private static let topic = TopicName(onLog: "orders")

    private static func key(_ number: UInt8) -> [UInt8] { Array(repeating: number, count: Limits.logKeyBytes) }

    private static func batch(_ number: UInt8, _ text: String, events: Int = 1, bytes: Int = 0) throws -> LogBatch {
        let topic = try #require(Self.topic)
        var event = Event(data: Array(text.utf8) + Array(repeating: 0, count: bytes))
        event["id"] = text
        let append = LogBatch.Append(topic: topic, block: EventBlock.encode(event))
        return LogBatch(
            urgency: .producer, appends: Array(repeating: append, count: events),
            once: LogBatch.Once(key: Self.key(number), fingerprint: Array(text.utf8), keptUntil: .distantFuture))
    }

    private static func submit(_ node: SharedNode, _ batch: LogBatch) throws -> LogReceipt {
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        node.control.submitKeyed(batch) { slot.fill($0) }
        return try slot.take().get()
    }

    private static func code(_ body: () throws -> Void) -> ErrorCode? {
        do { try body() } catch { return (error as? ApusError)?.code ?? .internal }
        return nil
    }

    private static func cluster() throws -> MemoryCluster {
        let cluster = try MemoryCluster.make()
        try cluster.log.createTopic(try #require(Self.topic), TopicConfiguration())
        return cluster
    }

    private static let all = 0..<Limits.ControlCommands.partitions

    @Test func anyNodeTakesItAndOneDecidesWhoeverOwnsTheKey() throws {
        let cluster = try Self.cluster()
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0, partitions: Self.all)
        let first = try Self.submit(nodes[1], Self.batch(1, "a"))
        #expect(!first.isRepeated)
        for node in nodes {
            let again = try Self.submit(node, Self.batch(1, "a"))
            #expect(again.isRepeated)
            #expect(again.places == first.places)
            #expect(again.timestamp == first.timestamp)
            #expect(Self.code { _ = try Self.submit(node, Self.batch(1, "b")) } == .conflict)
        }
        // The other takes over, and knows it.
        cluster.move(to: 1, partitions: Self.all)
        for node in nodes {
            #expect(try Self.submit(node, Self.batch(1, "a")).places == first.places)
            #expect(Self.code { _ = try Self.submit(node, Self.batch(1, "b")) } == .conflict)
        }
        #expect(try cluster.log.bounds(of: TopicPartition(try #require(Self.topic), 0)).end == 1)
    }

    @Test func aWriteWhoseOwnerIsLostTakesEffectOnce() throws {
        let cluster = try Self.cluster()
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0, partitions: Self.all)
        // Written, and the owner is gone before it hears of it: whoever comes next decides the command again.
        cluster.fail(.losesTheOwner)
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        nodes[1].control.submitKeyed(try Self.batch(1, "a")) { slot.fill($0) }
        let place = TopicPartition(try #require(Self.topic), 0)
        #expect(waitUntil(seconds: 20) { (try? cluster.log.bounds(of: place).end) == 1 })
        cluster.move(to: 1, isTold: false, partitions: Self.all)
        #expect(try slot.take().get().places.map(\.offset) == [0])
        #expect(try Self.submit(nodes[0], Self.batch(1, "a")).places.map(\.offset) == [0])
        #expect(try cluster.log.bounds(of: place).end == 1)
    }

    @Test func aLogThatRefusesForAMomentIsTriedAgain() throws {
        let cluster = try Self.cluster()
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0, partitions: Self.all)
        cluster.fail(.refuses)
        #expect(try !Self.submit(nodes[1], Self.batch(1, "a")).isRepeated)
        #expect(try cluster.log.bounds(of: TopicPartition(try #require(Self.topic), 0)).end == 1)
    }

    @Test func withoutAnOwnerTheCallerIsToldAndTheRequestIsNotAcceptedLater() throws {
        let cluster = try Self.cluster()
        let node = try SharedNode(cluster, node: 0, deadline: .milliseconds(300))
        defer { node.stop() }
        #expect(Self.code { _ = try Self.submit(node, Self.batch(1, "a")) } == .commandUnanswered)
        cluster.move(to: 0, partitions: Self.all)
        #expect(try !Self.submit(node, Self.batch(2, "b")).isRepeated)
        let place = TopicPartition(try #require(Self.topic), 0)
        #expect(
            waitUntil(seconds: 20) { node.control.counters.decided.load(ordering: .relaxed) >= 1 })
        #expect(try cluster.log.bounds(of: place).end == 1, "what was past its deadline was not written")
    }

    @Test func whatIsRefusedIsSaidAndMayBeTriedAgain() throws {
        let cluster = try MemoryCluster.make()
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0, partitions: Self.all)
        for node in nodes {
            #expect(Self.code { _ = try Self.submit(node, Self.batch(1, "a")) } == .topicNotFound)
        }
        try cluster.log.createTopic(try #require(Self.topic), TopicConfiguration())
        #expect(try !Self.submit(nodes[1], Self.batch(1, "a")).isRepeated)
    }

    @Test func oneCommandHoldsItOrItIsRefused() throws {
        let cluster = try Self.cluster()
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0, partitions: Self.all)
        for (number, node) in nodes.enumerated() {
            let most = try Self.batch(UInt8(number), "a", events: Limits.ControlCommands.appends)
            #expect(try Self.submit(node, most).places.count == Limits.ControlCommands.appends)
            let more = try Self.batch(9, "a", events: Limits.ControlCommands.appends + 1)
            #expect(Self.code { _ = try Self.submit(node, more) } == .invalidArgument)
            let large = try Self.batch(10, "a", bytes: Limits.eventBytes - 1_024)
            #expect(try Self.submit(node, large).places.count == 1, "an event of the largest size has room")
            let larger = try Self.batch(11, "a", bytes: Limits.ControlCommands.keyedBytes)
            #expect(Self.code { _ = try Self.submit(node, larger) } == .invalidArgument)
        }
    }

    @Test func anOwnerHasSoManyUnderWayAndReadsNoMore() {
        let progress = Control.KeyedProgress()
        #expect(progress.room == Limits.ControlCommands.keyedInFlight)
        progress.inFlight.store(Limits.ControlCommands.keyedInFlight - 1, ordering: .relaxed)
        #expect(progress.room == 1)
        for count in [0, 1] {
            progress.inFlight.store(Limits.ControlCommands.keyedInFlight + count, ordering: .relaxed)
            #expect(progress.room == 0)
        }
    }

    /// Above its bound an owner leaves commands where they lie, and takes them up as those before them are answered.
    @Test func anOwnerSubmitsNoMoreThanItsBoundAndTheRestFollows() throws {
        let cluster = try Self.cluster()
        // More than one node may have waiting: two of them ask.
        let nodes = try (0..<3).map { try SharedNode(cluster, node: $0, deadline: .seconds(300)) }
        defer { for node in nodes { node.stop() } }
        let bound = Limits.ControlCommands.keyedInFlight
        let total = bound + 2
        cluster.holdSubmissions()
        let answers = Mutex<[Result<LogReceipt, ApusError>]>([])
        for number in 0..<total {
            var batch = try Self.batch(1, "event \(number)")
            // All of one partition, and so of one owner.
            var key = Self.key(1)
            key.replaceSubrange(8..<12, with: (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * $0)) })
            batch.once = LogBatch.Once(key: key, fingerprint: [1], keptUntil: .distantFuture)
            nodes[1 + number % 2].control.submitKeyed(batch) { result in answers.withLock { $0.append(result) } }
        }
        let place = TopicPartition(.commands, KeyedCommand.partition(of: Self.key(1)))
        #expect(waitUntil(seconds: 60) { (try? cluster.log.bounds(of: place).end) == Offset(total) }, "all wait")
        cluster.move(to: 0, partitions: Self.all)
        #expect(waitUntil(seconds: 60) { cluster.held == bound })
        // One that ends makes room for one.
        cluster.release(1)
        #expect(waitUntil(seconds: 60) { answers.withLock { $0.count } == 1 && cluster.held == bound })
        cluster.release(nil)
        #expect(waitUntil(seconds: 60) { answers.withLock { $0.count } == total })
        #expect(cluster.mostHeld == bound)
        #expect(answers.withLock { $0.allSatisfy { (try? $0.get().isRepeated) == false } })
        #expect(try cluster.log.bounds(of: TopicPartition(try #require(Self.topic), 0)).end == Offset(total))
    }

    @Test func commandsAreReadBackAndDamageIsNone() throws {
        let batch = try Self.batch(3, "a")
        let command = try KeyedCommand.command(
            batch, try #require(batch.once), id: CommandID(high: 1, low: 2), deadline: Timestamp(microseconds: 5))
        let read = try Command(command.event())
        #expect(read == command)
        #expect(KeyedCommand.batch(read)?.once?.key == batch.once?.key)
        #expect((1..<Limits.ControlCommands.partitions).contains(read.partition))
        var damaged = read
        damaged.payload.removeLast()
        #expect(KeyedCommand.batch(damaged) == nil)
        let receipt = LogReceipt(
            places: [LogReceipt.Place(partition: 1, offset: 7)], timestamp: Timestamp(microseconds: 9), isRepeated: true
        )
        let back = try KeyedCommand.receipt(KeyedCommand.encode(receipt))
        #expect(back.places == receipt.places && back.timestamp == receipt.timestamp && back.isRepeated)
        #expect(Self.code { _ = try KeyedCommand.receipt([]) } == .internal)
    }
}
