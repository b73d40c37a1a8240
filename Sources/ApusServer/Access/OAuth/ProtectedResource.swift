internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore

/// What RFC 9728 lets a client find out before it has a token: who issues those that are believed here.
struct ProtectedResource {
    static let prefix = "/.well-known/oauth-protected-resource"

    let configuration: AuthConfiguration
    /// The address of this server as clients know it, without a slash at its end.
    let base: String

    /// - Parameter host: of the request, for servers that were not told their address.
    init(_ configuration: AuthConfiguration, host: String, isSecure: Bool) {
        self.configuration = configuration
        self.base = configuration.publicURL ?? "\(isSecure ? "https" : "http")://\(host)"
    }

    /// - Parameter path: of what is protected, as `/mcp/search`; empty for the whole server.
    func metadata(of path: String) -> JSONValue {
        let scopes = Set(self.configuration.issuers.flatMap(\.roles.keys)).sorted()
        return [
            "resource": .string(self.base + path),
            "authorization_servers": .array(self.configuration.issuers.map { .string($0.issuer) }),
            "scopes_supported": .array(scopes.map { .string($0) }),
            "bearer_methods_supported": ["header"],
            "resource_name": "Apus",
        ]
    }

    /// The value of WWW-Authenticate for a refused request.
    /// - Parameter scopes: all that are needed; none where no scope would help.
    func challenge(_ code: ErrorCode, path: String, hasToken: Bool, scopes: [String]) -> String {
        var parts: [String] = []
        if code == .forbidden {
            parts.append(#"error="insufficient_scope""#)
        } else if hasToken {
            parts.append(#"error="invalid_token""#)
        }
        if !scopes.isEmpty { parts.append(#"scope="\#(scopes.joined(separator: " "))""#) }
        parts.append(#"resource_metadata="\#(self.base)\#(Self.prefix)\#(path)""#)
        return "Bearer " + parts.joined(separator: ", ")
    }
}

extension TokenIssuers {
    /// What a refused request of an agent is told beside the error; nil where no other server issues tokens, or for other paths.
    func challenge(_ code: ErrorCode, _ exchange: HTTPExchange, _ configuration: ServerConfiguration) -> String? {
        let path = exchange.rawPath
        guard !self.isEmpty, code == .unauthenticated || code == .forbidden,
            path == "/mcp" || path.hasPrefix("/mcp/"), path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F && $0 != 0x22 })
        else { return nil }
        let resource = ProtectedResource(
            self.configuration, host: exchange.header("Host") ?? "", isSecure: configuration.isSecure)
        let callers = self.configuration.issuers.flatMap { $0.roles.filter { $0.value == .caller }.keys }
        return resource.challenge(
            code, path: path, hasToken: exchange.header("Authorization") != nil, scopes: Set(callers).sorted())
    }
}

extension ServerConfiguration {
    /// Whether callers reach this server over TLS.
    var isSecure: Bool { self.certificate != nil || self.isBehindProxy }
}

extension Routes {
    func addProtectedResource(to table: inout RouteTable) {
        table.add(
            Operation(
                "getProtectedResource", "GET", ProtectedResource.prefix, "Who issues tokens that are believed here.",
                .open)
        ) { exchange, _ in self.protectedResource(exchange, path: "") }
        table.add(
            Operation(
                "getProtectedResourceOfTools", "GET", ProtectedResource.prefix + "/mcp",
                "The same, of the endpoint for agents.", .open)
        ) { exchange, _ in self.protectedResource(exchange, path: "/mcp") }
        table.add(
            Operation(
                "getProtectedResourceOfServer", "GET", ProtectedResource.prefix + "/mcp/{server}",
                "The same, of one tool server.", .open)
        ) { exchange, parameters in
            self.protectedResource(exchange, path: "/mcp/\(parameters["server"] ?? "")")
        }
    }

    private func protectedResource(_ exchange: HTTPExchange, path: String) {
        let issuers = self.server.issuers
        guard !issuers.isEmpty, path.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }) else {
            return exchange.respond(
                Problem(.notFound, "no other server issues tokens for this one: see `auth.issuers` in apus.yaml"))
        }
        let resource = ProtectedResource(
            issuers.configuration, host: exchange.header("Host") ?? "", isSecure: self.server.configuration.isSecure)
        exchange.respond(
            json: resource.metadata(of: path).encoded(), headers: [("Cache-Control", "max-age=3600")])
    }
}
