import ApusCore
import ApusEngine
import ApusJSON
import ApusManifest
import Testing

@testable import ApusStore

/// Deciding about replays, and what the catalogue makes of their records.
@Suite struct ReplayTests {
    var control = ControlFixture()
    private let name = ResourceName(.default, "embed").unsafelyUnwrapped

    private mutating func deploy(_ trigger: String = "{topic: documents}", extra: String = "") throws {
        _ = try self.control.deploy(
            ControlFixture.topic("documents") + ControlFixture.topic("others")
                + ControlFixture.function("embed", trigger, extra: extra))
    }

    private var catalogue: Catalogue { self.control.queue.catalogue }
    private var function: Catalogue.Function? { self.catalogue.functions[self.name] }

    private mutating func create(_ order: ReplayOrder = ReplayOrder(principal: "admin")) throws -> ReplayDeployment {
        _ = try self.control.run(.createReplay(self.name, order))
        return try #require(self.catalogue.replays(of: self.name).first)
    }

    private mutating func code(_ order: ReplayOrder) -> ErrorCode? {
        #expect(throws: ApusError.self) { _ = try self.create(order) }?.code
    }

    @Test mutating func aReplayHasEndsAndAnIdOfItsOwn() throws {
        try self.deploy()
        let replay = try self.create(ReplayOrder(perSecond: 50, principal: "admin"))
        #expect(replay.starts == [7, 7] && replay.ends == [42, 42] && replay.total == 70)
        let function = try #require(self.function)
        #expect(function.replays.count == 1 && function.replays[0].id != function.triggers[0].id)
        #expect(function.plan.triggers.count == 2 && function.plan.triggers[1].perSecond == 50)
        #expect(replay.ledgerPrefix(of: self.name) != function.triggers[0].ledgerPrefix)
        #expect(function.generation == 1, "a replay is no new revision")
        let second = try self.create()
        #expect(second.id > replay.id && self.function?.replays.count == 2)
    }

    @Test mutating func itsRecordsAreReadBack() throws {
        try self.deploy()
        let order = ReplayOrder(
            trigger: "documents", from: Timestamp(microseconds: 5), perSecond: nil, writesOutputs: false,
            principal: "ada")
        let replay = try self.create(order)
        _ = try self.control.run(.endReplay(self.name, replay.id, .cancelled))
        for record in self.control.records {
            let read = try ControlRecord(record.event)
            #expect(read == record)
        }
        // A server that starts reads the same.
        var other = Catalogue()
        for record in self.control.records { _ = try other.apply(ControlRecord(record.event)) }
        #expect(other.replays(of: self.name) == self.catalogue.replays(of: self.name))
        #expect(other.functions[self.name]?.replays.isEmpty == true)
    }

    @Test mutating func aRecordBeforeItsFunctionsCounts() throws {
        try self.deploy()
        _ = try self.create()
        let records = self.control.records
        var other = Catalogue()
        for record in records.filter({ $0.kind == .replay }) + records.filter({ $0.kind != .replay }) {
            _ = try other.apply(record)
        }
        #expect(other.functions[self.name]?.replays.count == 1)
    }

    @Test mutating func itEndsOnceAndIsKeptToBeLookedAt() throws {
        try self.deploy()
        let replay = try self.create()
        #expect(try self.control.run(.endReplay(self.name, replay.id, .finished)).map(\.action) == [.finished])
        #expect(self.function?.replays.isEmpty == true)
        #expect(self.catalogue.replays(of: self.name).first?.end?.outcome == .finished)
        #expect(try self.control.run(.endReplay(self.name, replay.id, .cancelled)).map(\.action) == [.unchanged])
        #expect(self.catalogue.replays(of: self.name).first?.end?.outcome == .finished)
    }

    @Test mutating func aRedeployKeepsItAndItsTriggersEndEndsIt() throws {
        try self.deploy()
        let replay = try self.create()
        let id = try #require(self.function?.replays.first?.id)
        try self.deploy(extra: "timeout: 5s")
        #expect(self.function?.replays.map(\.id) == [id])
        try self.deploy("{topic: others, name: documents}")
        #expect(self.function?.replays.isEmpty == true)
        #expect(self.catalogue.replays(of: self.name).first { $0.id == replay.id }?.end?.outcome == .cancelled)
    }

    @Test mutating func itGoesWithItsFunction() throws {
        try self.deploy()
        _ = try self.create()
        _ = try self.control.run(.deleteFunction(self.name, ifMatch: nil))
        #expect(self.catalogue.replays(of: self.name).isEmpty)
        try self.deploy()
        #expect(self.function?.replays.isEmpty == true)
        var other = Catalogue()
        for record in self.control.records { _ = try other.apply(ControlRecord(record.event)) }
        #expect(other.functions[self.name]?.replays.isEmpty == true)
    }

    @Test mutating func thoseThatGoOnAreBoundedAndSoAreThoseThatEnded() throws {
        try self.deploy()
        for _ in 0..<Limits.Control.replaysPerFunction { _ = try self.create() }
        #expect(self.code(ReplayOrder(principal: "admin")) == .limitReached)
        for _ in 0..<Limits.Control.endedReplaysPerFunction + 4 {
            let replay = try #require(self.function?.replays.first?.deployment)
            _ = try self.control.run(.endReplay(self.name, replay.id, .finished))
            _ = try self.create()
        }
        let ended = self.catalogue.replays(of: self.name).filter { $0.end != nil }
        #expect(ended.count <= Limits.Control.endedReplaysPerFunction)
    }

    @Test mutating func whatCannotBeIsRefused() throws {
        try self.deploy()
        #expect(self.code(ReplayOrder(trigger: "nothing", principal: "a")) == .notFound)
        #expect(self.code(ReplayOrder(to: Timestamp(microseconds: .max), principal: "a")) == .invalidArgument)
        let later = Timestamp(microseconds: 20)
        #expect(
            self.code(ReplayOrder(from: later, to: Timestamp(microseconds: 10), principal: "a")) == .invalidArgument)
        #expect(self.code(ReplayOrder(perSecond: 0, principal: "a")) == .invalidArgument)
        let most = Limits.Control.replayPerSecondMax
        #expect(self.code(ReplayOrder(perSecond: most + 1, principal: "a")) == .invalidArgument)
        #expect(try self.create(ReplayOrder(perSecond: most, principal: "a")).perSecond == most)
        let nobody = #expect(throws: ApusError.self) {
            try self.control.run(
                .createReplay(ResourceName(.default, "nobody").unsafelyUnwrapped, ReplayOrder(principal: "a")))
        }
        #expect(nobody?.code == .functionNotFound)
    }

    @Test func idsAreTextThatSorts() throws {
        let ids = [UInt64(1), 35, 36, 1_790_000_000_000_000, .max].map(ReplayID.init(number:))
        for id in ids { #expect(ReplayID(id.description) == id) }
        #expect(ids == ids.sorted())
        for text in ["", "A", "-1", "+1", "a b", "zzzzzzzzzzzzzz"] { #expect(ReplayID(text) == nil, "\(text)") }
    }
}
