import ApusCore
import ApusLoop
import ApusManifest
import ApusStore
import ApusTelemetry
import Glibc
import Synchronization
import Testing

@testable import ApusServer

@Suite struct ControlTests {
    private final class Case: Sendable {
        let log: HeldLog
        let control: Control
        private let recorder = Recorder()

        init(log: HeldLog = HeldLog(), journal: CInt = 2) throws {
            self.log = log
            try log.createTopic(.control, TopicConfiguration(partitions: 1, isCompacted: true))
            self.control = Control(log: log, journal: Log(descriptor: journal)) { [recorder] new, _ in recorder.add(new) }
            try self.control.replay()
        }

        var seen: [[Catalogue.Change]] { self.recorder.all }

        func deploy(_ yaml: String, bundle: Character = "a", ifMatch: UInt64? = nil, isDryRun: Bool = false) throws -> [ControlDecision.Outcome] {
            let documents = try Manifest.parse(yaml, file: "test.yaml").map { manifest in
                guard case .function = manifest else { return DeployDocument(manifest: manifest) }
                return DeployDocument(manifest: manifest, bundle: String(repeating: bundle, count: 64))
            }
            return try self.control.perform(.deploy(documents, ifMatch: ifMatch, isDryRun: isDryRun)).get()
        }

        var records: Offset { (try? self.log.bounds(of: TopicPartition(.control, 0)).end) ?? -1 }
    }

    private final class Recorder: Sendable {
        private let changes = Mutex<[[Catalogue.Change]]>([])
        var all: [[Catalogue.Change]] { self.changes.withLock { $0 } }
        func add(_ new: [Catalogue.Change]) { self.changes.withLock { $0.append(new) } }
    }

    private static let topic = """
        ---
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: orders}
        spec: {partitions: 2}

        """
    private static let function = """
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: price}
        spec:
          runtime: python3
          handler: main:handle
          source: .
          triggers: [{topic: orders}]

        """

    @Test func deploysAllDocumentsInOneTransaction() throws {
        let test = try Case()
        let outcomes = try test.deploy(Self.topic + Self.function)
        #expect(outcomes.map(\.action) == [.created, .created])
        #expect(outcomes.map(\.generation) == [1, 1])
        #expect(test.log.batches == [2])
        #expect(test.seen.map(\.count) == [2])
        let orders = try #require(TopicName(.default, "orders"))
        #expect(test.log.topic(orders)?.partitions == 2)
        #expect(test.control.catalogue.functions.keys.map(\.name) == ["price"])
        test.control.stop()
    }

    @Test func writesNothingForWhatIsThereAlready() throws {
        let test = try Case()
        _ = try test.deploy(Self.topic + Self.function)
        #expect(try test.deploy(Self.topic + Self.function).map(\.action) == [.unchanged, .unchanged])
        #expect(test.records == 2)
        #expect(test.seen.count == 1)
        test.control.stop()
    }

    @Test func writesNothingForADryRun() throws {
        let test = try Case()
        #expect(try test.deploy(Self.topic + Self.function, isDryRun: true).map(\.action) == [.created, .created])
        #expect(test.records == 0 && test.seen.isEmpty && test.control.catalogue.functions.isEmpty)
        #expect(test.log.topics() == [.control])
        test.control.stop()
    }

    @Test func changesAndDeletesWithAGrowingGeneration() throws {
        let test = try Case()
        _ = try test.deploy(Self.topic + Self.function)
        let changed = try test.deploy(Self.function, bundle: "b")
        #expect(changed.map(\.action) == [.updated] && changed.map(\.generation) == [2])
        let price = try #require(ResourceName(.default, "price"))
        expectRefusal(.conflict) { () throws(ApusError) in try test.control.perform(.deleteFunction(price, ifMatch: 1)).get() }
        let deleted = try test.control.perform(.deleteFunction(price, ifMatch: 2)).get()
        #expect(deleted.map(\.action) == [.deleted])
        #expect(test.control.catalogue.functions.isEmpty)
        expectRefusal(.functionNotFound) { () throws(ApusError) in try test.control.perform(.deleteFunction(price, ifMatch: nil)).get() }
        let again = try test.deploy(Self.function)
        #expect(again.map(\.action) == [.created])
        #expect(try #require(again.first).generation > 2)
        test.control.stop()
    }

