internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore

/// Tokens, who one is, and the login of browsers.
extension Routes {
    func addAccess(to table: inout RouteTable) {
        table.add(Operation("listTokens", "GET", "/v1/tokens", "The tokens, without their secrets.", .administer)) {
            self.listTokens($0, $1)
        }
        table.add(Operation("createToken", "POST", "/v1/tokens", "Makes a token and shows it once.", .administer)) {
            self.createToken($0, $1)
        }
        table.add(Operation("revokeToken", "DELETE", "/v1/tokens/{name}", "Ends a token for good.", .administer)) {
            self.revokeToken($0, $1)
        }
        table.add(Operation("getPrincipal", "GET", "/v1/principal", "Who is calling, and its roles.", .authenticated)) {
            exchange, _ in self.whoAmI(exchange)
        }
        table.add(
            Operation("createLogin", "POST", "/v1/logins", "Makes a link that logs a browser in once.", .authenticated)
        ) { exchange, _ in self.createLogin(exchange) }
        table.add(Operation("logIn", "GET", "/login", "Logs a browser in by a link, once.", .open)) { exchange, _ in
            self.logIn(exchange)
        }
        table.add(Operation("logOut", "POST", "/logout", "Ends the session of a browser.", .authenticated)) {
            exchange, _ in self.logOut(exchange)
        }
    }

    // MARK: tokens

