internal import ApusCore
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

/// The body of `POST /v1/tokens`: `{"name": "ci", "roles": ["deployer", "reader@search"], "expiresIn": "30d"}`.
struct TokenOrder {
    var name: ResourceName
    var roles: Set<RoleGrant>
    var life: TimeSpan?

    /// - Parameter namespace: where the token is listed, and where roles hold that name none.
    /// - Throws: `invalid_json` or `invalid_argument`.
    init(parsing body: [UInt8], namespace: Namespace) throws(ApusError) {
        let json = try JSONValue.parse(body)
        guard let object = json.object else { throw Self.wrong("the body is no JSON object") }
        for member in object.names where !["name", "roles", "expiresIn"].contains(member) {
            throw Self.wrong("a token knows no `\(member.prefix(64))`")
        }
        guard let text = json["name"]?.string, let name = ResourceName(namespace, text) else {
            throw Self.wrong("`name` is missing or none: 1 to 63 of a-z, 0-9 and hyphens are allowed")
        }
        guard let list = json["roles"]?.array, (1...Limits.Control.rolesPerPrincipal).contains(list.count) else {
            throw Self.wrong("`roles` is missing: 1 to \(Limits.Control.rolesPerPrincipal) of ROLE or ROLE@NAMESPACE")
        }
        var roles: Set<RoleGrant> = []
        for element in list {
            guard let text = element.string else { throw Self.wrong("`roles` holds something that is no text") }
            roles.insert(try RoleGrant(parsing: text, namespace: namespace))
        }
        self.name = name
        self.roles = roles
        guard let life = json["expiresIn"], life != .null else { return }
        let longest = TimeSpan.seconds(Limits.Access.tokenDays * 86_400)
        guard let span = life.string.flatMap(Quantity.span), span >= .seconds(1), span <= longest else {
            throw Self.wrong("`expiresIn` is a time from 1s to \(longest), like 12h or 30d")
        }
        self.life = span
    }

    /// When the token ends. Nobody gives away what it does not hold, nor for longer than it holds it itself.
    /// - Throws: `forbidden`.
    func end(now: Timestamp, creator: Principal) throws(ApusError) -> Timestamp? {
        for role in self.roles.sorted() where !creator.roles.cover(role) {
            throw ApusError(
                .forbidden, "'\(creator.name)' does not hold \(role), and so cannot give it to a token")
        }
        guard let life = self.life else { return creator.expires }
        let end = now + life
        if let bound = creator.expires, bound < end {
            throw ApusError(
                .forbidden,
                "'\(creator.name)' itself ends at \(RFC3339.format(bound)): a token that it makes cannot last longer")
        }
        return end
    }

    private static func wrong(_ what: String) -> ApusError {
        ApusError(.invalidArgument, "\(what); expected {\"name\": …, \"roles\": […], \"expiresIn\": …}")
    }
}
