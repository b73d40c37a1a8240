internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusTools

/// What clients send that speak an era with sessions.
struct SessionMessages {
    let endpoint: ToolEndpoint
    let place: ToolPlace
    let caller: ToolCaller

    private var registry: ToolRegistry { self.endpoint.registry }
    private var now: Timestamp { self.endpoint.runtime.now }

    static let header = "Mcp-Session-Id"

    func take(_ envelope: Envelope, _ head: RoutingHead, _ exchange: HTTPExchange) {
        do throws(RPCError) {
            if envelope.method == "initialize" { return try self.initialize(envelope, exchange) }
            let session = try self.session(head.sessionID)
            try self.checkVersion(head)
            if envelope.isAnswer {
                // Whoever asked may be another server.
                if !session.answered(envelope) { self.registry.relay?.sent(envelope, in: session) }
                return exchange.respond(status: 202)
            }
            guard let id = envelope.id else {
                self.notified(envelope, session)
                return exchange.respond(status: 202)
            }
            try self.perform(envelope, id, session, exchange)
        } catch {
            self.endpoint.runtime.tools.operations.refuse("\(error.code)")
            exchange.respond(status: error.status, json: MessageWriter.error(envelope.id, error))
        }
    }

    private func session(_ id: String?) throws(RPCError) -> ToolSession {
        guard let id else {
            throw RPCError(
                .invalidRequest, "the header \(Self.header) is missing: begin with `initialize`, or speak 2026-07-28",
                status: 400)
        }
        guard let session = self.registry.sessions.find(id, self.place, self.caller, now: self.now) else {
            throw RPCError(
                .invalidRequest, "the session is over, or none of yours: begin anew with `initialize`", status: 404)
        }
        return session
    }

    private func checkVersion(_ head: RoutingHead) throws(RPCError) {
        guard let version = head.versions.first else { return }
        let isKnown = version == ProtocolRevision.assumed || ProtocolRevision(rawValue: version)?.era == .legacy
        guard isKnown, head.versions.count == 1 else {
            throw RPCError(.invalidRequest, "MCP-Protocol-Version is none that is spoken here", status: 400)
        }
    }

    // MARK: beginning and end

    private func initialize(_ envelope: Envelope, _ exchange: HTTPExchange) throws(RPCError) {
        guard let id = envelope.id else { throw RPCError(.invalidRequest, "`initialize` has an id", status: 400) }
        let all = envelope.parameters.all
        guard let asked = envelope.text(envelope.member("protocolVersion", of: all)) else {
            throw .invalidParams("`protocolVersion` is missing or no string")
        }
        var revision = ProtocolRevision(rawValue: asked) ?? .latestLegacy
        if revision.era != .legacy { revision = .latestLegacy }
        var capabilities: ClientCapabilities = []
        if let declared = envelope.member("capabilities", of: all), declared.kind == .object {
            capabilities = envelope.capabilities(declared)
        }
        let session = self.registry.sessions.make(
            self.place, self.caller, revision, capabilities, shard: self.endpoint.runtime.index, now: self.now)
        var members = Array(#""protocolVersion":"\#(revision.rawValue)","#.utf8)
        members.append(contentsOf: ToolEndpoint.capabilities.utf8)
        members.append(contentsOf: #"},"serverInfo":"#.utf8)
        members.append(contentsOf: self.registry.serverInfo)
        members.append(contentsOf: self.endpoint.instructions(self.place))
        exchange.respond(
            json: self.registry.legacy.result(id, members), headers: [(Self.header, session.id)])
    }

    func end(_ exchange: HTTPExchange) {
        guard let id = exchange.header(Self.header) else { return self.refuseMethod(exchange) }
        guard let session = self.registry.sessions.find(id, self.place, self.caller, now: self.now) else {
            return self.sessionIsOver(exchange)
        }
        self.registry.sessions.end(session.id, now: self.now)
        self.registry.relay?.ended(session)
        exchange.respond(status: 204)
    }

    /// Opens the stream that tells of changes, or goes on with one that broke.
    func follow(_ exchange: HTTPExchange) {
        guard let id = exchange.header(Self.header) else { return self.refuseMethod(exchange) }
        guard let session = self.registry.sessions.find(id, self.place, self.caller, now: self.now) else {
            return self.sessionIsOver(exchange)
        }
        guard AcceptHeader(exchange.header("Accept")).best(of: [ServerSentEvent.mediaType]) != nil else {
            return exchange.respond(
                status: 406,
                json: MessageWriter.error(nil, RPCError(.invalidRequest, "Accept must list text/event-stream")))
        }
        guard let event = exchange.header("Last-Event-ID") else { return self.open(session, exchange) }
        let place = StreamPlace(event)
        if let place, place.tag == session.tag, let stream = session.stream(place.stream) {
            return self.resume(stream, of: session, after: place.event, exchange)
        }
        if let place, place.tag != session.tag, let relay = self.registry.relay {
            return relay.follow(place, of: session, exchange, self.endpoint.runtime)
        }
        RelayedStream.refuse(exchange)
    }

    private func open(_ session: ToolSession, _ exchange: HTTPExchange) {
        let stream = session.common
        guard !stream.isAttached else {
            return exchange.respond(
                status: 409,
                json: MessageWriter.error(nil, RPCError(.invalidRequest, "the session has such a stream already")))
        }
        exchange.stream(status: 200, headers: ServerSentEvent.headers)
        let reader = ClientReader(exchange)
        _ = exchange.write(stream.prime(reader))
        SessionStream(exchange, stream, reader, of: session, self.endpoint.runtime).start()
    }

    private func resume(
        _ stream: KeptStream, of session: ToolSession, after last: Int, _ exchange: HTTPExchange
    ) {
        exchange.stream(status: 200, headers: ServerSentEvent.headers)
        let reader = ClientReader(exchange)
        stream.attach(reader, after: last)
        SessionStream(exchange, stream, reader, of: session, self.endpoint.runtime).start()
    }

    private func refuseMethod(_ exchange: HTTPExchange) {
        let error = RPCError(.invalidRequest, "\(exchange.method) is for sessions: send the header \(Self.header)")
        exchange.respond(status: 405, json: MessageWriter.error(nil, error), headers: [("Allow", "POST")])
    }

    private func sessionIsOver(_ exchange: HTTPExchange) {
        let error = RPCError(.invalidRequest, "the session is over, or none of yours")
        exchange.respond(status: 404, json: MessageWriter.error(nil, error))
    }

    // MARK: messages

    private func notified(_ envelope: Envelope, _ session: ToolSession) {
        guard envelope.method == "notifications/cancelled",
            let value = envelope.member("requestId", of: envelope.parameters.all)
        else { return }
        // Calls run where they came.
        if !session.cancel(MessageID(token: Array(envelope.bytes(value)))) {
            self.registry.relay?.sent(envelope, in: session)
        }
    }

    private func perform(_ envelope: Envelope, _ id: MessageID, _ session: ToolSession, _ exchange: HTTPExchange)
        throws(RPCError)
    {
        guard let method = ProtocolMethod(rawValue: envelope.method), method.exists(in: .legacy) else {
            throw .methodNotFound(envelope.method, era: .legacy)
        }
        let request = ToolRequest(
            envelope: envelope, id: id, method: method, era: .legacy, capabilities: session.capabilities,
            logLevel: nil, place: self.place, caller: self.caller, session: session)
        // Only what may take its time needs a stream that can be read again.
        let kept = method.mayAsk ? session.makeStream() : nil
        self.endpoint.perform(
            request, ToolReply(exchange, id, self.registry.legacy, self.endpoint.runtime, kept: kept))
    }
}
