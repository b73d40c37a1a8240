internal import ApusCore
internal import ApusCrypto
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry

/// Functions: what there is, what they print, and invoking them directly.
extension Routes {
    func addFunctions(to table: inout RouteTable) {
        table.add(Operation("listFunctions", "GET", "/v1/functions", "The functions.", .read)) {
            self.listFunctions($0, $1)
        }
        table.add(Operation("getFunction", "GET", "/v1/functions/{name}", "One function.", .read)) {
            self.describeFunction($0, $1)
        }
        table.add(Operation("putFunction", "PUT", "/v1/functions/{name}", "Deploys one function.", .deploy)) {
            self.putFunction($0, $1)
        }
        table.add(Operation("deleteFunction", "DELETE", "/v1/functions/{name}", "Deletes a function.", .deploy)) {
            self.deleteFunction($0, $1)
        }
        table.add(
            Operation("listRevisions", "GET", "/v1/functions/{name}/revisions", "A function's revisions.", .read)
        ) { self.revisions($0, $1) }
        table.add(
            Operation(
                "readLogs", "GET", "/v1/functions/{name}/logs", "What a function printed, or as it prints.", .read)
        ) { self.logs($0, $1) }
    }

    // MARK: what there is

    func listFunctions(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            self.answerFromStore(exchange) { server throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.functions(in: namespace)
                }
                let catalogue = server.control.catalogue
                return StoreAnswer(["items": .array(rows.map { Self.functionJSON($0, catalogue) })])
            }
        }
    }

    func describeFunction(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            // Its workers are known on its shard's loop only.
            let target = self.server.shards[FunctionDirectory.shard(of: name, among: self.server.shards.count)]
            let routes = self
            let reply = exchange.reply()
            let id = self.server.control.catalogue.functions[name]?.id
            target.loop.post {
                let instances = target.shard.instances().filter { $0.function == name }.map(Self.instanceJSON)
                let workerStart = id.flatMap { target.shard.lastStart(of: $0) }
                reply.perform { exchange in
                    routes.answerFromStore(exchange) { server throws(ApusError) in
                        let row = try server.projection.query { (projection) throws(ApusError) in
                            try projection.function(name)
                        }
                        guard let row else {
                            throw ApusError(
                                .functionNotFound, "the function '\(name)' is not deployed: see `apus get functions`")
                        }
                        let catalogue = server.control.catalogue
                        var json = Self.functionJSON(row, catalogue)
                        json["triggers"] = (try? JSONValue.parse(row.triggers)) ?? .null
                        json["positions"] = try Self.positions(of: name, server)
                        json["pauses"] = Self.pausesJSON(catalogue.functions[name])
                        let fetches = server.pool.fetches.filter { $0.function == name }.map(\.json)
                        json["instances"] = .array(fetches + instances)
                        if let function = catalogue.functions[name] {
                            let start = server.pool.lastStart(of: function.id)?.json ?? workerStart?.json
                            if let start { json["lastStart"] = start }
                        }
                        if let set = catalogue.functions[name]?.weights { json["weights"] = server.weights.json(set) }
                        return StoreAnswer(json, headers: [("ETag", "\"\(row.generation)\"")])
                    }
                }
            }
        }
    }

    private static func functionJSON(_ row: FunctionRow, _ catalogue: Catalogue) -> JSONValue {
        let name = Namespace(row.namespace).flatMap { ResourceName($0, row.name) }
        let function = name.flatMap { catalogue.functions[$0] }
        return [
            "name": .string(row.name), "namespace": .string(row.namespace), "generation": .number(row.generation),
            "revision": .string(row.revision), "bundle": .string(row.bundle),
            "layer": row.layer.map { .string($0) } ?? .null,
            "manifest": (try? JSONValue.parse(row.manifest)) ?? .null, "created": .string(RFC3339.format(row.created)),
            "updated": .string(RFC3339.format(row.updated)), "paused": .boolean(function?.isPaused ?? false),
            "pausedTriggers": .array((function?.pausedTriggers.sorted() ?? []).map { .string($0) }),
        ]
    }

    /// Who paused what, and since when; what a manifest pauses has nobody.
    private static func pausesJSON(_ function: Catalogue.Function?) -> JSONValue {
        guard let function else { return [] }
        func row(_ trigger: String?, _ pause: Pauses.Pause?) -> JSONValue {
            [
                "trigger": trigger.map { .string($0) } ?? .null, "by": .string(pause?.principal ?? "manifest"),
                "since": .string(RFC3339.format(pause?.since ?? function.updated)),
            ]
        }
        let whole = function.pauses.function.map { [row(nil, $0)] } ?? []
        let named = function.pauses.triggers.sorted { $0.key < $1.key }.map { row($0.key, $0.value) }
        let byManifest = function.manifest.pausedTriggers.filter { function.pauses.triggers[$0] == nil }
        return .array(whole + named + byManifest.map { row($0, nil) })
    }

    /// Watermark and lag of each trigger's partitions, as its group shows them.
    private static func positions(of name: ResourceName, _ server: Server) throws(ApusError) -> JSONValue {
        guard let function = server.control.catalogue.functions[name] else { return [] }
        var positions: [JSONValue] = []
        for trigger in function.triggers where !trigger.manifest.isTable {
            let entries = try server.log.ledger(prefix: trigger.ledgerPrefix)
            let partitions = server.log.topic(trigger.topic)?.partitions ?? 0
            for partition in 0..<partitions {
                let key = trigger.ledgerKey(partition: partition)
                let bounds = try server.log.bounds(of: TopicPartition(trigger.topic, partition))
                var watermark = max(trigger.deployment.start(of: partition), bounds.start)
                var retrying = 0
                if let entry = entries.first(where: { $0.key == key }) {
                    guard let state = try? LedgerState(decoding: entry.value) else {
                        throw ApusError(.logDamaged, "the position of \(trigger.group) cannot be read")
                    }
                    watermark = max(state.watermark, bounds.start)
                    retrying = state.pending.count
                }
                positions.append([
                    "group": .string(trigger.group), "topic": .string(trigger.topic.onLog),
                    "partition": .number(partition),
                    "watermark": .number(watermark), "end": .number(bounds.end),
                    "lag": .number(max(0, bounds.end - watermark)),
                    "retrying": .number(retrying),
                ])
            }
        }
        return .array(positions)
    }

    func revisions(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            self.answerFromStore(exchange) { server throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.revisions(of: name)
                }
                guard !rows.isEmpty else {
                    throw ApusError(.functionNotFound, "the function '\(name)' has no revision")
                }
                let kept = server.control.catalogue.revisions(of: name).map(\.revision)
                let items: [JSONValue] = rows.map { row in
                    [
                        "revision": .string(row.revision), "generation": .number(row.generation),
                        "deployed": .string(RFC3339.format(row.deployed)), "bundle": .string(row.bundle),
                        "layer": row.layer.map { .string($0) } ?? .null,
                        "current": .boolean(kept.first == row.revision),
                        "kept": .boolean(kept.contains(row.revision)),
                    ]
                }
                return StoreAnswer(["items": .array(items)])
            }
        }
    }

    func putFunction(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.put(exchange, parameters, kind: .function)
    }

    func deleteFunction(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            let offered = self.server.control.catalogue.functions[name].flatMap { ChangeAudit.subject($0.manifest) }
            self.command(
                .deleteFunction(name, ifMatch: try self.ifMatch(exchange)), exchange,
                noting: offered.map { self.deleted($0, name, exchange) })
        }
    }

    // MARK: logs

    func logs(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            guard self.runtime.directory[name] != nil else {
                throw ApusError(.functionNotFound, "the function '\(name)' is not deployed: see `apus get functions`")
            }
            let query = try self.query(exchange)
            let limit = try self.number(query, "limit", default: 200, in: 1...Limits.Projection.rowsPerQuery)
            let known = ["after", "limit", "level", "invocation", "revision", "since"]
            if let name = query.unexpected(besides: Set(known)) {
                throw ApusError(
                    .invalidArgument,
                    "'\(name.prefix(64))' is no parameter here: \(known.joined(separator: ", ")) are")
            }
            let after =
                query["after"] == nil ? nil : Int64(try self.number(query, "after", default: 0, in: 0...Int.max))
            let filter = try LogFilter(query)
            if exchange.header("Accept")?.contains(ServerSentEvent.mediaType) ?? false {
                return LogStream(
                    exchange, self.runtime, self.server, name, after: after, filter: filter, limit: limit
                ).start()
            }
            self.answerFromStore(exchange) { server throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.logs(of: name, after: after, filter: filter, limit: limit)
                }
                return StoreAnswer(["items": .array(rows.map(Self.logJSON))])
            }
        }
    }

    static func logJSON(_ row: LogRow) -> JSONValue {
        [
            "sequence": .number(row.sequence), "time": .string(RFC3339.format(row.line.time)),
            "level": .string(row.line.level.name),
            "text": .string(row.line.text), "revision": .string(row.line.revision), "worker": .number(row.line.worker),
            "invocation": .string(row.line.invocation), "trace": .string(row.line.trace),
        ]
    }
}
