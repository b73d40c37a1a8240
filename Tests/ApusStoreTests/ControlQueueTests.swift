import ApusCore
import ApusManifest
import Testing

@testable import ApusStore

@Suite struct ControlQueueTests {
    var control = ControlFixture()

    private func code(_ body: () throws -> Void) -> ErrorCode? { #expect(throws: ApusError.self) { try body() }?.code }

    @Test mutating func functionAndTopicsComeTogetherTopicsFirst() throws {
        let yaml =
            ControlFixture.function("embed", "{topic: documents, replyTo: embeddings}")
            + ControlFixture.topic("documents")
            + ControlFixture.topic("embeddings", partitions: 1, compact: true)
        let outcomes = try self.control.deploy(yaml)
        #expect(outcomes.map(\.action) == [.created, .created, .created])
        #expect(
            self.control.records.map(\.key) == [
                "Topic/default/documents", "Topic/default/embeddings", "Function/default/embed",
            ])
        #expect(self.control.topicChanges.count == 2)
        let function = try #require(self.control.queue.catalogue.functions.values.first)
        #expect(function.generation == 1)
        // What comes with the deploy holds nothing: whatever `from` says, it starts at 0.
        #expect(function.triggers.map(\.deployment.starts) == [[0, 0]])
    }

    @Test mutating func aDeployWithAMissingTopicWritesNothing() throws {
        var copy = self.control
        let yaml =
            ControlFixture.topic("documents")
            + ControlFixture.function(
                "embed", "{topic: documents, replyTo: nowhere, deadLetter: gone}", extra: "emits: [alerts]")
        let error = #expect(throws: ApusError.self) { try copy.deploy(yaml) }
        #expect(error?.code == .topicNotFound)
        for name in ["nowhere", "gone", "alerts"] { #expect(error?.message.contains("'\(name)'") == true) }
        #expect(error?.message.contains("test.yaml:") == true)
        #expect(copy.records.isEmpty)
        #expect(copy.queue.catalogue.topics.isEmpty)
    }

    @Test mutating func aTableNeedsACompactedTopicAndDeadLettersNeedOneThatIsNot() throws {
        _ = try self.control.deploy(ControlFixture.topic("plain") + ControlFixture.topic("compacted", compact: true))
        var copy = self.control
        #expect(
            self.code { _ = try copy.deploy(ControlFixture.function("f", "{topic: plain, table: true}")) }
                == .manifestInvalid)
        #expect(
            self.code { _ = try copy.deploy(ControlFixture.function("f", "{topic: plain, deadLetter: compacted}")) }
                == .manifestInvalid
        )
        #expect(
            try copy.deploy(ControlFixture.function("f", "{topic: compacted, table: true}")).map(\.action) == [.created]
        )
    }

    @Test mutating func unchangedContentWritesNoRecord() throws {
        let yaml = ControlFixture.topic("documents") + ControlFixture.function("embed", "{topic: documents}")
        let first = try self.control.deploy(yaml)
        let count = self.control.records.count
        let second = try self.control.deploy(yaml)
        #expect(second.map(\.action) == [.unchanged, .unchanged])
        #expect(second.last?.revision == first.last?.revision)
        #expect(second.last?.generation == 1)
        #expect(self.control.records.count == count)
        let third = try self.control.deploy(yaml, bundle: ControlFixture.otherBundle)
        #expect(third.map(\.action) == [.unchanged, .updated])
        #expect(third.last?.revision != first.last?.revision)
    }

    @Test mutating func aTriggerThatStaysKeepsItsGenerationAndStart() throws {
        _ = try self.control.deploy(ControlFixture.topic("documents"))
        _ = try self.control.deploy(ControlFixture.function("embed", "{topic: documents, from: latest}"))
        self.control.end = 99
        _ = try self.control.deploy(
            ControlFixture.function("embed", "{topic: documents, from: latest}", extra: "timeout: 5s"))
        let function = try #require(self.control.queue.catalogue.functions.values.first)
        #expect(function.generation == 2)
        #expect(function.triggers.map(\.deployment.generation) == [1])
        #expect(function.triggers.map(\.deployment.starts) == [[42, 42]])
    }

    @Test mutating func aTriggerOfAnotherNameOrTopicStartsAnew() throws {
        _ = try self.control.deploy(ControlFixture.topic("documents") + ControlFixture.topic("others"))
        _ = try self.control.deploy(ControlFixture.function("embed", "{topic: documents, name: in, from: latest}"))
        _ = try self.control.deploy(ControlFixture.function("embed", "{topic: others, name: in, from: earliest}"))
        let trigger = try #require(self.control.queue.catalogue.functions.values.first?.triggers.first)
        #expect(trigger.deployment.generation == 2)
        #expect(trigger.deployment.starts == [7, 7])
    }

    @Test mutating func aDeletedAndRecreatedFunctionStartsAnewUnderNewIds() throws {
        let yaml = ControlFixture.function("embed", "{topic: documents}")
        _ = try self.control.deploy(ControlFixture.topic("documents"))
        _ = try self.control.deploy(yaml)
        let name = try #require(ResourceName(.default, "embed"))
        let before = try #require(self.control.queue.catalogue.functions[name])
        #expect(try self.control.run(.deleteFunction(name, ifMatch: nil)).map(\.action) == [.deleted])
        #expect(self.control.queue.catalogue.functions.isEmpty)
        #expect(try self.control.deploy(yaml).map(\.action) == [.created])
        let after = try #require(self.control.queue.catalogue.functions[name])
        #expect(after.generation == 3)
        #expect(after.revision == before.revision)
        #expect(after.id != before.id)
        #expect(after.triggers[0].id != before.triggers[0].id)
        #expect(after.triggers[0].ledgerPrefix != before.triggers[0].ledgerPrefix)
    }

    @Test mutating func aTopicInUseIsNotDeleted() throws {
        _ = try self.control.deploy(
            ControlFixture.topic("a") + ControlFixture.topic("b")
                + ControlFixture.function("f", "{topic: a, replyTo: b}")
        )
        var copy = self.control
        for topic in ["a", "b"] {
            #expect(self.code { _ = try copy.run(.deleteTopic(.default, topic, ifMatch: nil)) } == .conflict)
        }
        _ = try copy.run(.deleteFunction(try #require(ResourceName(.default, "f")), ifMatch: nil))
        _ = try copy.run(.deleteTopic(.default, "a", ifMatch: nil))
        #expect(copy.topicChanges.last == .delete(try #require(TopicName(.default, "a"))))
        #expect(self.code { _ = try copy.run(.deleteTopic(.default, "a", ifMatch: nil)) } == .topicNotFound)
    }

    @Test mutating func aMissingFunctionIsNotFound() throws {
        var copy = self.control
        let name = try #require(ResourceName(.default, "none"))
        #expect(self.code { _ = try copy.run(.deleteFunction(name, ifMatch: nil)) } == .functionNotFound)
    }

    @Test mutating func ifMatchHoldsAgainstTheGeneration() throws {
        var copy = self.control
        #expect(self.code { _ = try copy.deploy(ControlFixture.topic("a"), ifMatch: 1) } == .conflict)
        #expect(try copy.deploy(ControlFixture.topic("a"), ifMatch: 0).map(\.generation) == [1])
        #expect(self.code { _ = try copy.deploy(ControlFixture.topic("a", partitions: 3), ifMatch: 0) } == .conflict)
        #expect(try copy.deploy(ControlFixture.topic("a", partitions: 3), ifMatch: 1).map(\.generation) == [2])
        _ = try copy.run(.deleteTopic(.default, "a", ifMatch: 2))
        #expect(try copy.deploy(ControlFixture.topic("a"), ifMatch: 0).map(\.generation) == [4])
    }

    @Test mutating func aTopicsPartitionsGrowAndItsKindStays() throws {
        _ = try self.control.deploy(
            ControlFixture.topic("a", partitions: 2) + ControlFixture.topic("c", partitions: 2, compact: true))
        var copy = self.control
        #expect(self.code { _ = try copy.deploy(ControlFixture.topic("a", partitions: 1)) } == .conflict)
        #expect(self.code { _ = try copy.deploy(ControlFixture.topic("a", compact: true)) } == .conflict)
        #expect(self.code { _ = try copy.deploy(ControlFixture.topic("c", partitions: 3, compact: true)) } == .conflict)
        #expect(try copy.deploy(ControlFixture.topic("a", partitions: 4)).map(\.action) == [.updated])
        // A trigger made together with more partitions starts at 0 on those, at `from` on the others.
        _ = try copy.deploy(
            ControlFixture.topic("a", partitions: 5) + ControlFixture.function("f", "{topic: a, from: latest}"))
        #expect(copy.queue.catalogue.functions.values.first?.triggers[0].deployment.starts == [42, 42, 42, 42, 0])
    }

    @Test mutating func aDryRunDecidesAndWritesNothing() throws {
        let documents = try ControlFixture.documents(ControlFixture.topic("a"))
        #expect(try self.control.run(.deploy(documents, ifMatch: nil, isDryRun: true)).map(\.action) == [.created])
        #expect(self.control.records.isEmpty)
        #expect(self.control.queue.catalogue.topics.isEmpty)
    }

    @Test mutating func aFunctionWithoutABundleIsRefused() throws {
        _ = try self.control.deploy(ControlFixture.topic("a"))
        var copy = self.control
        #expect(
            self.code { _ = try copy.deploy(ControlFixture.function("f", "{topic: a}"), bundle: "") } == .bundleNotFound
        )
    }

    @Test mutating func aFateIsDecidedAndForgotten() throws {
        let id = DeadLetterID(logIdentity: 1, topic: .dead, partition: 0, offset: 3)
        #expect(try self.control.run(.decideFate(id, .default, .redriven)).map(\.action) == [.redriven])
        #expect(try self.control.run(.forgetFates([ForgottenFate(id: id, namespace: .default)])).isEmpty)
    }

    @Test func oneWriteIsUnderWayAtATime() throws {
        var queue = ControlQueue()
        let a = try ControlFixture.documents(ControlFixture.topic("a"))
        try queue.submit(.deploy(a, ifMatch: nil, isDryRun: false), id: 1, deadline: .distantFuture)
        try queue.submit(.deploy(a, ifMatch: nil, isDryRun: false), id: 2, deadline: .distantFuture)
        guard case .write(1, _) = queue.next(now: .zero, resolve: { _, _ in 0 }) else {
            Issue.record("the first is not written")
            return
        }
        #expect(queue.next(now: .zero, resolve: { _, _ in 0 }) == nil)
        #expect(queue.committed()?.command == 1)
        // Decided against what the first made: nothing is left to do.
        guard case .answer(2, .done(let outcomes)) = queue.next(now: .zero, resolve: { _, _ in 0 }) else {
            Issue.record("the second is not answered")
            return
        }
        #expect(outcomes.map(\.action) == [.unchanged])
        #expect(queue.committed() == nil)
    }

    @Test func aFailedWriteChangesNothing() throws {
        var queue = ControlQueue()
        let a = try ControlFixture.documents(ControlFixture.topic("a"))
        try queue.submit(.deploy(a, ifMatch: nil, isDryRun: false), id: 1, deadline: .distantFuture)
        _ = queue.next(now: .zero, resolve: { _, _ in 0 })
        let failed = queue.failed(ApusError(.diskFull, "full"))
        #expect(failed?.command == 1)
        #expect(failed?.answer == .failed(code: .diskFull, message: "full"))
        #expect(queue.catalogue.topics.isEmpty)
    }

    @Test func aWritePastItsDeadlineIsExpiredAndNeverApplied() throws {
        var queue = ControlQueue()
        let a = try ControlFixture.documents(ControlFixture.topic("a"))
        try queue.submit(.deploy(a, ifMatch: nil, isDryRun: false), id: 1, deadline: Timestamp(microseconds: 10))
        guard
            case .answer(1, .failed(code: .expired, _)) = queue.next(
                now: Timestamp(microseconds: 10), resolve: { _, _ in 0 })
        else {
            Issue.record("not expired")
            return
        }
        #expect(queue.next(now: .zero, resolve: { _, _ in 0 }) == nil)
    }

    @Test func waitingWritesAreBounded() throws {
        var queue = ControlQueue()
        let a = try ControlFixture.documents(ControlFixture.topic("a"))
        for id in 0..<Limits.Control.waitingWrites {
            try queue.submit(.deploy(a, ifMatch: nil, isDryRun: false), id: UInt64(id), deadline: .distantFuture)
        }
        let error = #expect(throws: ApusError.self) {
            try queue.submit(.deploy(a, ifMatch: nil, isDryRun: false), id: 0, deadline: .distantFuture)
        }
        #expect(error?.code == .overloaded)
    }

    @Test func documentsOfADeployAreBounded() throws {
        let one = try ControlFixture.documents(ControlFixture.topic("a"))[0]
        var queue = ControlQueue()
        let many = [DeployDocument](repeating: one, count: Limits.Control.documentsPerDeploy + 1)
        for documents in [[], many] {
            try queue.submit(.deploy(documents, ifMatch: nil, isDryRun: false), id: 0, deadline: .distantFuture)
            guard case .answer(_, .failed(code: .manifestInvalid, _)) = queue.next(now: .zero, resolve: { _, _ in 0 })
            else {
                Issue.record("\(documents.count) documents were taken")
                return
            }
        }
    }
}
