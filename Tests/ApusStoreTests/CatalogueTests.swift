import ApusCore
import ApusEngine
import ApusJSON
import Testing

@testable import ApusStore

@Suite struct CatalogueTests {
    /// Records of a history with updates and deletions.
    private func history() throws -> [ControlRecord] {
        var control = ControlFixture()
        _ = try control.deploy(
            ControlFixture.topic("a") + ControlFixture.topic("b", compact: true)
                + ControlFixture.function("f", "{topic: a, replyTo: b}")
        )
        _ = try control.deploy(
            ControlFixture.function("g", "{topic: b, table: true}, {topic: a, order: none, onExhausted: drop}"))
        _ = try control.deploy(
            ControlFixture.function("f", "{topic: a, replyTo: b}", extra: "batch: {maxSize: 4, maxWait: 5ms}"))
        _ = try control.run(.deleteFunction(try #require(ResourceName(.default, "g")), ifMatch: nil))
        return control.records
    }

    @Test func followingTheRecordsFromTheLogGivesTheSameState() throws {
        let records = try self.history()
        var live = Catalogue()
        for record in records { _ = try live.apply(record) }
        var replayed = Catalogue()
        // Through their bytes, as a restart reads them; compaction leaves the newest of each key.
        var newest: [String: Int] = [:]
        for (index, record) in records.enumerated() { newest[record.key] = index }
        for index in newest.values.sorted() { _ = try replayed.apply(try ControlRecord(records[index].event)) }
        #expect(replayed.topics == live.topics)
        #expect(replayed.functions.mapValues(\.revision) == live.functions.mapValues(\.revision))
        #expect(replayed.generation(.function, .default, "g") == 2)
        #expect(replayed.functions.keys.map(\.name) == ["f"])
    }

    @Test func aRevisionKeepsTheIdsOfItsFunctionAndTriggers() throws {
        var catalogue = Catalogue()
        var ids: [FunctionID] = []
        var triggers: [TriggerID] = []
        for record in try self.history() where record.name == "f" {
            guard case .functionApplied(let function, _) = try catalogue.apply(record) else { continue }
            ids.append(function.id)
            triggers.append(function.triggers[0].id)
        }
        #expect(ids.count == 2)
        #expect(Set(ids).count == 1)
        #expect(Set(triggers).count == 1)
        #expect(catalogue.function(ids[0])?.generation == 2)
    }

    @Test func changesSayWhatCameAndWent() throws {
        var catalogue = Catalogue()
        let changes = try self.history().map { record throws in try catalogue.apply(record) }
        let shown = changes.map { change in
            switch change {
            case .functionApplied(let function, let previous): "\(previous == nil ? "new" : "changed") \(function.name)"
            case .functionRemoved(let function): "removed \(function.name)"
            case .topicApplied(let topic, let previous): "\(previous == nil ? "new" : "changed") topic \(topic.name)"
            case .topicRemoved(let topic): "removed topic \(topic.name)"
            case .fateDecided, .principalApplied, .secretApplied, .toolServerChanged, .approvalChanged, .upstreamChanged,
                .toolSwitched, .none:
                "none"
            }
        }
        // A deploy also keeps the revision that it replaces, of which nobody else needs to hear.
        #expect(
            shown.filter { $0 != "none" } == ["new topic a", "new topic b", "new f", "new g", "changed f", "removed g"])
    }

    @Test func aRecordOfAnOlderGenerationSaysNothingNew() throws {
        var catalogue = Catalogue()
        let records = try self.history()
        for record in records { _ = try catalogue.apply(record) }
        for record in records { #expect(try catalogue.apply(record) == .none) }
    }

    @Test func aManifestThatCannotBeReadLeavesTheCatalogueAsItWas() throws {
        var catalogue = Catalogue()
        let record = ControlRecord(
            kind: .topic, namespace: .default, name: "a", generation: 1, time: .zero,
            content: .topic(manifest: ["kind": "Nonsense"])
        )
        #expect(#expect(throws: ApusError.self) { try catalogue.apply(record) }?.code == .logDamaged)
        #expect(catalogue.generation(.topic, .default, "a") == 0)
    }

    @Test func aFateIsToldAndNotKept() throws {
        var catalogue = Catalogue()
        let id = DeadLetterID(logIdentity: 1, topic: .dead, partition: 0, offset: 3)
        var record = ControlRecord(
            kind: .fate, namespace: .default, name: id.description, generation: 1, time: .zero, content: .fate(.dropped)
        )
        #expect(try catalogue.apply(record) == .fateDecided(id, .dropped))
        record.content = .deleted
        #expect(try catalogue.apply(record) == .none)
    }

    @Test func aFunctionsPlanSaysWhatItsManifestSays() throws {
        var control = ControlFixture()
        _ = try control.deploy(
            ControlFixture.topic("a") + ControlFixture.topic("t", compact: true)
                + ControlFixture.function(
                    "f",
                    "{topic: a, order: partition, retry: {attempts: 2, initial: 1s, max: 9s}, onExhausted: block}, {topic: t, table: true}",
                    extra: "concurrency: 3"
                )
        )
        let function = try #require(control.queue.catalogue.functions.values.first)
        let plan = function.plan
        #expect(plan.function == function.id)
        #expect(plan.concurrency == 3)
        #expect(plan.triggers.map(\.kind) == [.topic, .table])
        #expect(plan.triggers[0].order == .partition)
        #expect(plan.triggers[0].onExhausted == .block)
        #expect(plan.triggers[0].retry == RetryPlan(attempts: 2, initial: .seconds(1), max: .seconds(9)))
        #expect(!plan.triggers[0].hasOutputs)
        #expect(function.triggers[0].group == "apus.default.f.a")
    }
}
