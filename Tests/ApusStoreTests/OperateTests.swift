import ApusCore
import ApusEngine
import ApusManifest
import Testing

@testable import ApusStore

/// Pausing, resuming, rolling back; what is kept for it.
@Suite struct OperateTests {
    private let name = ResourceName(.default, "f")

    private func control(_ triggers: String = "{topic: a}") throws -> ControlFixture {
        var control = ControlFixture()
        _ = try control.deploy(
            ControlFixture.topic("a") + ControlFixture.topic("b") + ControlFixture.function("f", triggers))
        return control
    }

    private func deploy(_ control: inout ControlFixture, _ number: Int, triggers: String = "{topic: a}") throws
        -> String
    {
        control.now = control.now + .seconds(1)
        let bundle = String(repeating: String(number % 10), count: 64)
        let text = ControlFixture.function("f", triggers, extra: "env: {N: '\(number)'}")
        return try #require(try control.deploy(text, bundle: bundle).first?.revision)
    }

    /// What a restart reads: the newest record of each key, in the order of the log, through their bytes.
    private func replayed(_ records: [ControlRecord]) throws -> Catalogue {
        var newest: [String: Int] = [:]
        for (index, record) in records.enumerated() { newest[record.key] = index }
        var catalogue = Catalogue()
        for index in newest.values.sorted() { _ = try catalogue.apply(try ControlRecord(records[index].event)) }
        return catalogue
    }

    // MARK: pausing

    @Test func aPauseHoldsThroughDeploysAndRestartsUntilItIsEnded() throws {
        var control = try self.control("{topic: a}, {topic: b}")
        let name = try #require(self.name)
        control.now = control.now + .seconds(5)
        #expect(try control.run(.pause(PauseTarget(name), principal: "ada")).first?.action == .paused)
        #expect(try control.run(.pause(PauseTarget(name), principal: "bob")).first?.action == .unchanged)
        let function = try #require(control.queue.catalogue.functions[name])
        #expect(function.isPaused && function.plan.isPaused && function.pausedTriggers == ["a", "b"])
        #expect(function.pauses.function == Pauses.Pause(principal: "ada", since: control.now))
        _ = try self.deploy(&control, 1, triggers: "{topic: a}, {topic: b}")
        #expect(control.queue.catalogue.functions[name]?.isPaused == true)
        #expect(try self.replayed(control.records).functions[name]?.isPaused == true)
        #expect(try control.run(.resume(PauseTarget(name))).first?.action == .resumed)
        #expect(try control.run(.resume(PauseTarget(name))).first?.action == .unchanged)
        #expect(try self.replayed(control.records).functions[name]?.plan.isPaused == false)
    }

    @Test func aTriggerIsPausedByItselfAndHearsNothingOfTheOthers() throws {
        var control = try self.control("{topic: a}, {topic: b}, {schedule: '@daily'}")
        let name = try #require(self.name)
        _ = try control.run(.pause(PauseTarget(name, trigger: "b"), principal: "ada"))
        _ = try control.run(.pause(PauseTarget(name, trigger: "schedule"), principal: "ada"))
        let plan = try #require(control.queue.catalogue.functions[name]?.plan)
        #expect(!plan.isPaused && plan.triggers.map(\.isPaused) == [false, true])
        let restarted = try self.replayed(control.records)
        #expect(restarted.functions[name]?.pausedTriggers == ["b", "schedule"])
        // The change is one that the shards hear of.
        guard case .functionApplied(let after, let before) = control.changes.last else {
            Issue.record("no change of a function")
            return
        }
        #expect(after.generation == before?.generation && before?.isPaused("schedule") == false)
    }

    @Test func aManifestsPauseStaysWhenTheOperatorsEnds() throws {
        var control = try self.control("{topic: a, paused: true}")
        let name = try #require(self.name)
        _ = try control.run(.pause(PauseTarget(name, trigger: "a"), principal: "ada"))
        _ = try control.run(.resume(PauseTarget(name, trigger: "a")))
        #expect(control.queue.catalogue.functions[name]?.isPaused("a") == true)
    }

