internal import ApusCore
internal import ApusStore
internal import ApusTools

/// One request of an agent, whichever era it speaks, with who asks and where.
final class ToolRequest: Sendable {
    let envelope: Envelope
    let id: MessageID
    let method: ProtocolMethod
    let era: Era
    let capabilities: ClientCapabilities
    let logLevel: LogLevel?
    let place: ToolPlace
    let caller: ToolCaller
    /// Nil for those of the modern era.
    let session: ToolSession?

    init(
        envelope: Envelope, id: MessageID, method: ProtocolMethod, era: Era, capabilities: ClientCapabilities,
        logLevel: LogLevel?, place: ToolPlace, caller: ToolCaller, session: ToolSession?
    ) {
        self.envelope = envelope
        self.id = id
        self.method = method
        self.era = era
        self.capabilities = capabilities
        self.logLevel = logLevel
        self.place = place
        self.caller = caller
        self.session = session
    }

    /// Whose what is kept for reading is: this caller's, in this namespace.
    var owner: String { "\(self.place.namespace.name)/\(self.caller.name)" }
}

/// A URL for agents: all tools of a namespace, or those of one tool server.
struct ToolPlace: Sendable, Hashable {
    var namespace: Namespace
    /// Nil for the whole namespace.
    var server: String?

    /// For what is sealed for this place.
    var text: String { "\(self.namespace.name)/\(self.server ?? "")" }
}

extension ToolCaller {
    convenience init(_ principal: Principal, in namespace: Namespace) {
        // An administrator is allowed everything, and so would seem to have every role.
        let own: Set<ToolCaller.Role> =
            if principal.roles.allow([], in: namespace) { [.admin, .caller] } else {
                Set(
                    ApusStore.Role.allCases.filter { principal.roles.allow([$0], in: namespace) }
                        .compactMap { ToolCaller.Role(rawValue: $0.rawValue) })
            }
        self.init(
            name: principal.name, namespace: namespace, scopes: principal.scopes, roles: own,
            bounds: principal.agent?.limits ?? CallBounds())
    }
}
