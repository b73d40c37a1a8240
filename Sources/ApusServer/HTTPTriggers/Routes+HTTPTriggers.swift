internal import ApusCore
internal import ApusHTTP
internal import ApusStore

/// HTTP triggers: whatever functions answer below `/fn`.
extension Routes {
    func addHTTPTriggers(to table: inout RouteTable) {
        for (id, path) in [
            ("callHTTPTrigger", "/fn/{path...}"), ("callHTTPTriggerInNamespace", "/v1/namespaces/{ns}/fn/{path...}"),
        ] {
            table.add(
                Operation(
                    id, "*", path, "Runs the function whose HTTP trigger it is.", .decidedByRequest,
                    isNamespaced: false),
                requiring: { exchange, parameters throws(ApusError) in
                    try self.triggerRequirement(exchange, parameters)
                }
            ) { exchange, _ in self.trigger(exchange) }
        }
    }

    /// A trigger says itself whether anybody may call it.
    private func triggerRequirement(_ exchange: HTTPExchange, _ parameters: RouteParameters) throws(ApusError)
        -> Requirement
    {
        if self.runtime.triggers.isOpen(method: exchange.method, rawPath: exchange.rawPath) {
            return Requirement(.open)
        }
        return Requirement(.call, in: try Self.namespace(parameters))
    }

    private func trigger(_ exchange: HTTPExchange) {
        self.answer(exchange) { () throws(ApusError) in
            // The router has read the path already: it is well-formed.
            guard let path = try? RequestPath(parsing: exchange.rawPath), let target = HTTPTriggerTable.Target(path)
            else { throw ApusError(.notFound, "nothing is at \(exchange.rawPath.prefix(255))") }
            switch self.runtime.triggers.match(method: exchange.method, target) {
            case .found(let trigger, let parameters):
                // It was let in for a trigger that anybody may call; what is there now may be another one.
                if exchange.isAnonymous, !trigger.isPublic {
                    throw ApusError(.unauthenticated, "a token is needed: send `Authorization: Bearer …`")
                }
                try self.call(trigger, target, parameters, exchange)
            case .methodNotAllowed(let methods):
                self.refuseMethod(exchange, methods)
            case .notFound:
                throw ApusError(
                    .notFound,
                    "no function of the namespace '\(target.namespace)' answers \(target.path.prefix(255)): "
                        + "see `apus get functions`, or deploy one with `http: {path: …}`")
            }
        }
    }

    private func refuseMethod(_ exchange: HTTPExchange, _ methods: [String]) {
        let allow = [("Allow", Set(methods + ["OPTIONS"]).sorted().joined(separator: ", "))]
        if exchange.method == "OPTIONS" { return exchange.respond(status: 204, headers: allow) }
        let detail =
            "\(exchange.method.prefix(32)) does not exist for \(exchange.rawPath.prefix(255)): "
            + "use \(methods.joined(separator: ", "))"
        exchange.respond(Problem(.methodNotAllowed, detail), headers: allow)
    }

    private func call(
        _ trigger: HTTPTriggerTable.Trigger, _ target: HTTPTriggerTable.Target, _ parameters: RouteParameters,
        _ exchange: HTTPExchange
    ) throws(ApusError) {
        if self.runtime.directory[trigger.function]?.pausedTriggers.contains(trigger.name) ?? false {
            throw trigger.function.isPausedError
        }
        let call = InvocationCall(
            function: trigger.function, id: self.runtime.invocationIDs.next(), way: .trigger(isAnonymous: exchange.isAnonymous))
        let headers = exchange.headers
        let head = HTTPTriggerRequest.Head(
            method: trigger.method, path: target.path, parameters: parameters,
            rawPath: exchange.rawPath, rawQuery: exchange.rawQuery, headers: headers)
        let event = try HTTPTriggerRequest.event(head, body: exchange.body, id: call.id)
        try self.call(call, event, headers, exchange)
    }
}
