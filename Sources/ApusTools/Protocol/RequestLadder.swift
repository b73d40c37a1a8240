internal import ApusCore
internal import ApusJSON

/// Decides what a posted body is, rung by rung: the first that fails is the answer. The order is part of the protocol, since a
/// client learns from the code of an error which way to speak.
///
/// The rungs before it (host, origin, token, size) are the listener's and the gate's; those after it (`Mcp-Param-*`, what the client must
/// be able to do, the handler's own) need the tool.
public enum RequestLadder {
    public enum Outcome: Sendable {
        case request(ModernRequest)
        /// A notification of a client without session: there is nothing that it could act on.
        case acknowledged
        /// A message of a session, or one that begins one.
        case legacy(Envelope)
        case refused(Refusal)
    }

    public static func climb(_ head: RoutingHead, _ body: [UInt8]) -> Outcome {
        do throws(Refusal) {
            try Self.checkTypes(head)
            let envelope = try Envelope(parsing: body)
            guard Self.isModern(head, envelope) else { return .legacy(envelope) }
            do throws(RPCError) { return try Self.climb(head, envelope) } catch {
                throw Refusal(error, id: envelope.id)
            }
        } catch { return .refused(error) }
    }

    static func checkTypes(_ head: RoutingHead) throws(Refusal) {
        if !head.isJSON {
            let error = RPCError(.invalidRequest, "Content-Type must be application/json", status: 400)
            throw Refusal(error, id: nil)
        }
        if !head.acceptsBoth {
            let error = RPCError(
                .invalidRequest, "Accept must list application/json and text/event-stream", status: 406)
            throw Refusal(error, id: nil)
        }
    }

    /// Since 2026-07-28 a request says so itself, or its head names a revision that has no sessions.
    static func isModern(_ head: RoutingHead, _ envelope: Envelope) -> Bool {
        if envelope.parameters.version != nil { return true }
        return head.versions.contains { !ProtocolRevision.legacyDates.contains($0.trimmingBlanks) }
    }

    private static func climb(_ head: RoutingHead, _ envelope: Envelope) throws(RPCError) -> Outcome {
        if envelope.isAnswer {
            throw RPCError(.invalidRequest, "answers are not posted: they come with the request, repeated", status: 400)
        }
        guard let id = envelope.id else {
            try Self.checkNotification(head)
            return .acknowledged
        }
        let (version, capabilities) = try Self.checkMeta(envelope)
        try Self.compare(head, envelope, version)
        guard let revision = ProtocolRevision(rawValue: version), revision.era == .modern else {
            throw .unsupported(version)
        }
        guard let method = ProtocolMethod(rawValue: envelope.method), method.exists(in: .modern) else {
            throw .methodNotFound(envelope.method, era: .modern)
        }
        let level = try Self.logLevel(envelope)
        return .request(
            ModernRequest(envelope: envelope, id: id, method: method, capabilities: capabilities, logLevel: level))
    }

    private static func checkNotification(_ head: RoutingHead) throws(RPCError) {
        for version in head.versions.map(\.trimmingBlanks)
        where ProtocolRevision(rawValue: version)?.era != .modern { throw .unsupported(version) }
    }

    private static func checkMeta(_ envelope: Envelope) throws(RPCError) -> (String, ClientCapabilities) {
        let parameters = envelope.parameters
        guard parameters.meta?.kind == .object, let version = parameters.version, let declared = parameters.capabilities
        else {
            throw RPCError(
                .invalidParams,
                "`params._meta` must hold io.modelcontextprotocol/protocolVersion and "
                    + "io.modelcontextprotocol/clientCapabilities", status: 400)
        }
        guard let text = envelope.text(version), declared.kind == .object else {
            throw RPCError(
                .invalidParams, "the revision of the protocol is a string, the client's capabilities are an object",
                status: 400)
        }
        return (text, envelope.body.withUnsafeBytes { ClientCapabilities(declared, in: $0) })
    }

    private static func logLevel(_ envelope: Envelope) throws(RPCError) -> LogLevel? {
        guard let value = envelope.parameters.logLevel, value.kind != .null else { return nil }
        guard let level = envelope.text(value).flatMap(LogLevel.init) else {
            throw RPCError(
                .invalidParams, "io.modelcontextprotocol/logLevel is no level: debug to emergency are", status: 400)
        }
        return level
    }

    // MARK: the head against the body

    private static func compare(_ head: RoutingHead, _ envelope: Envelope, _ version: String) throws(RPCError) {
        let stated = try Self.only(head.versions, "MCP-Protocol-Version")
        guard let stated, stated.isSame(as: version) else { throw Self.differs("MCP-Protocol-Version", stated) }
        let method = try Self.only(head.methods, "Mcp-Method")
        guard let method, method.isSame(as: envelope.method) else { throw Self.differs("Mcp-Method", method) }
        let name = try Self.only(head.names, "Mcp-Name")
        guard let expected = envelope.routingName else { return }
        guard let name else {
            // Clients do not send it for tasks.
            if envelope.method.hasPrefix("tasks/") { return }
            throw Self.differs("Mcp-Name", nil)
        }
        guard let decoded = HeaderText.decode(name), decoded.isSame(as: expected) else {
            throw Self.differs("Mcp-Name", name)
        }
    }

    private static func only(_ values: [String], _ name: String) throws(RPCError) -> String? {
        // Two readers in a row might each take another one of them.
        guard values.count <= 1 else { throw .headerMismatch("the header \(name) comes more than once") }
        return values.first?.trimmingBlanks
    }

    private static func differs(_ name: String, _ value: String?) -> RPCError {
        .headerMismatch("the header \(name) \(value == nil ? "is missing" : "is not what the body says")")
    }
}

/// A request that says by itself who asks and what its client can do.
public struct ModernRequest: Sendable {
    public var envelope: Envelope
    public var id: MessageID
    public var method: ProtocolMethod
    public var capabilities: ClientCapabilities
    /// Nil where the client wants no messages.
    public var logLevel: LogLevel?
}
