import ApusCore
import ApusEngine
import ApusJSON
import ApusManifest
import Testing

@testable import ApusStore

/// Deciding about approvals, one write at a time, and what the catalogue makes of their records.
@Suite struct ApprovalTests {
    var control = ControlFixture()
    private var catalogue: Catalogue { self.control.queue.catalogue }

    private static func request(
        _ binding: String = "b", principal: String = "ada", by: ToolManifest.Approval.Approver = .approver,
        namespace: Namespace = .default, arguments: String = #"{"rows":3}"#
    ) -> ApprovalRequest {
        ApprovalRequest(
            principal: principal, function: ResourceName(namespace, "rows").unsafelyUnwrapped, tool: "delete_rows",
            revision: "r1", version: 1, digest: "d", by: by, binding: binding, argumentsDigest: "a",
            arguments: arguments)
    }

    private static func id(_ number: UInt64) -> ApprovalID { ApprovalID(number: number) }

    private mutating func claim(_ number: UInt64, _ request: ApprovalRequest = Self.request()) throws
        -> ControlDecision.Outcome
    {
        try #require(try self.control.run(.claimApproval(Self.id(number), request)).last)
    }

    private mutating func decide(
        _ number: UInt64, _ isAccepted: Bool = true, by principal: String = "bob", in namespace: Namespace = .default
    ) throws {
        _ = try self.control.run(
            .decideApproval(
                Self.id(number), namespace,
                ApprovalVerdict(isAccepted: isAccepted, principal: principal, reason: "because")))
    }

    private mutating func code(_ body: (inout Self) throws -> Void) -> ErrorCode? {
        #expect(throws: ApusError.self) { try body(&self) }?.code
    }

    private func state(_ number: UInt64) -> Approval.StateName? {
        self.catalogue.approvals[Self.id(number)]?.name(now: self.control.now)
    }

    @Test mutating func anAcceptedCallBeginsOnce() throws {
        #expect(try self.claim(1).action == .created)
        #expect(try self.claim(2).name == Self.id(1).description, "the same call waits once")
        #expect(self.catalogue.approvals.count == 1)
        try self.decide(1)
        #expect(self.state(1) == .accepted)
        let begun = try self.claim(3)
        #expect(begun.action == .consumed && begun.name == Self.id(1).description)
        #expect(self.state(1) == .consumed)
        #expect(self.catalogue.usedApproval("b", now: self.control.now)?.id == Self.id(1))
        #expect(self.catalogue.usedApproval("c", now: self.control.now) == nil)
        #expect(self.catalogue.usedApproval("b", now: self.control.now + Limits.Approvals.time) == nil, "not after its time")
        // What a task uses up is its own: used up before, nothing comes of it, and nobody is asked anew.
        #expect(try self.claim(1).action == .unchanged && self.catalogue.approvals.count == 1)
        // Whoever comes second, from whichever server, waits anew: nothing begins twice.
        #expect(try self.claim(4).action == .created)
        #expect(self.state(4) == .waiting)
        try self.decide(4)
        #expect(try self.claim(4).action == .consumed)
    }

    @Test mutating func anotherCallIsNotTheOneThatWasAccepted() throws {
        _ = try self.claim(1)
        try self.decide(1)
        #expect(try self.claim(2, Self.request("other arguments")).action == .created)
        #expect(self.state(1) == .accepted)
    }

    @Test mutating func aDeclinedCallStaysDeclinedUntilItsTimeIsOver() throws {
        _ = try self.claim(1)
        try self.decide(1, false)
        #expect(try self.claim(2).action == .declined)
        #expect(self.catalogue.approvals[Self.id(1)]?.decision?.reason == "because")
        self.control.now = self.control.now + Limits.Approvals.time
        #expect(try self.claim(3).action == .created)
    }

    @Test mutating func whoeverAskedDoesNotDecide() throws {
        _ = try self.claim(1)
        #expect(self.code { try $0.decide(1, by: "ada") } == .forbidden)
        #expect(self.code { try $0.decide(1, false, by: "ada") } == .forbidden)
        #expect(self.state(1) == .waiting)
        // Where the caller's side is asked, the caller may say it in this way too.
        _ = try self.claim(2, Self.request("mine", by: .caller))
        try self.decide(2, by: "ada")
        #expect(self.state(2) == .accepted)
    }

    @Test mutating func whatIsDecidedIsDecided() throws {
        _ = try self.claim(1)
        try self.decide(1)
        #expect(self.code { try $0.decide(1, false) } == .conflict)
        _ = try self.claim(2)
        #expect(self.code { try $0.decide(1, false) } == .conflict, "it began")
        #expect(self.code { try $0.decide(7) } == .notFound)
        _ = try self.claim(3, Self.request("x"))
        #expect(self.code { try $0.decide(3, in: Namespace("other").unsafelyUnwrapped) } == .notFound)
    }

