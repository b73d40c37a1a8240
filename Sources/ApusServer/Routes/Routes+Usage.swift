internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore

/// What was used, and what it cost.
extension Routes {
    func addUsage(to table: inout RouteTable) {
        table.add(
            Operation("getUsage", "GET", "/v1/usage", "What functions used, and what it cost.", .read)
        ) { self.usage($0, $1) }
        table.add(
            Operation(
                "getDeviceUsage", "GET", "/v1/devices/usage", "What devices did, second by second.", .readServer)
        ) { exchange, _ in self.deviceUsage(exchange) }
        table.add(
            Operation(
                "listTransitions", "GET", "/v1/functions/{name}/transitions",
                "Why its instances on devices were started and stopped.", .read)
        ) { self.transitions($0, $1) }
    }

    private func usage(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["by", "from", "to", "function", "ttl"]) {
                throw ApusError(
                    .invalidArgument, "'\(name.prefix(64))' is no parameter here: by, from, to, function and ttl are")
            }
            let (from, to) = try self.window(query)
            let report = CostReport(
                namespace: try self.namespace(parameters), from: from, to: to,
                grouping: try CostReport.Grouping(query["by"] ?? "function"), function: query["function"],
                spans: try Self.spans(query["ttl"]), prices: self.server.configuration.pool.prices)
            self.answerFromUsage(exchange) { (server) throws(ApusError) in
                let catalogue = server.control.catalogue
                return try server.projection.query { (projection) throws(ApusError) in
                    try report.json(projection) { catalogue.functions[$0]?.manifest.labels }
                }
            }
        }
    }

    private func deviceUsage(_ exchange: HTTPExchange) {
        self.answer(exchange) { () throws(ApusError) in
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["from", "to"]) {
                throw ApusError(.invalidArgument, "'\(name.prefix(64))' is no parameter here: from and to are")
            }
            let (from, to) = try self.window(query)
            let prices = self.server.configuration.pool.prices
            let window = UsageWindow(from: from, to: to)
            self.answerFromUsage(exchange) { (server) throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.deviceUsage(window)
                }
                let items = rows.map { row in Self.json(row.device, on: row.node, prices) }
                return [
                    "from": .string(RFC3339.format(window.start)), "to": .string(RFC3339.format(window.end)),
                    "simulated": .boolean(rows.contains { $0.device.isSimulated }), "prices": prices.json,
                    "items": .array(items),
                ]
            }
        }
    }

    private static func json(_ device: UsageRecord.Device, on node: String, _ prices: Prices) -> JSONValue {
        let price = prices.devices[device.kind]
        let hours = Double(device.usage.total) / UsageItem.hour
        return [
            "node": .string(node), "device": .string(device.id), "kind": .string(device.kind),
            "simulated": .boolean(device.isSimulated),
            "seconds": [
                "busy": UsageItem.seconds(device.usage.busy), "idle": UsageItem.seconds(device.usage.idle),
                "transfer": UsageItem.seconds(device.usage.transfer),
                "unallocated": UsageItem.seconds(device.usage.unallocated),
                "total": UsageItem.seconds(device.usage.total),
            ],
            "cost": price.map { UsageItem.rounded($0 * hours) } ?? .null,
        ]
    }

    private func transitions(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let function = try self.function(parameters)
            let query = try self.query(exchange)
            let limit = try self.number(query, "limit", default: 50, in: 1...Limits.Projection.rowsPerQuery)
            self.answerFromUsage(exchange) { (server) throws(ApusError) in
                let found = try server.projection.query { (projection) throws(ApusError) in
                    try projection.transitions(of: function, limit: limit)
                }
                let items = found.map { transition -> JSONValue in
                    [
                        "at": .string(RFC3339.format(transition.at)), "instance": .number(transition.instance),
                        "revision": .string(transition.revision), "device": .string(transition.device),
                        "from": .string(transition.before), "to": .string(transition.after),
                        "cause": .string(transition.cause), "tier": .string(transition.tier),
                    ]
                }
                return ["items": .array(items)]
            }
        }
    }

    /// Answers with all that was used on this server until now; of others on the same log, with what they have written.
    private func answerFromUsage(
        _ exchange: HTTPExchange, _ body: @escaping @Sendable (Server) throws(ApusError) -> JSONValue
    ) {
        let reply = exchange.reply()
        let server = self.server
        let work: @Sendable () -> Void = {
            do throws(ApusError) {
                let json = try body(server)
                reply.respond(status: 200, headers: [("Content-Type", "application/json")], body: json.encoded())
            } catch { reply.respond(Problem(error)) }
        }
        server.accounts.flush { place in
            guard let place else {
                if !server.store.run(work) {
                    reply.respond(Problem(.overloaded, "too many queries wait: try again in a moment"))
                }
                return
            }
            server.projection.whenPassed(place) { error in
                // What is written and not shown in time is shown the next time.
                if let error, error.code == .overloaded { reply.respond(Problem(error)) } else { work() }
            }
        }
    }

    private func window(_ query: RequestQuery) throws(ApusError) -> (from: Timestamp, to: Timestamp) {
        func moment(_ name: String) throws(ApusError) -> Timestamp? {
            guard let text = query[name] else { return nil }
            guard let time = RFC3339.parse(text) else {
                throw ApusError(
                    .invalidArgument, "\(name)=\(text.prefix(64)): a time such as 2026-03-01T12:00:00Z is expected")
            }
            return time
        }
        let to = try moment("to") ?? self.server.clock.now
        let from = try moment("from") ?? to + .seconds(-86_400)
        guard from <= to else { throw ApusError(.invalidArgument, "from is after to: exchange them") }
        return (from, to)
    }

    private static func spans(_ text: String?) throws(ApusError) -> [TimeSpan] {
        guard let text else { return [] }
        let parts = text.split(separator: ",")
        let spans = parts.compactMap { Quantity.span(String($0)) }
        guard !spans.isEmpty, spans.count == parts.count, spans.count <= Limits.Server.usageSpans else {
            throw ApusError(
                .invalidArgument,
                "ttl=\(text.prefix(64)): up to \(Limits.Server.usageSpans) lengths of time such as 10m,1h are expected")
        }
        return spans
    }
}