    func listTokens(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            let now = self.runtime.now
            self.answerFromStore(exchange) { server throws(ApusError) in
                let principals = server.control.catalogue.principals.filter {
                    $0.key.namespace == namespace && $0.value.key != nil
                }
                let items = principals.sorted { $0.key < $1.key }.map { Self.tokenJSON($0.key, $0.value, now: now) }
                return StoreAnswer(["items": .array(items)])
            }
        }
    }

    static func tokenJSON(_ name: ResourceName, _ principal: PrincipalDeployment, now: Timestamp) -> JSONValue {
        var json: JSONValue = [
            "name": .string(name.name), "namespace": .string(name.namespace.name),
            "roles": .array(principal.roles.texts.map { .string($0) }),
            "state": .string(principal.state(at: now).rawValue),
            "created": .string(RFC3339.format(principal.created)), "creator": .string(principal.creator),
        ]
        if let key = principal.key { json["id"] = .string(key.id) }
        if let expires = principal.expires { json["expires"] = .string(RFC3339.format(expires)) }
        if let revoked = principal.revoked { json["revoked"] = .string(RFC3339.format(revoked)) }
        return json
    }

    func createToken(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let now = self.runtime.now
            let creator = self.principal(of: exchange)
            let order = try TokenOrder(parsing: exchange.body, namespace: try self.namespace(parameters))
            let token = AccessToken.make()
            let principal = PrincipalDeployment(
                id: token.id, hash: token.hash, roles: RoleGrants(order.roles), created: now, creator: creator.name,
                expires: try order.end(now: now, creator: creator))
            self.show(
                token, of: Self.tokenJSON(order.name, principal, now: now), exchange,
                .createPrincipal(order.name, principal),
                noting: ChangeAudit("created", "token/\(order.name.name)", in: order.name.namespace, by: creator.name))
        }
    }

    func revokeToken(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let text = parameters["name"] ?? ""
            guard let name = ResourceName(try self.namespace(parameters), text) else {
                throw ApusError(
                    .invalidArgument,
                    "'\(text.prefix(64))' is no token's name: 1 to 63 of a-z, 0-9 and hyphens are allowed")
            }
            self.command(
                .revokePrincipal(name), exchange,
                noting: ChangeAudit("revoked", "token/\(name.name)", in: name.namespace, by: self.principal(of: exchange).name))
        }
    }

    func whoAmI(_ exchange: HTTPExchange) {
        let principal = self.principal(of: exchange)
        var json: JSONValue = [
            "name": .string(principal.name), "roles": .array(principal.roles.texts.map { .string($0) }),
        ]
        if let expires = principal.expires { json["expires"] = .string(RFC3339.format(expires)) }
        exchange.respond(json: json.encoded(), headers: [("Cache-Control", "no-store")])
    }

    // MARK: browsers

    func createLogin(_ exchange: HTTPExchange) {
        self.answer(exchange) { () throws(ApusError) in
            guard case .token(let hash) = (exchange.admission as? Admission)?.credential else {
                throw ApusError(
                    .forbidden, "a login link is made with a token: a browser cannot make its own session longer")
            }
            let now = self.runtime.now
            let code = try self.server.sessions.makeCode(for: hash, now: now)
            let json: JSONValue = [
                "path": .string("/login?code=\(code)"),
                "expires": .string(RFC3339.format(now + .seconds(Limits.Access.loginSeconds))),
            ]
            exchange.respond(status: 201, json: json.encoded(), headers: [("Cache-Control", "no-store")])
        }
    }

    /// Answers a page that goes on to the console, not a redirect: a browser that followed the link from a page elsewhere would
    /// send no SameSite=Strict cookie along with the redirected request.
    func logIn(_ exchange: HTTPExchange) {
        do throws(ApusError) {
            let cookie = try self.startSession(exchange)
            let page = Self.page("Logged in", #"<a href="/">Go on to the console</a>."#, goesOn: true)
            exchange.respond(status: 200, headers: Self.pageHeaders + [("Set-Cookie", cookie)], body: page)
        } catch {
            // A person clicked on the link: no JSON for people.
            guard error.code == .notFound, exchange.header("Accept")?.contains("text/html") == true else {
                return exchange.respond(Problem(error))
            }
            let advice =
                "It was used, or is older than \(Limits.Access.loginSeconds) s. <code>apus console</code> prints a new one; "
                + #"who is logged in may <a href="/">go on to the console</a>."#
            exchange.respond(
                status: 404, headers: Self.pageHeaders, body: Self.page("This link does not hold any more", advice))
        }
    }

    /// - Returns: the cookie of the browser that followed a link.
    private func startSession(_ exchange: HTTPExchange) throws(ApusError) -> String {
        guard let code = try self.query(exchange)["code"] else {
            throw ApusError(.invalidArgument, "the code is missing: use the link that `apus console` prints")
        }
        let now = self.runtime.now
        guard let (id, token) = try self.server.sessions.redeem(code, now: now),
            self.runtime.principals.holds(token, now: now)
        else {
            throw ApusError(
                .notFound,
                "this link was used, or is older than \(Limits.Access.loginSeconds) s: `apus console` prints a new one")
        }
        return self.cookie(id)
    }

    private static let pageHeaders = [
        ("Content-Type", "text/html; charset=utf-8"), ("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "default-src 'none'; img-src data:; frame-ancestors 'none'"),
    ]

    /// A page without style or script. Its icon is empty, so that no browser asks for one.
    private static func page(_ title: String, _ text: String, goesOn: Bool = false) -> [UInt8] {
        let refresh = goesOn ? #"<meta http-equiv="refresh" content="0; url=/">"# : ""
        let head =
            #"<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="color-scheme" content="light dark">"#
            + #"<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">"#
        return Array(
            "\(head)\(refresh)<title>Apus</title></head><body><h1>\(title)</h1><p>\(text)</p></body></html>".utf8)
    }

    func logOut(_ exchange: HTTPExchange) {
        if case .session(let session) = (exchange.admission as? Admission)?.credential {
            self.server.sessions.end(session)
        }
        exchange.respond(status: 204, headers: [("Set-Cookie", "\(self.cookie("")); Max-Age=0")])
    }

    /// Where TLS ends here or in a proxy in front, the browser is told to keep the cookie from plain HTTP.
    private func cookie(_ id: String) -> String {
        let configuration = self.server.configuration
        let secure = configuration.certificate != nil || configuration.isBehindProxy ? "; Secure" : ""
        return "\(PresentedCredential.cookie)=\(id); HttpOnly; SameSite=Strict; Path=/\(secure)"
    }
}
