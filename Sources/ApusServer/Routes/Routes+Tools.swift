internal import ApusCore
internal import ApusHTTP
internal import ApusManifest
internal import ApusStore
internal import ApusTools

/// The endpoint for agents: `/mcp` for all tools of a namespace, `/mcp/{server}` for those of a tool server. Where the path names no
/// namespace it is the one that the caller's token belongs to.
extension Routes {
    func addTools(to table: inout RouteTable) {
        for (path, suffix) in [("/mcp", ""), ("/v1/namespaces/{ns}/mcp", "InNamespace")] {
            table.add(
                Operation(
                    "callTools\(suffix)", "POST", path, "Takes one message of an agent.", .decidedByRequest,
                    isNamespaced: false),
                requiring: self.toolRequirement, isSettledByPath: true
            ) { self.postMessage($0, $1) }
            table.add(
                Operation(
                    "callToolServer\(suffix)", "POST", "\(path)/{server}", "Takes one message of an agent.",
                    .decidedByRequest, isNamespaced: false),
                requiring: self.toolRequirement, isSettledByPath: true
            ) { self.postMessage($0, $1) }
            for (method, id, summary) in [
                ("GET", "followTools", "Follows what changes, or reads on in a stream that broke."),
                ("DELETE", "endToolSession", "Ends a session."),
            ] {
                table.add(
                    Operation("\(id)\(suffix)", method, path, summary, .decidedByRequest, isNamespaced: false),
                    requiring: self.toolRequirement, isSettledByPath: true
                ) { self.useSession($0, $1) }
                table.add(
                    Operation(
                        "\(id)Of\(suffix.isEmpty ? "Server" : "ServerInNamespace")", method, "\(path)/{server}",
                        summary,
                        .decidedByRequest, isNamespaced: false),
                    requiring: self.toolRequirement, isSettledByPath: true
                ) { self.useSession($0, $1) }
            }
        }
    }

    static func takesMessages(_ path: String) -> Bool {
        path == "/mcp" || path.hasPrefix("/mcp/")
            || (path.hasPrefix("/v1/namespaces/") && (path.hasSuffix("/mcp") || path.contains("/mcp/")))
    }

    /// A tool server may say that anybody on this machine may use it. No deploy asks for more than the token that any other needs.
    private var toolRequirement: Route.Requiring {
        { (_, parameters) throws(ApusError) in
            let namespace = try Self.namespace(parameters)
            if let name = parameters["server"], self.isOpen(name, in: namespace) { return Requirement(.open) }
            return Requirement(.call, in: parameters["ns"] == nil ? nil : namespace, isForAgents: true)
        }
    }

    private func isOpen(_ server: String, in namespace: Namespace) -> Bool {
        guard ListeningSocket.isLoopback(self.server.configuration.address), !self.server.configuration.isBehindProxy
        else { return false }
        let server = self.runtime.tools.catalogs[namespace]?.server(named: server)
        return server?.authentication == ToolServerManifest.Authentication.none
    }

    private var endpoint: ToolEndpoint { ToolEndpoint(server: self.server, runtime: self.runtime) }

    /// - Throws: `not_found` for a tool server that there is none of.
    private func place(_ exchange: HTTPExchange, _ parameters: RouteParameters) throws(ApusError) -> (
        ToolPlace, ToolCaller
    ) {
        let principal = self.principal(of: exchange)
        let namespace = parameters["ns"] == nil ? principal.namespace : try self.namespace(parameters)
        let place = ToolPlace(namespace: namespace, server: parameters["server"])
        if let name = place.server {
            guard let server = self.endpoint.catalog(namespace).server(named: name) else {
                throw ApusError(
                    .notFound,
                    "no tool server '\(name.prefix(64))' is in the namespace '\(namespace)': see `apus get tool-servers`"
                )
            }
            // It was let in for a server that anybody may use; what is there now may be another one.
            if exchange.isAnonymous, server.authentication != ToolServerManifest.Authentication.none {
                throw ApusError(.unauthenticated, "a token is needed: send `Authorization: Bearer …`")
            }
            // The one of that name in `default` may have been open, and the caller's own is not.
            if parameters["ns"] == nil, namespace != .default,
                server.authentication != ToolServerManifest.Authentication.none
            {
                try Requirement(.call, in: namespace, isForAgents: true).check(principal)
            }
        }
        // What an agent may not reach is to it as if it were not there.
        guard principal.reaches(place.server) else {
            let servers = principal.agent?.servers ?? []
            throw ApusError(
                .notFound,
                "the agent '\(principal.name)' reaches \(servers.map { "/mcp/\($0)" }.joined(separator: ", ")) only: see `apus agent list`"
            )
        }
        let admission = exchange.admission as? Admission
        return (place, admission?.caller(in: namespace) ?? .anonymous(namespace))
    }

    // MARK: messages

    private func postMessage(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (place, caller) = try self.place(exchange, parameters)
            let head = RoutingHead(exchange)
            switch RequestLadder.climb(head, exchange.body) {
            case .refused(let refusal): self.refuse(exchange, refusal)
            case .acknowledged: exchange.respond(status: 202)
            case .request(let request): self.perform(request, place, caller, exchange)
            case .legacy(let envelope):
                SessionMessages(endpoint: self.endpoint, place: place, caller: caller).take(envelope, head, exchange)
            }
        }
    }

    private func refuse(_ exchange: HTTPExchange, _ refusal: Refusal) {
        self.runtime.tools.operations.refuse("\(refusal.error.code)")
        exchange.respond(
            status: refusal.error.status, json: MessageWriter.error(refusal.id, refusal.error))
    }

    private func perform(_ request: ModernRequest, _ place: ToolPlace, _ caller: ToolCaller, _ exchange: HTTPExchange) {
        let endpoint = self.endpoint
        let whole = ToolRequest(
            envelope: request.envelope, id: request.id, method: request.method, era: .modern,
            capabilities: request.capabilities, logLevel: request.logLevel, place: place, caller: caller, session: nil)
        endpoint.perform(whole, ToolReply(exchange, request.id, endpoint.registry.modern, self.runtime))
    }

    /// GET and DELETE: of sessions only.
    private func useSession(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (place, caller) = try self.place(exchange, parameters)
            let messages = SessionMessages(endpoint: self.endpoint, place: place, caller: caller)
            if exchange.method == "DELETE" { messages.end(exchange) } else { messages.follow(exchange) }
        }
    }
}
