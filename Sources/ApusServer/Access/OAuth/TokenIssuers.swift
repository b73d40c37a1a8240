internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Believes tokens of the issuers that apus.yaml names: their signature, audience, times and namespace are checked here, and their
/// keys are fetched on a thread of their own. Any loop may ask.
final class TokenIssuers: Sendable {
    private struct State {
        var keys: [IssuerKeys]
        /// Tokens that were checked, so that a client's next request costs no signature.
        var known: [TokenHash: Principal] = [:]
    }

    let configuration: AuthConfiguration
    private let journal: Log
    private let state: Mutex<State>
    private let thread: WorkThread?

    init(_ configuration: AuthConfiguration, journal: Log) {
        self.configuration = configuration
        self.journal = journal
        self.state = Mutex(State(keys: configuration.issuers.map { _ in IssuerKeys() }))
        self.thread = configuration.issuers.isEmpty ? nil : WorkThread(queueMax: configuration.issuers.count)
    }

    var isEmpty: Bool { self.configuration.issuers.isEmpty }

    /// Fetches keys that are due. Called again and again, from one loop.
    func tick(now: Timestamp) {
        for index in self.configuration.issuers.indices {
            if self.state.withLock({ $0.keys[index].tick(now: now) }) == .fetch { self.fetch(index) }
        }
    }

    func stop() { self.thread?.stop() }

    // MARK: tokens

    /// Who shows this token.
    /// - Throws: `unauthenticated` for one that is not believed, `forbidden` for a caller who has no place here.
    func principal(of text: String, _ hash: TokenHash, now: Timestamp) throws(ApusError) -> Principal {
        if let known = self.state.withLock({ $0.known[hash] }), let end = known.expires, now < end { return known }
        let token: JSONWebToken
        do throws(JSONWebToken.Fault) { token = try JSONWebToken(parsing: text) } catch {
            throw Self.refused(error.rawValue)
        }
        let issuer = token.claims["iss"]?.string
        guard let index = self.configuration.issuers.firstIndex(where: { $0.issuer == issuer }) else {
            throw Self.refused("its issuer is none that this server believes")
        }
        try self.check(token, index, now)
        let principal = try self.configuration.issuers[index].principal(of: token, now: now)
        self.state.withLock { state in
            // A full table is emptied: what is asked for now comes back at once.
            if state.known.count >= Limits.Access.webTokensKnown { state.known.removeAll(keepingCapacity: true) }
            state.known[hash] = principal
        }
        return principal
    }

    private func check(_ token: JSONWebToken, _ index: Int, _ now: Timestamp) throws(ApusError) {
        guard let key = self.state.withLock({ $0.keys[index].keys?.key(token.key, for: token.algorithm) }) else {
            if self.state.withLock({ $0.keys[index].missed(now: now) }) == .fetch { self.fetch(index) }
            throw Self.refused(
                "it names a key that its issuer has not published, or whose keys could not be fetched yet")
        }
        guard key.verifies(token.signature, of: token.signed, by: token.algorithm) else {
            throw Self.refused("its signature is wrong")
        }
        guard token.isFor(self.configuration.issuers[index].audience) else {
            throw Self.refused("it is meant for another server")
        }
    }

    static func refused(_ why: String) -> ApusError { ApusError(.unauthenticated, "the token is refused: \(why)") }

    // MARK: keys

    private func fetch(_ index: Int) {
        let issuer = self.configuration.issuers[index]
        let isQueued = self.thread?.run {
            let outcome = Self.fetch(issuer)
            if case .failure(let error) = outcome {
                self.journal.warning("the keys of \(issuer.issuer) could not be fetched", ["reason": error.message])
            }
            self.state.withLock { $0.keys[index].fetched(try? outcome.get(), now: SystemClock().now) }
        }
        if isQueued != true { self.state.withLock { $0.keys[index].fetched(nil, now: SystemClock().now) } }
    }

    private static func fetch(_ issuer: TokenIssuer) -> Result<KeySet, ApusError> {
        do throws(ApusError) {
            var configuration = HTTPClient.Configuration()
            configuration.connectTimeoutMilliseconds = Limits.Access.keysMilliseconds
            configuration.timeoutMilliseconds = Limits.Access.keysMilliseconds
            configuration.responseBytes = Limits.Access.keySetBytes
            configuration.refusesPrivate = !issuer.allowsPrivate
            let response = try HTTPClient(configuration: configuration).request("GET", issuer.keys)
            guard response.status == 200 else {
                throw ApusError(.serverUnreachable, "\(issuer.keys) answered \(response.status)")
            }
            guard let keys = KeySet(parsing: response.body) else {
                throw ApusError(.serverUnreachable, "\(issuer.keys) holds no key that can be used")
            }
            return .success(keys)
        } catch { return .failure(error) }
    }
}

extension TokenIssuer {
    /// Whoever a token speaks of, once its signature is known to be right: its issuer and subject, and nothing else, name it.
    func principal(of token: JSONWebToken, now: Timestamp) throws(ApusError) -> Principal {
        guard let end = token.time("exp") else { throw TokenIssuers.refused("it does not say when it ends") }
        guard now < end + Limits.Access.clockSkew else {
            throw TokenIssuers.refused("it ended at \(RFC3339.format(end))")
        }
        if token.claims["nbf"] != nil {
            guard let begin = token.time("nbf"), begin <= now + Limits.Access.clockSkew else {
                throw TokenIssuers.refused("it does not hold yet")
            }
        }
        guard let subject = token.claims["sub"]?.string, (1...Limits.Access.subjectBytes).contains(subject.utf8.count)
        else { throw TokenIssuers.refused("it names no subject") }
        let namespace = try self.namespace(token)
        let scopes = token.scopes
        var grants: Set<RoleGrant> = []
        for scope in scopes {
            if let role = self.roles[scope] { grants.insert(RoleGrant(role, .namespace(namespace))) }
        }
        let name = "\(self.issuer)#\(subject)"
        guard !grants.isEmpty else {
            throw ApusError(
                .forbidden,
                "'\(name.prefix(256))' holds no scope that gives a role here: its issuer must grant one of \(self.roles.keys.sorted().joined(separator: ", "))"
            )
        }
        return Principal(
            name: name, roles: RoleGrants(grants), expires: end + Limits.Access.clockSkew, scopes: Set(scopes),
            namespace: namespace)
    }

    private func namespace(_ token: JSONWebToken) throws(ApusError) -> Namespace {
        guard let claim = self.namespaceClaim else { return .default }
        guard let text = token.claims[claim]?.string, let namespace = Namespace(text) else {
            throw ApusError(
                .forbidden, "the token's claim `\(claim)` names no namespace, and so its holder has no place here")
        }
        return namespace
    }
}