    @Test func deletesATopicWithItsRecordsOnlyWhenNoFunctionReadsIt() throws {
        let test = try Case()
        _ = try test.deploy(Self.topic + Self.function)
        expectRefusal(.conflict) { () throws(ApusError) in try test.control.perform(.deleteTopic(.default, "orders", ifMatch: nil)).get() }
        let price = try #require(ResourceName(.default, "price"))
        _ = try test.control.perform(.deleteFunction(price, ifMatch: nil)).get()
        _ = try test.control.perform(.deleteTopic(.default, "orders", ifMatch: nil)).get()
        #expect(test.log.topics() == [.control])
        test.control.stop()
    }

    @Test func leavesTheCatalogueAsItWasWhenTheWriteFails() throws {
        let test = try Case()
        _ = try test.deploy(Self.topic)
        let before = test.control.catalogue.functions.count
        test.log.set(.failing)
        do {
            _ = try test.deploy(Self.function)
            Issue.record("accepted")
        } catch let error as ApusError {
            #expect(error.code == .logFailed)
        }
        #expect(test.control.catalogue.functions.count == before)
        #expect(test.seen.count == 1)
        #expect(test.records == 1)
        // What could not be written can be tried again.
        test.log.set(.open)
        #expect(try test.deploy(Self.function).map(\.action) == [.created])
        #expect(test.control.catalogue.functions.count == 1)
        test.control.stop()
    }

    @Test func writesFurtherRecordsInTheSameTransaction() throws {
        let test = try Case()
        _ = try test.deploy(Self.topic)
        let orders = try #require(TopicName(.default, "orders"))
        let append = LogBatch.Append(topic: orders, partition: 1, block: EventBlock.encode(Event(data: [1])))
        let documents = try Manifest.parse(Self.function, file: "f").map { DeployDocument(manifest: $0, bundle: String(repeating: "a", count: 64)) }
        _ = try test.control.perform(.deploy(documents, ifMatch: nil, isDryRun: false), appends: [append]).get()
        #expect(test.log.batches == [1, 2])
        #expect(try test.log.bounds(of: TopicPartition(orders, 1)).end == 1)
        test.control.stop()
    }

    @Test func readsBackWhatWasDeployedAndPassesOverWhatItCannotRead() throws {
        let first = try Case()
        _ = try first.deploy(Self.topic + Self.function)
        let deployed = first.control.catalogue
        let garbage = LogBatch.Append(topic: .control, partition: 0, block: EventBlock.encode(Event(key: [1], data: Array("{".utf8))))
        first.log.submit(LogBatch(urgency: .settlement, appends: [garbage])) { _ in }
        first.control.stop()

        let null = open("/dev/null", O_WRONLY | O_CLOEXEC)
        defer { close(null) }
        let second = try Case(log: first.log, journal: null)
        #expect(second.control.catalogue.functions == deployed.functions)
        #expect(second.control.catalogue.topics == deployed.topics)
        #expect(second.seen.isEmpty, "what was there before is no change")
        second.control.stop()
    }

    @Test func performsOneCommandAfterAnother() throws {
        let test = try Case()
        test.log.set(.held)
        let order = Mutex<[Int]>([])
        let done = (0..<3).map { _ in ResultSlot<Bool>() }
        for index in 0..<3 {
            let topic = "---\napiVersion: apus.dev/v1\nkind: Topic\nmetadata: {name: t\(index)}\nspec: {}\n"
            let documents = try Manifest.parse(topic, file: "t").map { DeployDocument(manifest: $0) }
            test.control.perform(.deploy(documents, ifMatch: nil, isDryRun: false)) { answer in
                order.withLock { $0.append(index) }
                if case .success = answer { done[index].fill(true) } else { done[index].fill(false) }
            }
        }
        // The first write is held, so nothing may have been answered; then each lets the next go.
        for index in 0..<3 {
            let deadline = SystemClock().now + .seconds(30)
            while test.log.waitingCount == 0, SystemClock().now < deadline { sched_yield() }
            #expect(order.withLock { $0.count } == index)
            test.log.releaseOne()
            #expect(done[index].take())
        }
        #expect(order.withLock { $0 } == [0, 1, 2])
        test.control.stop()
    }
}