    @Test func aPauseEndsWithWhatItPaused() throws {
        var control = try self.control("{topic: a}, {topic: b}")
        let name = try #require(self.name)
        _ = try control.run(.pause(PauseTarget(name, trigger: "b"), principal: "ada"))
        _ = try control.run(.pause(PauseTarget(name), principal: "ada"))
        _ = try self.deploy(&control, 1, triggers: "{topic: a}")
        _ = try self.deploy(&control, 2, triggers: "{topic: a}, {topic: b}")
        #expect(try self.replayed(control.records).functions[name]?.pauses.triggers.isEmpty == true)
        #expect(try self.replayed(control.records).functions[name]?.isPaused == true)
        _ = try control.run(.deleteFunction(name, ifMatch: nil))
        _ = try self.deploy(&control, 3)
        #expect(try self.replayed(control.records).functions[name]?.isPaused == false)
    }

    @Test func whatCannotBePausedIsTold() throws {
        var control = ControlFixture()
        _ = try control.deploy(
            ControlFixture.topic("a") + ControlFixture.topic("t", compact: true)
                + ControlFixture.function("f", "{topic: a}, {topic: t, table: true}"))
        let name = try #require(self.name)
        let other = try #require(ResourceName(.default, "g"))
        for (target, code) in [
            (PauseTarget(other), ErrorCode.functionNotFound), (PauseTarget(name, trigger: "x"), .notFound),
            (PauseTarget(name, trigger: "t"), .invalidArgument),
        ] {
            do { _ = try control.run(.pause(target, principal: "ada")) } catch let error as ApusError {
                #expect(error.code == code)
                continue
            }
            Issue.record("\(target) was paused")
        }
    }

    // MARK: rolling back

    @Test func rollingBackReturnsToWhatWasDeployedBefore() throws {
        var control = try self.control()
        let name = try #require(self.name)
        let first = try #require(control.queue.catalogue.functions[name])
        let second = try self.deploy(&control, 2, triggers: "{topic: a}, {topic: b}")
        #expect(control.queue.catalogue.revisions(of: name).map(\.revision) == [second, first.revision])
        let outcome = try #require(try control.run(.rollback(name, revision: nil, ifMatch: 2)).first)
        #expect(outcome.action == .updated && outcome.generation == 3 && outcome.revision == first.revision)
        let function = try #require(control.queue.catalogue.functions[name])
        #expect(function.bundle == first.bundle && function.manifest == first.manifest)
        // What stays keeps its position; what comes back starts anew.
        #expect(function.triggers == first.triggers)
        #expect(control.queue.catalogue.revisions(of: name).map(\.revision) == [first.revision, second])
        // And forth again.
        _ = try control.run(.rollback(name, revision: String(second.prefix(8)), ifMatch: nil))
        let forth = try #require(control.queue.catalogue.functions[name])
        #expect(forth.revision == second && forth.triggers.map(\.deployment.generation) == [1, 4])
        let restarted = try self.replayed(control.records)
        #expect(restarted.revisions(of: name) == control.queue.catalogue.revisions(of: name))
        #expect(restarted.bundlesInUse == control.queue.catalogue.bundlesInUse && restarted.bundlesInUse.count == 2)
    }

    @Test(arguments: [1, 3, 50])
    func asManyRevisionsAreKeptAsIsConfigured(count: Int) throws {
        var control = try self.control()
        let catalogue = control.queue.catalogue
        control.queue = ControlQueue(revisionsPerFunction: count)
        for record in control.records { _ = try control.queue.follow(record) }
        #expect(control.queue.catalogue.functions == catalogue.functions)
        let name = try #require(self.name)
        for number in 1...count + 2 { _ = try self.deploy(&control, number) }
        for catalogue in [control.queue.catalogue, try self.replayed(control.records)] {
            #expect(catalogue.revisions(of: name).count == count)
        }
    }

