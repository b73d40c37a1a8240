public import ApusCore

/// Whoever asks about tools: what its rights are read from.
public final class ToolCaller: Sendable {
    /// Those that matter to tools, of the namespace asked about.
    public enum Role: String, Sendable, Hashable, CaseIterable {
        case admin, deployer, producer, caller, approver, reader
    }

    /// The principal's name.
    public let name: String
    public let namespace: Namespace
    public let scopes: Set<String>
    public let roles: Set<Role>
    /// How much it may ask for.
    public let bounds: CallBounds
    /// Found out once: a list asks for each of its items.
    public let isAdministrator: Bool
    private let mayCall: Bool

    public init(
        name: String, namespace: Namespace, scopes: Set<String>, roles: Set<Role>,
        bounds: CallBounds = CallBounds()
    ) {
        self.bounds = bounds
        self.name = name
        self.namespace = namespace
        self.scopes = scopes
        self.roles = roles
        self.isAdministrator = roles.contains(.admin)
        self.mayCall = roles.contains(.caller)
    }

    /// Whoever asks a server without authentication: what needs no scope is open to it.
    public static func anonymous(_ namespace: Namespace) -> ToolCaller {
        ToolCaller(name: "anonymous", namespace: namespace, scopes: [], roles: [.caller])
    }

    public var isApprover: Bool { self.roles.contains(.approver) || self.isAdministrator }

    /// Whether it may see and call what needs these scopes. What it may not call it does not see: to it that is unknown.
    public func mayUse(_ scopes: [String]) -> Bool {
        if self.isAdministrator { return true }
        return self.mayCall && scopes.allSatisfy(self.scopes.contains)
    }
}
