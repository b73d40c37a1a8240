internal import ApusCore
internal import ApusManifest
internal import ApusServer
internal import ApusStore

extension ConfigurationTable {
    static let auth: [ConfigurationField] = [
        ConfigurationField(
            "auth.publicURL", .text,
            "How clients reach this server, as https://apus.example.com: what its metadata for OAuth clients says. Without it what they ask under.",
            default: nil
        ) { options, value throws(SettingRefusal) in
            options.server.auth.publicURL = try Self.address(value, "a URL that starts with http:// or https://")
        },
        ConfigurationField(
            "auth.issuers",
            .records(Self.issuerFields, required: ["issuer", "jwks", "audience"], max: TokenIssuer.max),
            "Authorization servers whose tokens are believed.", default: "[]"
        ) { options, value throws(SettingRefusal) in
            let issuers = try value.records.map { item throws(SettingRefusal) in try Self.issuer(item) }
            guard Set(issuers.map(\.issuer)).count == issuers.count else {
                throw SettingRefusal("issuers that differ")
            }
            options.server.auth.issuers = issuers
        },
    ]

    private static let issuerFields: [Setting] = [
        Setting("issuer", .text, "What `iss` of its tokens says.", default: nil),
        Setting("jwks", .text, "The URL of its public keys.", default: nil),
        Setting("audience", .text, "What `aud` of its tokens must name: this server.", default: nil),
        Setting(
            "namespaceClaim", .text, "The claim that says a caller's namespace; without it `default`.", default: nil),
        Setting(
            "scopes", .pairs(max: 64),
            "The role that a scope gives in that namespace: caller, reader, producer, approver, deployer or admin.",
            default: nil),
        Setting("allowPrivate", .boolean, "Whether the keys may lie at an address of your own network.", default: nil),
    ]

    private static func issuer(_ item: [String: SettingValue]) throws(SettingRefusal) -> TokenIssuer {
        guard let issuer = item["issuer"], let keys = item["jwks"], let audience = item["audience"] else {
            throw SettingRefusal("issuer, jwks and audience of each")
        }
        var roles: [String: Role] = [:]
        for (scope, name) in item["scopes"]?.pairs ?? [:] {
            guard let role = Role(rawValue: name) else {
                throw SettingRefusal(
                    "one of \(Role.allCases.map(\.rawValue).joined(separator: ", ")) for the scope '\(scope.prefix(64))'"
                )
            }
            roles[scope] = role
        }
        return TokenIssuer(
            issuer: issuer.text, keys: try Self.address(keys, "jwks: a URL that starts with https:// or http://"),
            audience: audience.text, namespaceClaim: item["namespaceClaim"]?.text, roles: roles,
            allowsPrivate: item["allowPrivate"]?.isOn ?? false)
    }

    private static func address(_ value: SettingValue, _ expected: String) throws(SettingRefusal) -> String {
        var text = value.text
        while text.hasSuffix("/") { text.removeLast() }
        guard text.hasPrefix("http://") || text.hasPrefix("https://") else { throw SettingRefusal(expected) }
        return text
    }
}
