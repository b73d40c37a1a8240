internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

/// Agents: principals that call tools, each with a token that is shown once.
extension Routes {
    func addAgents(to table: inout RouteTable) {
        table.add(Operation("listAgents", "GET", "/v1/agents", "The agents, without their tokens.", .administer)) {
            self.listAgents($0, $1)
        }
        table.add(Operation("getAgent", "GET", "/v1/agents/{name}", "One agent, without its token.", .administer)) {
            self.describeAgent($0, $1)
        }
        table.add(
            Operation("putAgent", "PUT", "/v1/agents/{name}", "Deploys one agent.", .administer)
        ) { self.put($0, $1, kind: .agent) }
        table.add(
            Operation("createAgent", "POST", "/v1/agents", "Makes an agent and shows its token once.", .administer)
        ) { self.createAgent($0, $1) }
        table.add(
            Operation(
                "rotateAgent", "POST", "/v1/agents/{name}/rotate", "Gives an agent another token, shown once.",
                .administer)
        ) { self.rotateAgent($0, $1) }
        table.add(
            Operation("revokeAgent", "DELETE", "/v1/agents/{name}", "Ends an agent's token for good.", .administer)
        ) { self.revokeAgent($0, $1) }
    }

    private func listAgents(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            let now = self.runtime.now
            self.answerFromStore(exchange) { server throws(ApusError) in
                let agents = server.control.catalogue.principals
                    .filter { $0.key.namespace == namespace && $0.value.agent != nil }
                    .sorted { $0.key < $1.key }
                let prices = server.configuration.pool.prices
                return StoreAnswer(["items": .array(agents.map { Self.agentJSON($0.key, $0.value, prices, now: now) })])
            }
        }
    }

    private func describeAgent(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.agentName(parameters)
            let now = self.runtime.now
            self.answerFromStore(exchange) { server throws(ApusError) in
                let catalogue = server.control.catalogue
                guard let agent = catalogue.principals[name], agent.agent != nil else {
                    throw ApusError(.notFound, "there is no agent '\(name)': see `apus get agents`")
                }
                let generation = catalogue.generation(.principal, name.namespace, name.name)
                var json = Self.agentJSON(name, agent, server.configuration.pool.prices, now: now)
                json["generation"] = .number(generation)
                return StoreAnswer(json, headers: [("ETag", "\"\(generation)\"")])
            }
        }
    }

    static func agentJSON(
        _ name: ResourceName, _ principal: PrincipalDeployment, _ prices: Prices, now: Timestamp
    ) -> JSONValue {
        var json = Self.tokenJSON(name, principal, now: now)
        for member in ["servers", "scopes", "limits"] { json[member] = principal.agent?.json[member] }
        if let rights = principal.agent {
            let manifest = AgentManifest(
                name: name, labels: principal.labels, servers: rights.servers, scopes: rights.scopes,
                limits: rights.limits)
            json["manifest"] = Manifest.agent(manifest).toJSON()
            if let warning = prices.warning(about: rights) { json["warnings"] = .array([.string(warning)]) }
        }
        return json
    }

    private func createAgent(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let now = self.runtime.now
            let creator = self.principal(of: exchange)
            let order = try AgentOrder(parsing: exchange.body, namespace: try self.namespace(parameters))
            let prices = self.server.configuration.pool.prices
            try prices.check(order.rights.limits, of: order.name)
            let token = AccessToken.make()
            let agent = PrincipalDeployment(
                id: token.id, hash: token.hash, roles: order.roles, created: now, creator: creator.name,
                expires: try order.end(now: now, creator: creator), agent: order.rights)
            self.show(
                token, of: Self.agentJSON(order.name, agent, prices, now: now), exchange, .createPrincipal(order.name, agent),
                noting: self.change("created", order.name, exchange))
        }
    }

    private func rotateAgent(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.agentName(parameters)
            let token = AccessToken.make()
            self.show(
                token,
                of: ["name": .string(name.name), "namespace": .string(name.namespace.name), "id": .string(token.id)],
                exchange, .rotatePrincipal(name, id: token.id, hash: token.hash),
                noting: self.change("rotated", name, exchange))
        }
    }

    private func revokeAgent(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.agentName(parameters)
            self.command(
                .revokePrincipal(name, ifMatch: try self.ifMatch(exchange)), exchange,
                noting: self.change("revoked", name, exchange))
        }
    }

    private func change(_ code: String, _ name: ResourceName, _ exchange: HTTPExchange) -> ChangeAudit {
        ChangeAudit(code, "agent/\(name.name)", in: name.namespace, by: self.principal(of: exchange).name)
    }

    private func agentName(_ parameters: RouteParameters) throws(ApusError) -> ResourceName {
        let text = parameters["name"] ?? ""
        guard let name = ResourceName(try self.namespace(parameters), text) else {
            throw ApusError(
                .invalidArgument,
                "'\(text.prefix(64))' is no agent's name: 1 to 63 of a-z, 0-9 and hyphens are allowed")
        }
        return name
    }

    /// Performs a command that makes a token valid, then shows the token.
    func show(
        _ token: AccessToken, of described: JSONValue, _ exchange: HTTPExchange, _ command: ControlCommand,
        noting change: ChangeAudit
    ) {
        let reply = exchange.reply()
        let server = self.server
        server.control.perform(command) { answer in
            let refusal = answer.refusal
            server.note([change.entry(refusal)]) { error in
                guard case .success(let done) = answer, error == nil else {
                    return reply.respond(Problem(refusal ?? error ?? ApusError(.internal, "no token was made")))
                }
                var json = described
                json["token"] = .string(token.text)
                var headers = [("Content-Type", "application/json"), ("Cache-Control", "no-store")]
                if let place = done.position { headers.append((LogPosition.header, LogPosition(place).description)) }
                reply.respond(status: 201, headers: headers, body: json.encoded())
            }
        }
    }
}
