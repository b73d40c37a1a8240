import ApusCore
import ApusStore
import Testing

@testable import ApusServer

@Suite struct SessionTableTests {
    var table = SessionTable()
    let token = TokenHash(of: "token")

    private func hash(_ text: String) -> TokenHash { TokenHash(of: text) }
    private func second(_ count: Int64) -> Timestamp { .zero + .seconds(count) }

    @Test mutating func aCodeMakesOneSessionAndOnlyInItsTime() throws {
        try self.table.add(code: self.hash("a"), for: self.token, now: self.second(0))
        try self.table.add(code: self.hash("b"), for: self.token, now: self.second(0))
        #expect(try self.table.redeem(self.hash("a"), as: self.hash("s"), now: self.second(59)) == self.token)
        #expect(try self.table.redeem(self.hash("a"), as: self.hash("t"), now: self.second(59)) == nil)
        #expect(try self.table.redeem(self.hash("b"), as: self.hash("t"), now: self.second(60)) == nil)
        #expect(try self.table.redeem(self.hash("nothing"), as: self.hash("t"), now: self.second(1)) == nil)
        #expect(self.table.sessionCount == 1 && self.table.codeCount == 0)
    }

    private mutating func logIn(_ session: String, at seconds: Int64 = 0, for token: TokenHash? = nil) throws {
        let token = token ?? self.token
        try self.table.add(code: self.hash("code-" + session), for: token, now: self.second(seconds))
        let made = try self.table.redeem(
            self.hash("code-" + session), as: self.hash(session), now: self.second(seconds))
        #expect(made == token)
    }

    @Test mutating func aSessionEndsWhenItIsIdleAndAtTheLatestAfterItsTime() throws {
        try self.logIn("s")
        let idle = Limits.Access.sessionIdleSeconds
        var now: Int64 = 0
        while now + idle - 1 < Limits.Access.sessionSeconds {
            now += idle - 1
            #expect(self.table.use(self.hash("s"), now: self.second(now)) == self.token)
        }
        #expect(self.table.token(of: self.hash("s"), now: self.second(Limits.Access.sessionSeconds)) == nil)
        try self.logIn("t")
        // Looking is no use.
        #expect(self.table.token(of: self.hash("t"), now: self.second(idle - 1)) == self.token)
        #expect(self.table.use(self.hash("t"), now: self.second(idle)) == nil)
        try self.logIn("u")
        self.table.end(self.hash("u"))
        #expect(self.table.use(self.hash("u"), now: self.second(1)) == nil)
    }

    @Test mutating func oneTokenHasSoManyCodesAndSessionsTheOldestFallAway() throws {
        for index in 0...Limits.Access.loginsPerToken {
            try self.table.add(
                code: self.hash("c\(index)"), for: self.token, now: Timestamp(milliseconds: Int64(index)))
        }
        #expect(self.table.codeCount == Limits.Access.loginsPerToken)
        #expect(try self.table.redeem(self.hash("c0"), as: self.hash("s"), now: self.second(1)) == nil)
        #expect(try self.table.redeem(self.hash("c1"), as: self.hash("s"), now: self.second(1)) == self.token)
        for index in 0..<Limits.Access.sessionsPerToken { try self.logIn("s\(index)", at: Int64(10 + index)) }
        #expect(self.table.sessionCount == Limits.Access.sessionsPerToken)
        #expect(self.table.use(self.hash("s"), now: self.second(100)) == nil)
        #expect(self.table.use(self.hash("s0"), now: self.second(100)) == self.token)
    }

    @Test mutating func allOfThemHaveABoundToo() throws {
        for index in 0..<Limits.Access.logins {
            try self.table.add(code: self.hash("c\(index)"), for: self.hash("t\(index)"), now: self.second(0))
        }
        var copy = self.table
        let full = #expect(throws: ApusError.self) {
            try copy.add(code: TokenHash(of: "more"), for: TokenHash(of: "more"), now: .zero)
        }
        #expect(full?.code == .overloaded)
        // Those that are too old make room.
        try self.table.add(code: self.hash("more"), for: self.hash("more"), now: self.second(60))
        #expect(self.table.codeCount == 1)

        for index in 0..<Limits.Access.sessions { try self.logIn("s\(index)", at: 100, for: self.hash("t\(index)")) }
        try self.table.add(code: self.hash("last"), for: self.token, now: self.second(100))
        copy = self.table
        let crowded = #expect(throws: ApusError.self) {
            try copy.redeem(TokenHash(of: "last"), as: TokenHash(of: "x"), now: .zero + .seconds(101))
        }
        #expect(crowded?.code == .overloaded)
    }
}

@Suite struct RefusalJournalTests {
    @Test func aFloodGetsFiveLinesASecondAndTheNextSaysHowManyAreMissing() {
        var journal = RefusalJournal()
        for _ in 0..<Limits.Access.journalLinesPerSecond {
            #expect(journal.refused(.unauthenticated, now: .zero) == .write(omitted: 0))
        }
        for _ in 0..<100 { #expect(journal.refused(.forbidden, now: .zero) == .none) }
        #expect(journal.refused(.unauthenticated, now: .zero + .seconds(1)) == .write(omitted: 100))
        #expect(journal.refused(.unauthenticated, now: .zero + .seconds(1)) == .write(omitted: 0))
        #expect(journal.unauthenticated == Limits.Access.journalLinesPerSecond + 2 && journal.forbidden == 100)
    }
}

@Suite struct PresentedCredentialTests {
    @Test func aTokenCountsMoreThanACookieAndOtherSchemesAreNone() {
        let token = PresentedCredential.token(TokenHash(of: "abc"))
        let session = PresentedCredential.session(TokenHash(of: "xyz"))
        #expect(PresentedCredential(authorization: "Bearer abc", cookie: "apus_session=xyz") == token)
        #expect(PresentedCredential(authorization: "bearer  abc ", cookie: nil) == token)
        #expect(PresentedCredential(authorization: nil, cookie: "a=b; apus_session=xyz; c=d") == session)
        #expect(PresentedCredential(authorization: nil, cookie: "my_apus_session=xyz; apus_sessions=1") == .none)
        #expect(PresentedCredential(authorization: "Basic abc", cookie: "apus_session=xyz") == .otherScheme)
        #expect(PresentedCredential(authorization: "Bearer", cookie: nil) == .otherScheme)
        #expect(PresentedCredential(authorization: nil, cookie: nil) == .none)
    }

    @Test func onlyATokenOfOursCanBeDamaged() {
        let token = AccessToken.make().text
        #expect(!PresentedCredential.isDamaged(authorization: "Bearer \(token)"))
        #expect(PresentedCredential.isDamaged(authorization: "Bearer \(token.dropLast())"))
        #expect(!PresentedCredential.isDamaged(authorization: "Bearer somethingelse"))
    }
}
