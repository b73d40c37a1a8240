import ApusCore
import ApusLoop
import ApusManifest
import ApusStore
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusServer

/// Control writes of several nodes on one log.
@Suite struct SharedControlTests {
    static let topic = "apiVersion: apus.dev/v1\nkind: Topic\nmetadata: {name: documents}\nspec: {partitions: 2}\n---\n"

    static func function(_ name: String, timeout: Int = 5) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec: {runtime: python3, handler: "main:f", source: ., timeout: \(timeout)s, triggers: [{topic: documents}]}
        ---

        """
    }

    static func keys(_ digits: String) throws -> MasterKeys {
        let folder = ScratchDirectory("key")
        let path = "\(folder.path)/key"
        let descriptor = open(path, O_WRONLY | O_CREAT, 0o600)
        let text = Array(String(repeating: digits, count: 32).utf8)
        #expect(write(descriptor, text, text.count) == text.count)
        close(descriptor)
        return try #require(try MasterKeyFile.given(path, credentials: nil, dataDirectory: "/nonexistent"))
    }

    private static func records(_ cluster: MemoryCluster, _ topic: TopicName) throws -> [(Offset, Event)] {
        var found: [(Offset, Event)] = []
        let place = TopicPartition(topic, 0)
        let bounds = try cluster.log.bounds(of: place)
        _ = try cluster.log.read(place, from: bounds.start, maxRecords: .max, maxBytes: .max) { offset, block in
            if let event = try? EventBlock.decode(block.bytes) { found.append((offset, event)) }
            return true
        }
        return found
    }

    /// A log that cannot be read at a take-over leaves nothing for good that goes with deciding, such as schedules.
    @Test func whatCannotBeginWithDecidingIsTriedAgain() throws {
        let cluster = try MemoryCluster.make()
        let begun = Mutex(0)
        let node = try SharedNode(cluster.log, MemoryOwnership(cluster, node: 0)) { control, _ in
            control.onDeciding.withLock {
                $0 = { (catalogue) throws(ApusError) in
                    guard catalogue != nil else { return }
                    let count = begun.withLock { begun in
                        begun += 1
                        return begun
                    }
                    if count < 3 { throw ApusError(.logFailed, "the test lets nothing begin") }
                }
            }
        }
        defer { node.stop() }
        cluster.move(to: 0)
        #expect(waitUntil(seconds: 20) { begun.withLock { $0 } == 3 && node.control.deciding.withLock { $0 } != nil })
        #expect(try node.deploy(Self.topic).outcomes.map(\.action) == [.created])
        #expect(begun.withLock { $0 } == 3)
    }

    @Test func aDeployOnOneNodeIsDeployedOnAll() throws {
        let cluster = try MemoryCluster.make()
        let nodes = try (0..<3).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 1)
        let done = try nodes[0].deploy(Self.topic + Self.function("embed"))
        #expect(done.outcomes.map(\.action) == [.created, .created])
        // Whoever is answered finds it here at once, and can say from where on others have it.
        #expect(nodes[0].control.catalogue.functions.count == 1)
        let place = try #require(done.position)
        for node in nodes {
            #expect(waitUntil(seconds: 20) { node.control.followed.load(ordering: .acquiring) > place.offset })
            #expect(node.control.catalogue.functions.count == 1)
            #expect(node.control.catalogue.topics.count == 1)
        }
        // The same again changes nothing, and is said to be where it was written.
        let again = try nodes[2].deploy(Self.topic + Self.function("embed"))
        #expect(again.outcomes.map(\.action) == [.unchanged, .unchanged])
        #expect(again.position == place)
    }

    /// Deploys one function on all nodes at the same time, each another revision of the same generation.
    /// - Returns: why the others were refused.
    static func race(_ nodes: [SharedNode], round: Int) -> [ErrorCode] {
        let results = Mutex<[ErrorCode]>([])
        let threads = nodes.map { _ in WorkThread() }
        for (index, node) in nodes.enumerated() {
            threads[index].run {
                let yaml = Self.function("f", timeout: 10 + nodes.count * round + index)
                do { _ = try node.deploy(yaml, ifMatch: UInt64(round)) } catch {
                    results.withLock { $0.append((error as? ApusError)?.code ?? .internal) }
                }
            }
        }
        for thread in threads { thread.stop() }
        return results.withLock { $0 }
    }

    @Test func oneOfTwoConflictingDeploysIsRefused() throws {
        let cluster = try MemoryCluster.make()
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0)
        _ = try nodes[0].deploy(Self.topic)
        for round in 0..<10 {
            let errors = Self.race(nodes, round: round)
            #expect(errors == [.conflict], "round \(round)")
        }
        let name = try #require(ResourceName(.default, "f"))
        #expect(nodes[0].control.catalogue.functions[name]?.generation == 10)
    }

    @Test func aWriteIsDecidedOnceThroughTheLossOfItsOwner() throws {
        let cluster = try MemoryCluster.make()
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0)
        _ = try nodes[1].deploy(Self.topic)
        // Written, but its owner never hears of it: the next one finds the answer.
        cluster.fail(.losesTheOwner)
        let first = try nodes[1].deploy(Self.function("a"))
        #expect(first.outcomes.map(\.action) == [.created])
        cluster.move(to: 1, isTold: false)
        let second = try nodes[0].deploy(Self.function("b"))
        #expect(second.outcomes.map(\.generation) == [1])
        // Not written: tried again by whoever owns it then.
        cluster.fail(.refuses)
        #expect(try nodes[0].deploy(Self.function("c")).outcomes.map(\.action) == [.created])
        let keys = try Self.records(cluster, .control).map { String(decoding: $0.1.key ?? [], as: UTF8.self) }
        #expect(
            keys == ["Topic/default/documents", "Function/default/a", "Function/default/b", "Function/default/c"])
    }

    @Test func withoutAnOwnerAWriteIsUnansweredAndNeverAppliedLater() throws {
        let cluster = try MemoryCluster.make()
        let node = try SharedNode(cluster, node: 0, deadline: .milliseconds(100))
        defer { node.stop() }
        let error = #expect(throws: ApusError.self) { try node.deploy(Self.topic) }
        #expect(error?.code == .commandUnanswered)
        let command = try #require(try Self.records(cluster, .commands).first?.1)
        let id = try Command(command).id
        #expect(error?.message.contains(id.description) == true)
        cluster.move(to: 0)
        #expect(try waitUntil(seconds: 20) { try Self.records(cluster, .answers).count == 1 })
        let answer = try CommandAnswer(try #require(try Self.records(cluster, .answers).first?.1))
        guard case .refused(.expired, _) = answer.outcome else {
            Issue.record("it was \(answer.outcome)")
            return
        }
        #expect(answer.id == id)
        // Asked under the same id once more, also of another owner: the same answer.
        cluster.move(to: nil)
        var again = try Command(command)
        again.deadline = SystemClock().now + .seconds(30)
        let append = LogBatch.Append(topic: .commands, partition: 0, block: EventBlock.encode(try again.event()))
        cluster.log.submit(LogBatch(urgency: .settlement, appends: [append])) { _ in }
        cluster.move(to: 0)
        #expect(try waitUntil(seconds: 20) { try Self.records(cluster, .answers).count == 2 })
        #expect(try CommandAnswer(try #require(try Self.records(cluster, .answers).last?.1)).outcome == answer.outcome)
        #expect(try Self.records(cluster, .control).isEmpty)
    }

    @Test func whatNoNodeOfTheClusterWroteIsIgnoredAndTheValidRecordIsWrittenAgain() throws {
        let cluster = try MemoryCluster.make()
        let seal = RecordSeal(try Self.keys("ab"))
        let nodes = try (0..<2).map { try SharedNode(cluster, node: $0, seal: seal) }
        defer { for node in nodes { node.stop() } }
        cluster.move(to: 0)
        let done = try nodes[1].deploy(Self.topic + Self.function("embed"))
        let valid = try #require(try Self.records(cluster, .control).last?.1)
        // Somebody who may write to the topic deletes the function, as a server would but for the seal.
        let name = try #require(ResourceName(.default, "embed"))
        var forged = ControlRecord(
            kind: .function, namespace: .default, name: "embed", generation: 2, time: .zero, content: .deleted
        ).event
        forged.attributes.append(Attribute(RecordSeal.header, "1:0000000000000000:00", kind: .header))
        let append = LogBatch.Append(topic: .control, partition: 0, block: EventBlock.encode(forged))
        cluster.log.submit(LogBatch(urgency: .settlement, appends: [append])) { _ in }
        let place = try #require(done.position)
        #expect(
            waitUntil(seconds: 20) {
                nodes.allSatisfy { $0.control.followed.load(ordering: .acquiring) > place.offset + 1 }
            })
        for node in nodes { #expect(node.control.catalogue.functions[name] != nil) }
        let sealed = try #require(nodes[1].log as? SealedLog)
        #expect(sealed.ignored.unknownKey == 1)
        #expect(try waitUntil(seconds: 20) { try Self.records(cluster, .control).count == 4 })
        #expect(try Self.records(cluster, .control).last?.1.attributes == valid.attributes)
        // A node that starts now has it, although the forged record is the newest but one.
        let late = try SharedNode(cluster, node: 2, seal: seal)
        defer { late.stop() }
        #expect(late.control.catalogue.functions[name]?.generation == 1)
    }

    @Test func anOlderRecordThatIsBroughtBackIsIgnored() throws {
        let cluster = try MemoryCluster.make()
        let seal = RecordSeal(try Self.keys("ab"))
        let node = try SharedNode(cluster, node: 0, seal: seal)
        defer { node.stop() }
        cluster.move(to: 0)
        _ = try node.deploy(Self.topic + Self.function("embed"))
        let old = try #require(try Self.records(cluster, .control).last?.1)
        _ = try node.deploy(Self.function("embed", timeout: 9))
        let append = LogBatch.Append(topic: .control, partition: 0, block: EventBlock.encode(old))
        cluster.log.submit(LogBatch(urgency: .settlement, appends: [append])) { _ in }
        #expect(waitUntil(seconds: 20) { node.control.counters.outdated.load(ordering: .relaxed) == 1 })
        let name = try #require(ResourceName(.default, "embed"))
        #expect(node.control.catalogue.functions[name]?.generation == 2)
        #expect(waitUntil(seconds: 20) { node.control.counters.repaired.load(ordering: .relaxed) == 1 })
        let last = try ControlRecord(try #require(try Self.records(cluster, .control).last?.1))
        #expect(last.generation == 2)
    }

    @Test func recordsUnderAnOlderKeyAreSealedAnewByTheOneThatDecides() throws {
        let cluster = try MemoryCluster.make()
        let old = try Self.keys("ab")
        let first = try SharedNode(cluster, node: 0, seal: RecordSeal(old))
        cluster.move(to: 0)
        _ = try first.deploy(Self.topic)
        cluster.move(to: nil)
        first.stop()
        let both = RecordSeal(try Self.keys("cd").after(old))
        let second = try SharedNode(cluster, node: 1, seal: both)
        defer { second.stop() }
        cluster.move(to: 1)
        #expect(waitUntil(seconds: 20) { second.control.counters.repaired.load(ordering: .relaxed) == 1 })
        // Whoever has the new key alone reads it.
        let alone = try SharedNode(cluster, node: 2, seal: RecordSeal(try Self.keys("cd")))
        defer { alone.stop() }
        #expect(alone.control.catalogue.topics.count == 1)
        let stranger = SealedLog(cluster.log, RecordSeal(try Self.keys("ef")))
        _ = try stranger.read(TopicPartition(.control, 0), from: 0, maxRecords: .max, maxBytes: .max) { _, _ in true }
        #expect(throws: ApusError.self) { try stranger.checkKeys() }
    }
}
