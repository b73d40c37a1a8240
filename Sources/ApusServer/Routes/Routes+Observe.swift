internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// What happened a moment ago, for people: recent deliveries, and rates of the last minutes.
extension Routes {
    func addObserve(to table: inout RouteTable) {
        table.add(
            Operation("listDeliveries", "GET", "/v1/deliveries", "Recent deliveries and direct invocations.", .read)
        ) { self.listDeliveries($0, $1) }
        table.add(
            Operation("getDelivery", "GET", "/v1/deliveries/{id}", "One of them, with its attempts.", .read)
        ) { self.getDelivery($0, $1) }
        table.add(
            Operation("getStats", "GET", "/v1/stats", "Rates of the last minutes, or as they come.", .read)
        ) { self.stats($0, $1) }
    }

    // MARK: deliveries

    func listDeliveries(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["function", "state", "limit"]) {
                throw ApusError(
                    .invalidArgument, "'\(name.prefix(64))' is no parameter here: function, state and limit are")
            }
            let states = DeliveryState.allCases.map(\.rawValue)
            let state = query["state"].flatMap { DeliveryState(rawValue: $0) }
            if let text = query["state"], state == nil {
                throw ApusError(
                    .invalidArgument,
                    "state=\(text.prefix(32)): one of \(states.joined(separator: ", ")) is expected")
            }
            let limit = try self.number(query, "limit", default: 50, in: 1...Limits.Server.deliveriesPerRead)
            let function = query["function"]
            self.deliveries(exchange, limit) { delivery in
                delivery.function.namespace == namespace && (function == nil || delivery.function.name == function)
                    && (state == nil || delivery.state == state)
            } answer: { found, log in
                let items = JSONValue.array(found.prefix(limit).map { $0.json(log) })
                let sampling: JSONValue = [
                    "successesPerSecond": .number(Limits.Host.notedSuccessesPerSecond),
                    "slowMicroseconds": .number(Limits.Host.slowDelivery.microseconds),
                    "kept": .number(Limits.Host.notes),
                ]
                return .success(["items": items, "sampling": sampling])
            }
        }
    }

    func getDelivery(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            let text = parameters["id"] ?? ""
            guard let id = InvocationID(text) else {
                throw ApusError(
                    .invalidArgument, "'\(text.prefix(64))' is no id of a delivery: 32 hexadecimal digits are expected")
            }
            self.deliveries(exchange, 1) {
                $0.function.namespace == namespace && $0.invocation == id
            } answer: { found, log in
                guard let delivery = found.first else {
                    return .failure(
                        ApusError(
                            .notFound,
                            "no recent delivery '\(id)' is known here: of those that went well and quickly only "
                                + "\(Limits.Host.notedSuccessesPerSecond) a second are kept, and none across a restart")
                    )
                }
                return .success(delivery.json(log))
            }
        }
    }

    /// Asks every shard, then looks events up where waiting for pages of the log holds up nobody.
    private func deliveries(
        _ exchange: HTTPExchange, _ limit: Int, where isWanted: @escaping @Sendable (DeliverySnapshot) -> Bool,
        answer: @escaping @Sendable ([DeliverySnapshot], any EventLog) -> Result<JSONValue, ApusError>
    ) {
        let reply = exchange.reply()
        let server = self.server
        let gather = Gathering(server.shards.count) { (parts: [[DeliverySnapshot]]) in
            let isQueued = server.reader.run {
                let found = parts.joined().sorted { $0.arrivedAt > $1.arrivedAt }
                switch answer(found, server.log) {
                case .success(let json):
                    let headers = [("Content-Type", "application/json")]
                    reply.respond(status: 200, headers: headers, body: json.encoded())
                case .failure(let error): reply.respond(Problem(error))
                }
            }
            if !isQueued { reply.respond(Problem(.overloaded, "too many reads wait: try again in a moment")) }
        }
        for runtime in server.shards {
            runtime.loop.post { gather.add(runtime.shard.deliveries(limit: limit, where: isWanted)) }
        }
    }

    // MARK: stats

    func stats(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["seconds", "limit"]) {
                throw ApusError(.invalidArgument, "'\(name.prefix(64))' is no parameter here: seconds and limit are")
            }
            var asked = StatsReport(
                namespace: try self.namespace(parameters),
                seconds: try self.number(query, "seconds", default: 60, in: 1...Limits.Server.statsSeconds),
                limit: try self.number(query, "limit", default: 100, in: 1...Limits.Server.statsItems))
            asked.showsDevices = self.maySeeServer(exchange)
            if exchange.header("Accept")?.contains(ServerSentEvent.mediaType) ?? false {
                return StatsStream(exchange, self.runtime, self.server, asked).start()
            }
            let reply = exchange.reply()
            asked.gather(self.server) { json in
                guard let json else {
                    return reply.respond(Problem(.overloaded, "too many queries wait: try again in a moment"))
                }
                reply.respond(status: 200, headers: [("Content-Type", "application/json")], body: json)
            }
        }
    }

    private func maySeeServer(_ exchange: HTTPExchange) -> Bool {
        do throws(ApusError) { try self.require(.readServer, in: .default, of: exchange) } catch { return false }
        return true
    }
}
