public import ApusCore
internal import ApusJSON

/// A principal as its record holds it: whoever shows the token with this hash. The token itself is kept nowhere.
public struct PrincipalDeployment: Sendable, Equatable {
    /// What proves who it is.
    public struct Key: Sendable, Equatable {
        /// The visible part of the token.
        public var id: String
        public var hash: TokenHash

        public init(id: String, hash: TokenHash) {
            self.id = id
            self.hash = hash
        }
    }

    /// Nil for an agent that was deployed and has no token yet.
    public var key: Key?
    public var roles: RoleGrants
    public var created: Timestamp
    /// The principal that made it.
    public var creator: String
    public var expires: Timestamp?
    /// From then on its token is worth nothing. Kept in the record, so that no copy of an older one brings it back.
    public var revoked: Timestamp?
    /// What an agent may do of what its roles let it; nil for a token.
    public var agent: AgentRights?
    /// Of an agent's manifest.
    public var labels: [String: String]

    public init(
        id: String, hash: TokenHash, roles: RoleGrants, created: Timestamp, creator: String, expires: Timestamp? = nil,
        revoked: Timestamp? = nil, agent: AgentRights? = nil
    ) {
        self.init(
            key: Key(id: id, hash: hash), roles: roles, created: created, creator: creator, expires: expires,
            revoked: revoked, agent: agent)
    }

    public init(
        key: Key?, roles: RoleGrants, created: Timestamp, creator: String, expires: Timestamp? = nil,
        revoked: Timestamp? = nil, agent: AgentRights? = nil, labels: [String: String] = [:]
    ) {
        self.agent = agent
        self.labels = labels
        self.key = key
        self.roles = roles
        self.created = created
        self.creator = creator
        self.expires = expires
        self.revoked = revoked
    }

    public enum State: String, Sendable, CaseIterable {
        /// It was deployed, and nobody can show a token of it yet.
        case keyless
        case active, expired, revoked

        /// Whether nobody else can have its name.
        public var holdsName: Bool { self == .active || self == .keyless }
    }

    public func state(at now: Timestamp) -> State {
        if self.revoked != nil { return .revoked }
        if let expires = self.expires, expires <= now { return .expired }
        return self.key == nil ? .keyless : .active
    }
}

extension PrincipalDeployment {
    func write(into object: inout JSONObject) {
        if let key = self.key {
            object["id"] = .string(key.id)
            object["hash"] = .string(key.hash.hex)
        }
        object["roles"] = .array(self.roles.texts.map { .string($0) })
        object["created"] = .integer(self.created.microseconds)
        object["creator"] = .string(self.creator)
        if let expires = self.expires { object["expires"] = .integer(expires.microseconds) }
        if let revoked = self.revoked { object["revoked"] = .integer(revoked.microseconds) }
        if let agent = self.agent { object["agent"] = agent.json }
        if !self.labels.isEmpty {
            object["labels"] = .object(JSONObject(self.labels.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) }))
        }
    }

    init(_ json: JSONValue) throws(ControlRecordError) {
        let key = try Key(json)
        guard let list = json["roles"]?.array else { throw .badMember("roles") }
        var roles: Set<RoleGrant> = []
        for element in list {
            guard let text = element.string, let grant = try? RoleGrant(parsing: text) else {
                throw .badMember("roles")
            }
            roles.insert(grant)
        }
        guard let created = json["created"]?.integer else { throw .badMember("created") }
        guard let creator = json["creator"]?.string else { throw .badMember("creator") }
        var agent: AgentRights?
        if let rights = json["agent"] {
            do throws(AgentRightsError) { agent = try AgentRights(json: rights) } catch {
                throw .badMember(error.member)
            }
        }
        var labels: [String: String] = [:]
        for label in json["labels"]?.object ?? [:] {
            guard let text = label.value.string else { throw .badMember("labels") }
            labels[label.name] = text
        }
        // Only an agent can be deployed without a key.
        guard key != nil || agent != nil else { throw .badMember("hash") }
        self.init(
            key: key, roles: RoleGrants(roles), created: Timestamp(microseconds: created), creator: creator,
            expires: json["expires"]?.integer.map { Timestamp(microseconds: $0) },
            revoked: json["revoked"]?.integer.map { Timestamp(microseconds: $0) }, agent: agent, labels: labels
        )
    }
}

extension PrincipalDeployment.Key {
    /// - Returns: nil where the record names none.
    fileprivate init?(_ json: JSONValue) throws(ControlRecordError) {
        if json["id"] == nil, json["hash"] == nil { return nil }
        guard let id = json["id"]?.string else { throw .badMember("id") }
        guard let hash = json["hash"]?.string.flatMap(TokenHash.init(hex:)) else { throw .badMember("hash") }
        self.init(id: id, hash: hash)
    }
}
