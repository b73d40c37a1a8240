internal import ApusCore
internal import ApusStore

/// Whoever is authenticated.
struct Principal: Sendable, Equatable {
    /// As control records, logs and states of invocations name it.
    var name: String
    var roles: RoleGrants
    /// When its token ends.
    var expires: Timestamp?
    /// What an authorization server, or whoever made an agent, lets it do beyond its roles: tools may ask for them.
    var scopes: Set<String> = []
    /// What it may do of what its roles let it, where it is an agent.
    var agent: AgentRights?
    /// Where it belongs, for requests that name no namespace.
    var namespace = Namespace.default

    /// Whoever holds the admin token of the data directory.
    static let administrator = Principal(
        name: ResourceName.administrator.description, roles: RoleGrants([RoleGrant(.admin, .everywhere)]))
    /// Whoever asks without a token where none is needed.
    static let anonymous = Principal(name: "anonymous", roles: RoleGrants([]))
}
