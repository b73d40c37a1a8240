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
        let fates = Fates()

        init(log: HeldLog = HeldLog(), journal: CInt = 2) throws {
            self.log = log
            try log.createTopic(.control, TopicConfiguration(partitions: 1, isCompacted: true))
            let fates = self.fates
            self.control = Control(
                log: log, journal: Log(descriptor: journal),
                fateOf: { (id, place) throws(ApusError) in fates.fate(of: id, after: place) }
            ) { [recorder] new, _ in recorder.add(new) }
            try self.control.replay()
        }

        var seen: [[Catalogue.Change]] { self.recorder.all }

        /// From now on what is written cannot be put into effect.
        func failToApply(_ error: ApusError) { self.recorder.fail(error) }

        func deploy(_ yaml: String, bundle: Character = "a", ifMatch: UInt64? = nil, isDryRun: Bool = false) throws
            -> [ControlDecision.Outcome]
        {
            let documents = try Manifest.parse(yaml, file: "test.yaml").map { manifest in
                guard case .function = manifest else { return DeployDocument(manifest: manifest) }
                return DeployDocument(manifest: manifest, bundle: String(repeating: bundle, count: 64))
            }
            return try self.control.perform(.deploy(documents, ifMatch: ifMatch, isDryRun: isDryRun)).get().outcomes
        }

        var records: Offset { (try? self.log.bounds(of: TopicPartition(.control, 0)).end) ?? -1 }
    }

    /// What the projection would say, and what it was asked to have seen.
    private final class Fates: Sendable {
        private let known = Mutex<[DeadLetterID: ControlRecord.DeadLetterFate]>([:])
        let asked = Mutex<[RecordPlace?]>([])

        func decide(_ id: DeadLetterID, _ fate: ControlRecord.DeadLetterFate) { self.known.withLock { $0[id] = fate } }

        func fate(of id: DeadLetterID, after place: RecordPlace?) -> ControlRecord.DeadLetterFate? {
            self.asked.withLock { $0.append(place) }
            return self.known.withLock { $0[id] }
        }
    }

    private final class Recorder: Sendable {
        private let changes = Mutex<[[Catalogue.Change]]>([])
        var all: [[Catalogue.Change]] { self.changes.withLock { $0 } }
        private let failure = Mutex<ApusError?>(nil)
        func add(_ new: [Catalogue.Change]) -> ApusError? {
            self.changes.withLock { $0.append(new) }
            return self.failure.withLock { $0 }
        }
        func fail(_ error: ApusError) { self.failure.withLock { $0 = error } }
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
        expectRefusal(.conflict) { () throws(ApusError) in
            try test.control.perform(.deleteFunction(price, ifMatch: 1)).get()
        }
        let deleted = try test.control.perform(.deleteFunction(price, ifMatch: 2)).get().outcomes
        #expect(deleted.map(\.action) == [.deleted])
        #expect(test.control.catalogue.functions.isEmpty)
        expectRefusal(.functionNotFound) { () throws(ApusError) in
            try test.control.perform(.deleteFunction(price, ifMatch: nil)).get()
        }
        let again = try test.deploy(Self.function)
        #expect(again.map(\.action) == [.created])
        #expect(try #require(again.first).generation > 2)
        test.control.stop()
    }

    @Test func deletesATopicWithItsRecordsOnlyWhenNoFunctionReadsIt() throws {
        let test = try Case()
        _ = try test.deploy(Self.topic + Self.function)
        expectRefusal(.conflict) { () throws(ApusError) in
            try test.control.perform(.deleteTopic(.default, "orders", ifMatch: nil)).get()
        }
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
        let documents = try Manifest.parse(Self.function, file: "f").map {
            DeployDocument(manifest: $0, bundle: String(repeating: "a", count: 64))
        }
        _ = try test.control.perform(.deploy(documents, ifMatch: nil, isDryRun: false), appends: [append]).get()
        #expect(test.log.batches == [1, 2])
        #expect(try test.log.bounds(of: TopicPartition(orders, 1)).end == 1)
        test.control.stop()
    }

    @Test func deletesTheTopicsItMadeWhenTheWriteFails() throws {
        let test = try Case()
        test.log.set(.failing)
        do {
            _ = try test.deploy(Self.topic + Self.function)
            Issue.record("accepted")
        } catch let error as ApusError { #expect(error.code == .logFailed) }
        #expect(test.log.topics() == [.control])
        test.log.set(.open)
        #expect(try test.deploy(Self.topic + Self.function).map(\.action) == [.created, .created])
        test.control.stop()
    }

    @Test func keepsATopicThatWasThereBeforeAWriteThatFails() throws {
        let test = try Case()
        let orders = try #require(TopicName(.default, "orders"))
        try test.log.createTopic(orders, try #require(try Self.manifestConfiguration()))
        test.log.set(.failing)
        do {
            _ = try test.deploy(Self.topic)
            Issue.record("accepted")
        } catch let error as ApusError { #expect(error.code == .logFailed) }
        #expect(test.log.topic(orders) != nil)
        test.control.stop()
    }

    private static func manifestConfiguration() throws -> TopicConfiguration? {
        for case .topic(let topic) in try Manifest.parse(Self.topic, file: "t") { return topic.configuration }
        return nil
    }

    @Test func tellsItsCallerWhatCouldNotBePutIntoEffect() throws {
        let test = try Case()
        test.failToApply(ApusError(.logDamaged, "price is deployed but cannot run: its position cannot be read"))
        do {
            _ = try test.deploy(Self.topic + Self.function)
            Issue.record("accepted")
        } catch let error as ApusError {
            #expect(error.code == .logDamaged && error.message.contains("cannot run"))
        }
        #expect(test.control.catalogue.functions.count == 1, "it is deployed all the same: the record is on the log")
        test.control.stop()
    }

    @Test func saysWhichRecordShowsWhatItDid() throws {
        let test = try Case()
        let documents = try Manifest.parse(Self.topic, file: "t").map { DeployDocument(manifest: $0) }
        let control = TopicPartition(.control, 0)
        #expect(try test.control.perform(.deploy(documents, ifMatch: nil, isDryRun: true)).get().position == nil)
        #expect(
            try test.control.perform(.deploy(documents, ifMatch: nil, isDryRun: false)).get().position
                == RecordPlace(control, 0))
        _ = try test.deploy(Self.function)
        let unchanged = try test.control.perform(.deploy(documents, ifMatch: nil, isDryRun: false)).get()
        #expect(unchanged.position == RecordPlace(control, 1), "whoever finds it there already must see it too")
        test.control.stop()
    }

    @Test func answersShuttingDownAfterItsEnd() throws {
        let test = try Case()
        test.control.stop()
        let price = try #require(ResourceName(.default, "price"))
        expectRefusal(.shuttingDown) { () throws(ApusError) in
            try test.control.perform(.deleteFunction(price, ifMatch: nil)).get()
        }
    }

    @Test func redrivesADeadLetterOnceWithTheRecordThatSaysSo() throws {
        let test = try Case()
        _ = try test.deploy(Self.topic + Self.function)
        let orders = try #require(TopicName(.default, "orders"))
        let reason = DeadLetterReason(
            topic: "orders", partition: 1, offset: 5, attempts: 3, code: "function_failed", message: "boom",
            namespace: "default",
            function: "price", trigger: "orders", time: .zero, revision: "r")
        var dead = Event(key: Array("k".utf8), data: Array("1e400".utf8))
        dead.attributes = [
            Attribute("id", "7"), Attribute("mine", "kept", kind: .header),
            Attribute(InternalHeader.hops, "2", kind: .header),
        ]
        dead.attributes += reason.attributes
        let append = try Redrive(reason: reason, event: dead).append(test.control.catalogue, test.log)
        let id = DeadLetterID(logIdentity: 1, topic: .dead, partition: 0, offset: 9)
        let command = ControlCommand.decideFate(id, .default, .redriven)
        #expect(try test.control.perform(command, appends: [append]).get().outcomes.map(\.action) == [.redriven])
        #expect(test.log.batches == [2, 2], "fate and event are one transaction")
        test.fates.decide(id, .redriven)
        expectRefusal(.conflict) { () throws(ApusError) in try test.control.perform(command, appends: [append]).get() }
        let control = TopicPartition(.control, 0)
        #expect(
            test.fates.asked.withLock { $0 } == [RecordPlace(control, 1), RecordPlace(control, 2)],
            "what is asked has seen every write before")
        #expect(test.log.batches == [2, 2])

        var redriven: [Event] = []
        _ = try test.log.read(TopicPartition(orders, 1), from: 0, maxRecords: 10, maxBytes: 1 << 20) { _, block in
            if let event = try? EventBlock.decode(block.bytes) { redriven.append(event) }
            return true
        }
        let event = try #require(redriven.first)
        #expect(redriven.count == 1 && event.key == dead.key && event.data == dead.data)
        let headers = event.attributes.filter { $0.kind == .header }
        #expect(Set(headers.map(\.name)) == ["mine", InternalHeader.hops, InternalHeader.redrive])
        #expect(headers.first { $0.name == InternalHeader.redrive }?.text == "default/price/orders")
        test.control.stop()
    }

    @Test func redrivesNothingThatNobodyWouldTake() throws {
        let test = try Case()
        _ = try test.deploy(Self.topic + Self.function)
        var reason = DeadLetterReason(
            topic: "orders", partition: 7, offset: 5, attempts: 3, code: "c", message: "", namespace: "default",
            function: "price",
            trigger: "orders", time: .zero, revision: "r")
        let catalogue = test.control.catalogue
        #expect(
            try Redrive(reason: reason, event: Event(data: [])).append(catalogue, test.log).partition == 1,
            "the last there is")
        reason.trigger = "other"
        expectRefusal(.conflict) { () throws(ApusError) in
            try Redrive(reason: reason, event: Event(data: [])).append(catalogue, test.log)
        }
        reason.function = "gone"
        expectRefusal(.conflict) { () throws(ApusError) in
            try Redrive(reason: reason, event: Event(data: [])).append(catalogue, test.log)
        }
        test.control.stop()
    }

    @Test func readsBackWhatWasDeployedAndPassesOverWhatItCannotRead() throws {
        let first = try Case()
        _ = try first.deploy(Self.topic + Self.function)
        let deployed = first.control.catalogue
        let garbage = LogBatch.Append(
            topic: .control, partition: 0, block: EventBlock.encode(Event(key: [1], data: Array("{".utf8))))
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
