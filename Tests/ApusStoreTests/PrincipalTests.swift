import ApusCore
import Testing

@testable import ApusStore

@Suite struct PrincipalTests {
    var control = ControlFixture()

    private func name(_ text: String) throws -> ResourceName { try #require(ResourceName(.default, text)) }

    private func principal(_ token: String, expires: Timestamp? = nil) -> PrincipalDeployment {
        PrincipalDeployment(
            id: "id", hash: TokenHash(of: token), roles: RoleGrants([RoleGrant(.reader, .everywhere)]),
            created: self.control.now, creator: "admin", expires: expires)
    }

    @Test mutating func aRevocationIsARecordAndTheNameMayBeGivenAgain() throws {
        let ci = try self.name("ci")
        _ = try self.control.run(.createPrincipal(ci, self.principal("one")))
        #expect(throws: ApusError.self) { try self.control.run(.createPrincipal(ci, self.principal("two"))) }
        #expect(try self.control.run(.revokePrincipal(ci)).map(\.action) == [.revoked])
        #expect(try self.control.run(.revokePrincipal(ci)).map(\.action) == [.unchanged])
        let last = try #require(self.control.records.last)
        guard case .principal(let revoked) = last.content else { return #expect(Bool(false), "\(last)") }
        #expect(revoked.revoked == self.control.now && last.generation == 2 && !last.isDeleted)
        #expect(try ControlRecord(last.event) == last)

        _ = try self.control.run(.createPrincipal(ci, self.principal("two")))
        let catalogue = self.control.queue.catalogue
        #expect(catalogue.principals[ci]?.key?.hash == TokenHash(of: "two"))
        #expect(catalogue.principals[ci]?.state(at: self.control.now) == .active)
        // A copy of the older record, as a restored log may hold it, brings nothing back.
        var followed = ControlQueue()
        for record in self.control.records + [self.control.records[0]] { _ = try followed.follow(record) }
        #expect(followed.catalogue.principals[ci]?.key?.hash == TokenHash(of: "two"))
    }

    @Test mutating func anExpiredTokenGivesItsNameFree() throws {
        let ci = try self.name("ci")
        let end = self.control.now + .seconds(1)
        _ = try self.control.run(.createPrincipal(ci, self.principal("one", expires: end)))
        #expect(throws: ApusError.self) { try self.control.run(.createPrincipal(ci, self.principal("two"))) }
        self.control.now = end
        #expect(self.control.queue.catalogue.principals[ci]?.state(at: end) == .expired)
        #expect(try self.control.run(.createPrincipal(ci, self.principal("two"))).map(\.action) == [.created])
    }

    @Test mutating func theServersOwnTokenIsNoRecord() throws {
        let taken = #expect(throws: ApusError.self) {
            try self.control.run(.createPrincipal(.administrator, self.principal("one")))
        }
        #expect(taken?.code == .alreadyExists)
        let kept = #expect(throws: ApusError.self) { try self.control.run(.revokePrincipal(.administrator)) }
        #expect(kept?.code == .conflict)
        let unknown = try self.name("nobody")
        let missing = #expect(throws: ApusError.self) { try self.control.run(.revokePrincipal(unknown)) }
        #expect(missing?.code == .notFound)
    }

    @Test mutating func thereAreAtMostSoMany() throws {
        for index in 0..<Limits.Control.principals {
            _ = try self.control.queue.follow(
                ControlRecord(
                    kind: .principal, namespace: .default, name: "p\(index)", generation: 1, time: .zero,
                    content: .principal(self.principal("p\(index)"))))
        }
        let more = try self.name("more")
        let error = #expect(throws: ApusError.self) {
            try self.control.run(.createPrincipal(more, self.principal("more")))
        }
        #expect(error?.code == .limitReached)
        let known = try self.name("p7")
        _ = try self.control.run(.revokePrincipal(known))
        #expect(try self.control.run(.createPrincipal(known, self.principal("new"))).map(\.action) == [.created])
    }
}
