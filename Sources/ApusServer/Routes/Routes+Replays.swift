internal import ApusCore
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// Replays: giving a trigger a stretch of its topic once more.
extension Routes {
    func addReplays(to table: inout RouteTable) {
        table.add(
            Operation(
                "createReplay", "POST", "/v1/functions/{name}/replays",
                "Gives a trigger a stretch of its topic once more.",
                .deploy)
        ) { self.createReplay($0, $1) }
        table.add(Operation("listReplays", "GET", "/v1/functions/{name}/replays", "A function's replays.", .read)) {
            self.listReplays($0, $1)
        }
        table.add(Operation("listAllReplays", "GET", "/v1/replays", "The replays of all functions.", .read)) {
            self.listAllReplays($0, $1)
        }
        table.add(Operation("getReplay", "GET", "/v1/functions/{name}/replays/{id}", "One replay.", .read)) {
            self.getReplay($0, $1)
        }
        table.add(
            Operation("cancelReplay", "DELETE", "/v1/functions/{name}/replays/{id}", "Ends a replay.", .deploy)
        ) { self.cancelReplay($0, $1) }
    }

    private func createReplay(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            let (order, isDryRun) = try Self.replayOrder(exchange.body, self.principal(of: exchange).name)
            let reply = exchange.reply()
            let server = self.server
            guard !isDryRun else {
                let isQueued = server.reader.run {
                    do throws(ApusError) {
                        let json = ReplayReport.preview(name, try server.control.preview(name, order))
                        reply.respond(
                            status: 200, headers: [("Content-Type", "application/json")], body: json.encoded())
                    } catch { reply.respond(Problem(error)) }
                }
                if !isQueued { throw ApusError(.overloaded, "too many reads wait: try again in a moment") }
                return
            }
            server.control.perform(.createReplay(name, order)) { answer in
                do throws(ApusError) {
                    let done = try answer.get()
                    let id = done.outcomes.first?.name.split(separator: "/").last.flatMap { ReplayID(String($0)) }
                    let catalogue = server.control.catalogue
                    let replay = try catalogue.replay(id ?? ReplayID(number: 0), of: name)
                    let report = ReplayReport(function: name, replay: replay, deployed: catalogue.functions[name])
                    var headers = [("Content-Type", "application/json")]
                    if let position = done.position {
                        headers.append((LogPosition.header, LogPosition(position).description))
                    }
                    reply.respond(status: 201, headers: headers, body: report.json.encoded())
                } catch { reply.respond(Problem(error)) }
            }
        }
    }

    /// `{"trigger": …, "from": time, "to": time, "rate": deliveries a second, "outputs": bool, "dryRun": bool}`, all of which may
    /// be left out.
    static func replayOrder(_ body: [UInt8], _ principal: String) throws(ApusError) -> (ReplayOrder, isDryRun: Bool) {
        var order = ReplayOrder(principal: principal)
        guard !body.isEmpty else { return (order, false) }
        let json = try JSONValue.parse(body)
        let known = ["trigger", "from", "to", "rate", "outputs", "dryRun"]
        guard let object = json.object else {
            throw ApusError(
                .invalidArgument, "the body is no JSON object: one of \(known.joined(separator: ", ")) is expected")
        }
        for member in object.names where !known.contains(member) {
            throw ApusError(
                .invalidArgument, "the body knows no `\(member.prefix(64))`: expected \(known.joined(separator: ", "))")
        }
        func member<Value>(_ name: String, _ what: String, _ read: (JSONValue) -> Value?) throws(ApusError) -> Value? {
            guard let value = json[name], value != .null else { return nil }
            guard let read = read(value) else { throw ApusError(.invalidArgument, "`\(name)` is no \(what)") }
            return read
        }
        let time: (JSONValue) -> Timestamp? = { $0.string.flatMap(RFC3339.parse) }
        order.trigger = try member("trigger", "text", \.string)
        order.from = try member("from", "time like 2026-01-31T12:00:00Z", time)
        order.to = try member("to", "time like 2026-01-31T12:00:00Z", time)
        order.perSecond = try member("rate", "whole number of deliveries a second", \.int)
        order.writesOutputs = try member("outputs", "Boolean", \.boolean) ?? true
        return (order, try member("dryRun", "Boolean", \.boolean) ?? false)
    }

    private func listReplays(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            let catalogue = self.server.control.catalogue
            guard catalogue.functions[name] != nil else {
                throw ApusError(.functionNotFound, "the function '\(name)' is not deployed: see `apus get functions`")
            }
            self.answer(exchange, catalogue.replays(of: name).map { (name, $0) }) { ["items": .array($0)] }
        }
    }

    private func listAllReplays(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let replays = self.server.control.catalogue.replays(in: try self.namespace(parameters))
            self.answer(exchange, Array(replays.prefix(Limits.Server.subscriptionsPerRead))) {
                ["items": .array($0)]
            }
        }
    }

    private func getReplay(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            let replay = try self.server.control.catalogue.replay(try self.replayID(parameters), of: name)
            self.answer(exchange, [(name, replay)]) { $0.first ?? [:] }
        }
    }

    private func cancelReplay(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            self.command(.endReplay(name, try self.replayID(parameters), .cancelled), exchange)
        }
    }

    private func replayID(_ parameters: RouteParameters) throws(ApusError) -> ReplayID {
        let text = parameters["id"] ?? ""
        guard let id = ReplayID(text) else {
            throw ApusError(.notFound, "'\(text.prefix(64))' is no id of a replay: see `apus replay list`")
        }
        return id
    }

    /// Answers with replays and what their shards say of them.
    private func answer(
        _ exchange: HTTPExchange, _ replays: [(function: ResourceName, replay: ReplayDeployment)],
        _ body: @escaping @Sendable ([JSONValue]) -> JSONValue
    ) {
        let reply = exchange.reply()
        let server = self.server
        let names = Set(replays.map(\.function))
        server.subscriptions(where: { function, _ in names.contains(function) }) { parts in
            let isQueued = server.reader.run {
                var snapshots: [SubscriptionKey: SubscriptionSnapshot] = [:]
                for part in parts { snapshots[SubscriptionKey(part.trigger)] = part }
                let catalogue = server.control.catalogue
                let json = body(
                    replays.map { function, replay in
                        let key = SubscriptionKey(function: function, trigger: replay.trigger, replay: replay.id.number)
                        return ReplayReport(
                            function: function, replay: replay, snapshot: snapshots[key],
                            deployed: catalogue.functions[function]
                        ).json
                    })
                reply.respond(status: 200, headers: [("Content-Type", "application/json")], body: json.encoded())
            }
            if !isQueued { reply.respond(Problem(.overloaded, "too many reads wait: try again in a moment")) }
        }
    }
}
