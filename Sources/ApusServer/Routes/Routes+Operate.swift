internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import Glibc

/// What operators do with functions: pause, resume, roll back, warm.
extension Routes {
    func addOperate(to table: inout RouteTable) {
        table.add(
            Operation("pauseFunction", "POST", "/v1/functions/{name}/pause", "Begins nothing of it for now.", .deploy)
        ) { self.pause($0, $1) }
        table.add(
            Operation("resumeFunction", "POST", "/v1/functions/{name}/resume", "Lets it run again.", .deploy)
        ) { self.resume($0, $1) }
        table.add(
            Operation(
                "rollbackFunction", "POST", "/v1/functions/{name}/rollback", "Returns to a kept revision.", .deploy)
        ) { self.rollback($0, $1) }
        table.add(
            Operation("warmFunction", "POST", "/v1/functions/{name}/warm", "Starts a worker ahead of use.", .deploy)
        ) { self.warm($0, $1) }
    }

    /// Body, which may be left out: `{"trigger": "…"}`.
    private func pause(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let target = try self.pauseTarget(exchange, parameters)
            self.command(.pause(target, principal: self.principal(of: exchange).name), exchange)
        }
    }

    private func resume(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            self.command(.resume(try self.pauseTarget(exchange, parameters)), exchange)
        }
    }

    private func pauseTarget(_ exchange: HTTPExchange, _ parameters: RouteParameters) throws(ApusError) -> PauseTarget {
        let body = try self.optionalBody(exchange, knows: "trigger")
        return PauseTarget(try self.function(parameters), trigger: body)
    }

    /// The only member that the body may have, a text; nil without a body or without it.
    private func optionalBody(_ exchange: HTTPExchange, knows name: String) throws(ApusError) -> String? {
        guard !exchange.body.isEmpty else { return nil }
        let json = try JSONValue.parse(exchange.body)
        guard let object = json.object else {
            throw ApusError(.invalidArgument, "the body is no JSON object: expected none, or `{\"\(name)\": …}`")
        }
        for member in object.names where member != name {
            throw ApusError(.invalidArgument, "the body knows no `\(member.prefix(64))`: expected `\(name)`")
        }
        guard let value = json[name], value != .null else { return nil }
        guard let text = value.string else { throw ApusError(.invalidArgument, "`\(name)` is no text") }
        return text
    }

    // MARK: rollback

    /// Body, which may be left out: `{"revision": "…"}`, the start of its name; without it the one before.
    private func rollback(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            let text = try self.optionalBody(exchange, knows: "revision")
            let ifMatch = try self.ifMatch(exchange)
            let target = try self.server.control.catalogue.revision(text, of: name)
            let reply = exchange.reply()
            let routes = self
            // What this server lacks of it may be on the log, or be built again.
            self.server.files.bring(bundle: target.bundle, layer: target.layer ?? "") { error in
                if let error, error.code != .bundleNotFound { return reply.respond(Problem(error)) }
                // Whether its files are there now, the disk says.
                let isQueued = routes.server.store.run {
                    do throws(ApusError) {
                        try routes.server.checkFiles(of: target, name)
                        reply.perform {
                            routes.command(.rollback(name, revision: target.revision, ifMatch: ifMatch), $0)
                        }
                    } catch { reply.respond(Problem(error)) }
                }
                if !isQueued {
                    reply.respond(Problem(.overloaded, "too many queries wait: try again in a moment"))
                }
            }
        }
    }

    // MARK: warm

    private func warm(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            guard let entry = self.runtime.directory[name] else {
                throw ApusError(.functionNotFound, "the function '\(name)' is not deployed: see `apus get functions`")
            }
            let target = self.server.shards[entry.shard]
            let clock = self.server.clock
            let start = clock.now
            let reply = exchange.reply()
            // As long as it takes: its start alone has a bound.
            self.server.weights.bring(self.server.control.catalogue.functions[name]?.weights) { error in
                if let error { return reply.respond(Problem(error)) }
                target.loop.post {
                    target.warm(name) { error in
                        if let error { return reply.respond(Problem(error)) }
                        let json: JSONValue = [
                            "name": .string(name.name), "namespace": .string(name.namespace.name), "state": "ready",
                            "milliseconds": .integer((clock.now - start).milliseconds),
                        ]
                        reply.respond(
                            status: 200, headers: [("Content-Type", "application/json")], body: json.encoded())
                    }
                }
            }
        }
    }
}

extension Server {
    /// - Throws: `bundle_not_found` when what a revision needs was lost from the data directory. On the store thread.
    func checkFiles(of kept: KeptRevision, _ name: ResourceName) throws(ApusError) {
        guard self.bundles.contains(kept.bundle) else {
            throw ApusError(
                .bundleNotFound,
                "the bundle of revision \(kept.revision.prefix(12)) of '\(name)' is no longer there: deploy its source again"
            )
        }
        guard let layer = kept.layer else { return }
        guard access("\(self.configuration.dataDirectory)/layers/\(layer)", F_OK) == 0 else {
            throw ApusError(
                .bundleNotFound,
                "the dependencies of revision \(kept.revision.prefix(12)) of '\(name)' are no longer there: deploy its source again"
            )
        }
    }
}
