internal import ApusCore
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

/// The body of `POST /v1/agents`: `{"name": "researcher", "servers": ["search"], "scopes": ["files:read"], "limits":
/// {"callsPerMinute": 60}, "expiresIn": "30d"}`.
///
/// An agent is a caller of its namespace, and never more: what it may do beside calling tools is no matter of tools.
struct AgentOrder {
    var rights: AgentRights
    private var token: TokenOrder

    var name: ResourceName { self.token.name }
    var roles: RoleGrants { RoleGrants(self.token.roles) }

    /// - Throws: `invalid_json` or `invalid_argument`.
    init(parsing body: [UInt8], namespace: Namespace) throws(ApusError) {
        let json = try JSONValue.parse(body)
        guard let object = json.object else { throw Self.wrong("the body is no JSON object") }
        var rights = JSONObject()
        var token: JSONValue = ["roles": .array([.string("\(Role.caller.rawValue)@\(namespace)")])]
        for name in object.names {
            switch name {
            case "servers", "scopes", "limits": rights[name] = object[name]
            case "name", "expiresIn": token[name] = object[name]
            default: throw Self.wrong("an agent knows no `\(name.prefix(64))`")
            }
        }
        do throws(AgentRightsError) { self.rights = try AgentRights(json: .object(rights)) } catch {
            throw Self.wrong("`\(error.member.prefix(64))` is wrong")
        }
        self.token = try TokenOrder(parsing: token.encoded(), namespace: namespace)
    }

    /// When its token ends. - Throws: `forbidden`.
    func end(now: Timestamp, creator: Principal) throws(ApusError) -> Timestamp? {
        try self.token.end(now: now, creator: creator)
    }

    private static func wrong(_ what: String) -> ApusError {
        ApusError(
            .invalidArgument,
            "\(what); expected {\"name\": …, \"servers\": […], \"scopes\": […], \"limits\": {\"callsPerMinute\": …, "
                + "\"concurrent\": …, \"callsPerDay\": …, \"budgetPerDay\": …}, \"expiresIn\": …}")
    }
}
