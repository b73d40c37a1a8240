public import ApusCore
internal import ApusJSON

/// A principal as its record holds it: whoever shows the token with this hash. The token itself is kept nowhere.
public struct PrincipalDeployment: Sendable, Equatable {
    /// The visible part of its token.
    public var id: String
    public var hash: TokenHash
    public var roles: RoleGrants
    public var created: Timestamp
    /// The principal that made it.
    public var creator: String
    public var expires: Timestamp?
    /// From then on its token is worth nothing. Kept in the record, so that no copy of an older one brings it back.
    public var revoked: Timestamp?
    /// What an agent may do of what its roles let it; nil for a token.
    public var agent: AgentRights?

    public init(
        id: String, hash: TokenHash, roles: RoleGrants, created: Timestamp, creator: String, expires: Timestamp? = nil,
        revoked: Timestamp? = nil, agent: AgentRights? = nil
    ) {
        self.agent = agent
        self.id = id
        self.hash = hash
        self.roles = roles
        self.created = created
        self.creator = creator
        self.expires = expires
        self.revoked = revoked
    }

    public enum State: String, Sendable { case active, expired, revoked }

    public func state(at now: Timestamp) -> State {
        if self.revoked != nil { return .revoked }
        if let expires = self.expires, expires <= now { return .expired }
        return .active
    }
}

extension PrincipalDeployment {
    func write(into object: inout JSONObject) {
        object["id"] = .string(self.id)
        object["hash"] = .string(self.hash.hex)
        object["roles"] = .array(self.roles.texts.map { .string($0) })
        object["created"] = .integer(self.created.microseconds)
        object["creator"] = .string(self.creator)
        if let expires = self.expires { object["expires"] = .integer(expires.microseconds) }
        if let revoked = self.revoked { object["revoked"] = .integer(revoked.microseconds) }
        if let agent = self.agent { object["agent"] = agent.json }
    }

    init(_ json: JSONValue) throws(ControlRecordError) {
        guard let id = json["id"]?.string else { throw .badMember("id") }
        guard let hash = json["hash"]?.string.flatMap(TokenHash.init(hex:)) else { throw .badMember("hash") }
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
        self.init(
            id: id, hash: hash, roles: RoleGrants(roles), created: Timestamp(microseconds: created), creator: creator,
            expires: json["expires"]?.integer.map { Timestamp(microseconds: $0) },
            revoked: json["revoked"]?.integer.map { Timestamp(microseconds: $0) }, agent: agent
        )
    }
}