    @Test func asManyRevisionsAreKeptAsTheLimitSays() throws {
        var control = try self.control()
        let name = try #require(self.name)
        var revisions = [try #require(control.queue.catalogue.functions[name]?.revision)]
        for number in 1...Limits.Control.revisionsPerFunction + 3 {
            revisions.append(try self.deploy(&control, number))
        }
        let kept = Array(revisions.reversed().prefix(Limits.Control.revisionsPerFunction))
        for catalogue in [control.queue.catalogue, try self.replayed(control.records)] {
            #expect(catalogue.revisions(of: name).map(\.revision) == kept)
            #expect(catalogue.bundlesInUse.count <= Limits.Control.revisionsPerFunction)
        }
        #expect(throws: ApusError.self) { try control.run(.rollback(name, revision: revisions[0], ifMatch: nil)) }
        // Going back and forth loses none.
        for _ in 0..<30 { _ = try control.run(.rollback(name, revision: nil, ifMatch: nil)) }
        #expect(Set(control.queue.catalogue.revisions(of: name).map(\.revision)) == Set(kept))
        _ = try control.run(.deleteFunction(name, ifMatch: nil))
        #expect(try self.replayed(control.records).bundlesInUse.isEmpty)
    }

    @Test func whatCannotBeReturnedToIsTold() throws {
        var control = try self.control()
        let name = try #require(self.name)
        func refusal(_ revision: String?, _ control: inout ControlFixture) -> ErrorCode? {
            do { _ = try control.run(.rollback(name, revision: revision, ifMatch: nil)) } catch {
                return (error as? ApusError)?.code
            }
            return nil
        }
        #expect(refusal(nil, &control) == .revisionNotFound)
        #expect(refusal("zz", &control) == .revisionNotFound)
        #expect(refusal("", &control) == .revisionNotFound)
        for number in 1...9 { _ = try self.deploy(&control, number) }
        // Of ten names in hexadecimal some begin alike, or none does.
        let names = control.queue.catalogue.revisions(of: name).map(\.revision)
        if let twice = names.first(where: { one in names.filter { $0.prefix(1) == one.prefix(1) }.count > 1 }) {
            #expect(refusal(String(twice.prefix(1)), &control) == .invalidArgument)
        }
        // A topic that it needs is gone.
        _ = try self.deploy(&control, 10, triggers: "{topic: b}")
        _ = try control.run(.deleteTopic(.default, "a", ifMatch: nil))
        #expect(refusal(nil, &control) == .topicNotFound)
        // The one that runs is no change.
        let current = try #require(control.queue.catalogue.functions[name]?.revision)
        #expect(try control.run(.rollback(name, revision: current, ifMatch: nil)).first?.action == .unchanged)
    }

    // MARK: schedules

    @Test func aScheduleThatStaysGoesOnAndAChangedOneStartsAnew() throws {
        var control = try self.control(
            "{schedule: '@daily'}, {schedule: {cron: '0 9 * * *', zone: UTC}, name: mornings}")
        let name = try #require(self.name)
        let first = try #require(control.queue.catalogue.functions[name]?.schedules)
        #expect(
            first.map(\.deployment)
                == ["schedule", "mornings"].map { ScheduleDeployment(name: $0, generation: 1, since: control.now) })
        _ = try self.deploy(
            &control, 1,
            triggers:
                "{schedule: {cron: '@daily', missed: all}}, {schedule: {cron: '0 9 * * *', zone: Europe/Paris}, name: mornings}"
        )
        let second = try #require(control.queue.catalogue.functions[name]?.schedules)
        #expect(second.map(\.deployment.generation) == [1, 2] && second[1].deployment.since == control.now)
        #expect(try self.replayed(control.records).functions[name]?.schedules == second)
    }
}