    @Test mutating func itsTimeEnds() throws {
        _ = try self.claim(1)
        _ = try self.claim(2, Self.request("accepted"))
        try self.decide(2)
        self.control.now = self.control.now + Limits.Approvals.time
        #expect(self.state(1) == .expired && self.state(2) == .expired, "whether it was written down or not")
        #expect(self.code { try $0.decide(1) } == .conflict)
        #expect(try self.claim(3, Self.request("accepted")).action == .created, "an acceptance does not outlive its time")
        let swept = try self.control.run(.sweepApprovals)
        #expect(swept.map(\.action) == [.expired, .expired])
        #expect(self.catalogue.approvals[Self.id(2)]?.decision?.principal == "bob", "who accepted it is still known")
        #expect(try self.control.run(.sweepApprovals).isEmpty)
        self.control.now = self.control.now + Limits.Approvals.kept
        let forgotten = try self.control.run(.sweepApprovals)
        #expect(forgotten.filter { $0.action == .deleted }.count == 2 && self.catalogue.approvals.count == 1)
        #expect(self.control.records.last?.event.data == nil, "a tombstone")
    }

    @Test mutating func aSweepIsBounded() throws {
        let count = Limits.Approvals.perSweep + 1
        for number in 0..<count {
            _ = try self.claim(UInt64(number), Self.request("b\(number)", principal: "p\(number)"))
        }
        self.control.now = self.control.now + Limits.Approvals.time
        #expect(try self.control.run(.sweepApprovals).count == Limits.Approvals.perSweep)
        #expect(try self.control.run(.sweepApprovals).count == 1)
    }

    @Test mutating func onlySoManyWait() throws {
        for number in 0..<Limits.Approvals.waitingPerPrincipal {
            _ = try self.claim(UInt64(number), Self.request("b\(number)"))
        }
        #expect(self.code { _ = try $0.claim(9_000, Self.request("more")) } == .limitReached)
        #expect(try self.claim(0, Self.request("b0")).action == .unchanged, "those that wait go on waiting")
        try self.decide(0)
        #expect(try self.claim(9_000, Self.request("more")).action == .created, "what is decided waits no more")
        var number = UInt64(10_000)
        while self.catalogue.waitingApprovals(now: self.control.now) < Limits.Approvals.waitingPerNamespace {
            _ = try self.claim(number, Self.request("b\(number)", principal: "p\(number)"))
            number += 1
        }
        #expect(self.code { _ = try $0.claim(5_001, Self.request("last", principal: "eve")) } == .limitReached)
        let other = Namespace("other").unsafelyUnwrapped
        #expect(try self.claim(5_002, Self.request("last", principal: "eve", namespace: other)).action == .created)
    }

    @Test mutating func onlySoManyAreKept() throws {
        for number in 0..<Limits.Approvals.onOneLog {
            _ = try self.claim(UInt64(number), Self.request("b\(number)", principal: "p\(number)", namespace: .default))
            try self.decide(UInt64(number), false)
        }
        #expect(self.code { _ = try $0.claim(1 << 40, Self.request("more")) } == .limitReached)
    }

    @Test mutating func whoeverDecidesSeesAllOfIt() throws {
        let most = String(repeating: "x", count: Limits.Approvals.argumentsBytes)
        #expect(try self.claim(1, Self.request("most", arguments: most)).action == .created)
        #expect(self.code { _ = try $0.claim(2, Self.request("more", arguments: most + "x")) } == .limitReached)
    }

    @Test mutating func itsRecordsAreReadBack() throws {
        _ = try self.claim(1)
        try self.decide(1)
        _ = try self.claim(2)
        _ = try self.claim(3, Self.request("declined"))
        try self.decide(3, false)
        _ = try self.claim(4, Self.request("waits", by: .caller))
        _ = try self.claim(5, Self.request("accepted"))
        try self.decide(5)
        self.control.now = self.control.now + Limits.Approvals.time
        _ = try self.control.run(.sweepApprovals)
        for record in self.control.records { #expect(try ControlRecord(record.event) == record) }
        // A server that starts knows the same.
        var other = Catalogue()
        for record in self.control.records { _ = try other.apply(ControlRecord(record.event)) }
        #expect(other.approvals == self.catalogue.approvals && other.openApprovals == self.catalogue.openApprovals)
    }

    @Test mutating func anOlderRecordBroughtBackCountsForNothing() throws {
        _ = try self.claim(1)
        try self.decide(1)
        _ = try self.claim(2)
        var catalogue = self.catalogue
        for record in self.control.records.prefix(2) { #expect(try catalogue.apply(record) == .none) }
        #expect(catalogue.approvals == self.catalogue.approvals && catalogue.openApprovals.isEmpty)
        #expect(catalogue.generation(.approval, .default, Self.id(1).description) == 3)
    }

    @Test func idsAreReadAsTheyAreWritten() {
        let id = ApprovalID.random()
        #expect(ApprovalID(id.description) == id && id.description.utf8.count == 16)
        for text in ["", "1", "00C0FFEE00C0FFEE", "+0c0ffee00c0ffee", "00c0ffee00c0ffee0", "00c0ffee00c0ffe/"] {
            #expect(ApprovalID(text) == nil, "\(text)")
        }
    }

    @Test func commandsAreReadAsTheyAreWritten() throws {
        let commands: [ControlCommand] = [
            .claimApproval(Self.id(5), Self.request()), .sweepApprovals,
            .decideApproval(Self.id(5), .default, ApprovalVerdict(isAccepted: true, principal: "bob", reason: "yes")),
            .decideApproval(Self.id(5), .default, ApprovalVerdict(isAccepted: false, principal: "bob")),
        ]
        for command in commands {
            #expect(try ControlCommand(json: JSONValue.parse(command.json.encoded())) == command)
        }
    }
}
