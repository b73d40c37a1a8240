internal import ApusCore
internal import ApusStore

/// The browsers that are logged in, and the links with which they may. A machine: its caller makes the random texts and keeps
/// the lock. Nothing of it lasts: after a restart a browser logs in again.
///
/// What is stored are hashes, and the hash of the token that stands behind each, so that a revoked token ends its sessions.
struct SessionTable: Sendable {
    private struct Code {
        var token: TokenHash
        var made: Timestamp
    }

    private struct Session {
        var token: TokenHash
        var made: Timestamp
        var used: Timestamp

        func isOver(_ now: Timestamp) -> Bool {
            now >= self.made + .seconds(Limits.Access.sessionSeconds)
                || now >= self.used + .seconds(Limits.Access.sessionIdleSeconds)
        }
    }

    private var codes: [TokenHash: Code] = [:]
    private var sessions: [TokenHash: Session] = [:]

    var codeCount: Int { self.codes.count }
    var sessionCount: Int { self.sessions.count }

    /// Keeps a code for ``Limits/Access/loginSeconds``. Of one token's codes the oldest fall away.
    /// - Throws: `overloaded`.
    mutating func add(code: TokenHash, for token: TokenHash, now: Timestamp) throws(ApusError) {
        self.codes = self.codes.filter { now < $0.value.made + .seconds(Limits.Access.loginSeconds) }
        let own = self.codes.filter { $0.value.token == token }.sorted { $0.value.made < $1.value.made }
        for (hash, _) in own.dropLast(Limits.Access.loginsPerToken - 1) { self.codes[hash] = nil }
        guard self.codes.count < Limits.Access.logins else {
            throw ApusError(.overloaded, "too many login links wait to be used: try again in a minute")
        }
        self.codes[code] = Code(token: token, made: now)
    }

    /// Turns a code into a session; a code does so once.
    /// - Returns: the token behind it; nil for a code that was used, is too old or never was.
    /// - Throws: `overloaded`; the code stays then.
    mutating func redeem(_ code: TokenHash, as session: TokenHash, now: Timestamp) throws(ApusError) -> TokenHash? {
        guard let known = self.codes[code] else { return nil }
        guard now < known.made + .seconds(Limits.Access.loginSeconds) else {
            self.codes[code] = nil
            return nil
        }
        self.sessions = self.sessions.filter { !$0.value.isOver(now) }
        let own = self.sessions.filter { $0.value.token == known.token }.sorted { $0.value.used < $1.value.used }
        for (hash, _) in own.dropLast(Limits.Access.sessionsPerToken - 1) { self.sessions[hash] = nil }
        guard self.sessions.count < Limits.Access.sessions else {
            throw ApusError(.overloaded, "too many browsers are logged in: try again later")
        }
        self.codes[code] = nil
        self.sessions[session] = Session(token: known.token, made: now, used: now)
        return known.token
    }

    /// The token behind a session that goes on, and goes on longer by being used.
    mutating func use(_ session: TokenHash, now: Timestamp) -> TokenHash? {
        guard let token = self.token(of: session, now: now) else {
            self.sessions[session] = nil
            return nil
        }
        self.sessions[session]?.used = now
        return token
    }

    /// As ``use(_:now:)``, without counting as use.
    func token(of session: TokenHash, now: Timestamp) -> TokenHash? {
        self.sessions[session].flatMap { $0.isOver(now) ? nil : $0.token }
    }

    mutating func end(_ session: TokenHash) { self.sessions[session] = nil }
}
