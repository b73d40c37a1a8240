internal import ApusCore
internal import ApusHTTP
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Decides on the head of each request whether it is let in, before its body is read. On the loop of its shard.
struct Gate {
    let server: Server
    let runtime: ShardRuntime
    let router: Router<Route>

    /// - Returns: what to refuse the request with; nil when its handler may run.
    func admit(_ exchange: HTTPExchange) -> Problem? {
        do throws(ApusError) {
            let admission = if let last = self.remembered(exchange) { last } else { try self.decided(exchange) }
            if exchange.rawPath != "/healthz", self.server.state.withLock({ $0 }) == .stopping {
                return Problem(.shuttingDown, "the server is stopping: try again in a moment")
            }
            exchange.admission = admission
            exchange.isAnonymous = admission.credential == nil && admission.principal == .anonymous
            return nil
        } catch {
            if error.code == .unauthenticated || error.code == .forbidden { self.record(error, exchange) }
            var problem = Problem(error)
            problem.challenge = self.server.issuers.challenge(error.code, exchange, self.server.configuration)
            return problem
        }
    }

    /// What the connection's last request came to, when this one asks the same in the same name.
    private func remembered(_ exchange: HTTPExchange) -> Admission? {
        guard let last = exchange.remembered as? RememberedAdmission,
            last.holds(for: exchange, of: self.runtime.principalsVersion, now: self.runtime.now)
        else { return nil }
        return last.admission
    }

    private func decided(_ exchange: HTTPExchange) throws(ApusError) -> Admission {
        let admission = try self.admission(exchange, self.router.find(exchange))
        exchange.remembered = RememberedAdmission(admission, of: exchange, self.runtime.principalsVersion)
        return admission
    }

    private func admission(_ exchange: HTTPExchange, _ found: (Route, RouteParameters)?) throws(ApusError) -> Admission
    {
        let requirement: Result<Requirement, ApusError>
        do throws(ApusError) {
            requirement = .success(
                try found.map { (found) throws(ApusError) in
                    try found.0.requirement(exchange, found.1)
                } ?? Requirement(.authenticated))
        } catch { requirement = .failure(error) }
        if case .success(let requirement) = requirement, requirement.access == .open {
            // A token is not needed, but one that holds says who asks.
            let principal = try? self.authenticate(exchange).principal
            return Admission(principal ?? .anonymous, nil, found)
        }
        // What is wrong with a path is told to those only who may ask at all.
        let (principal, credential) = try self.authenticate(exchange)
        try requirement.get().check(principal)
        return Admission(principal, credential, found)
    }

    // MARK: who asks

    private func authenticate(_ exchange: HTTPExchange) throws(ApusError) -> (principal: Principal, Credential) {
        let authorization = exchange.header("Authorization")
        switch PresentedCredential(authorization: authorization, cookie: exchange.header("Cookie")) {
        case .none, .otherScheme:
            throw ApusError(
                .unauthenticated,
                "a token is needed: send `Authorization: Bearer TOKEN`; a browser logs in with the link that `apus console` prints"
            )
        case .token(let hash):
            return (
                try self.principal(hash, isDamaged: PresentedCredential.isDamaged(authorization: authorization ?? "")),
                .token(hash)
            )
        case .webToken(let text):
            let hash = TokenHash(of: text)
            return (try self.server.issuers.principal(of: text, hash, now: self.runtime.now), .webToken(hash))
        case .session(let session):
            guard let hash = self.server.sessions.use(session, now: self.runtime.now) else {
                throw ApusError(
                    .unauthenticated, "this browser is not logged in any more: use a new link of `apus console`")
            }
            let principal = try self.principal(hash, isDamaged: false)
            try Self.checkOrigin(exchange)
            return (principal, .session(session))
        }
    }

    private func principal(_ hash: TokenHash, isDamaged: @autoclosure () -> Bool) throws(ApusError) -> Principal {
        switch self.runtime.principals.find(hash, now: self.runtime.now) {
        case .holds(let principal): return principal
        case .expired(let name, let time):
            throw ApusError(
                .unauthenticated,
                "the token '\(name)' expired at \(RFC3339.format(time)): make a new one with `apus token create`")
        case .revoked(let name, let time):
            throw ApusError(.unauthenticated, "the token '\(name)' was revoked at \(RFC3339.format(time))")
        case .unknown:
            throw ApusError(
                .unauthenticated,
                isDamaged()
                    ? "the token is not whole, its checksum is wrong: copy it again"
                    : "the token is not known to this server: see `apus token list`, or run/admin.token of its data directory"
            )
        }
    }

    /// A browser sends its cookie with whatever a page makes it ask. SameSite keeps other sites from it; that a write also comes
    /// from a page of ours is checked besides, since another port of the same host is the same site.
    private static func checkOrigin(_ exchange: HTTPExchange) throws(ApusError) {
        guard exchange.method != "GET", exchange.method != "HEAD" else { return }
        let host = exchange.header("Host") ?? ""
        guard let origin = exchange.header("Origin"), OriginPolicy.isOwn(origin: origin, host: host) else {
            throw ApusError(
                .forbidden, "a browser that is logged in may change things from this server's own pages only")
        }
    }

    // MARK: what becomes of those who are refused, and of those whose token ends

    private func record(_ error: ApusError, _ exchange: HTTPExchange) {
        guard case .write(let omitted) = self.runtime.refusals.refused(error.code, now: self.runtime.now) else {
            return
        }
        self.server.journal.warning(
            "refused: \(error.message)",
            [
                "code": error.code.rawValue, "method": String(exchange.method.prefix(32)),
                "path": String(exchange.rawPath.prefix(255)), "omitted": "\(omitted)",
            ])
    }

    /// Ends streams whose token was revoked or has expired since they began.
    func sweep() {
        let now = self.runtime.now
        for exchange in self.runtime.listener?.streams ?? [] {
            guard let admission = exchange.admission as? Admission, let credential = admission.credential else {
                continue
            }
            if self.holds(credential, of: admission.principal, now) { continue }
            let problem = Problem(.unauthenticated, "the token '\(admission.principal.name)' holds no longer")
            exchange.cutShort(saying: ServerSentEvent.encode(data: problem.json(), event: "error"))
        }
    }

    private func holds(_ credential: Credential, of principal: Principal, _ now: Timestamp) -> Bool {
        switch credential {
        case .token(let hash): self.runtime.principals.holds(hash, now: now)
        case .session(let session):
            self.server.sessions.token(of: session, now: now).map { self.runtime.principals.holds($0, now: now) }
                ?? false
        case .webToken: principal.expires.map { now < $0 } ?? false
        }
    }
}
