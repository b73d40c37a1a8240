public import ApusCore

/// What a principal may do in a namespace. A role holds in one namespace, or with `*` in all and for whole-server paths.
public enum Role: String, Sendable, Hashable, CaseIterable {
    /// Everything, tokens included.
    case admin
    /// Deploys, deletes, redrives; sees what a reader sees.
    case deployer
    /// Publishes events.
    case producer
    /// Invokes functions and sees what became of invocations.
    case caller
    /// Decides approvals.
    case approver
    /// Sees what is deployed, topics, logs, dead letters, invocations.
    case reader
}

/// A role and where it holds: `reader@search`, `admin@*`.
public struct RoleGrant: Sendable, Hashable, Comparable, CustomStringConvertible {
    public enum Scope: Sendable, Hashable {
        case namespace(Namespace)
        /// All namespaces, those to come too, and the paths that show the whole server.
        case everywhere
    }

    public var role: Role
    public var scope: Scope

    public init(_ role: Role, _ scope: Scope) {
        self.role = role
        self.scope = scope
    }

    /// - Parameters:
    ///   - text: `ROLE@NAMESPACE`, `ROLE@*`, or `ROLE` alone.
    ///   - namespace: where a role holds that names no namespace; without it such a text is refused.
    /// - Throws: `invalid_argument`.
    public init(parsing text: String, namespace: Namespace? = nil) throws(ApusError) {
        let parts = text.split(separator: "@", maxSplits: 1, omittingEmptySubsequences: false)
        guard let role = Role(rawValue: String(parts[0])) else {
            let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
            throw ApusError(.invalidArgument, "'\(parts[0].prefix(64))' is no role; expected one of \(known)")
        }
        if parts.count == 1, let namespace {
            self.init(role, .namespace(namespace))
            return
        }
        let place = parts.count == 2 ? String(parts[1]) : ""
        if place == "*" {
            self.init(role, .everywhere)
        } else if let namespace = Namespace(place) {
            self.init(role, .namespace(namespace))
        } else {
            throw ApusError(
                .invalidArgument,
                "'\(text.prefix(128))' names no namespace; expected \(role.rawValue)@NAMESPACE, or \(role.rawValue)@* for all"
            )
        }
    }

    public var description: String {
        switch self.scope {
        case .namespace(let namespace): "\(self.role.rawValue)@\(namespace)"
        case .everywhere: "\(self.role.rawValue)@*"
        }
    }

    public static func < (left: RoleGrant, right: RoleGrant) -> Bool { left.description < right.description }
}

/// The roles of one principal.
public struct RoleGrants: Sendable, Equatable {
    public private(set) var all: Set<RoleGrant>

    public init(_ all: Set<RoleGrant>) { self.all = all }

    /// Whether one of the roles, or `admin`, holds in the namespace.
    public func allow(_ roles: Set<Role>, in namespace: Namespace) -> Bool {
        self.all.contains { grant in
            guard grant.role == .admin || roles.contains(grant.role) else { return false }
            switch grant.scope {
            case .everywhere: return true
            case .namespace(let place): return place == namespace
            }
        }
    }

    /// Whether one of the roles, or `admin`, holds for the whole server.
    public func allowServer(_ roles: Set<Role>) -> Bool {
        self.all.contains { $0.scope == .everywhere && ($0.role == .admin || roles.contains($0.role)) }
    }

    /// Whether the holder may give this role away: it holds it itself, there or everywhere.
    public func cover(_ grant: RoleGrant) -> Bool {
        switch grant.scope {
        case .everywhere: self.allowServer([grant.role])
        case .namespace(let namespace): self.allow([grant.role], in: namespace)
        }
    }

    /// As records and answers list them.
    public var texts: [String] { self.all.sorted().map(\.description) }
}
