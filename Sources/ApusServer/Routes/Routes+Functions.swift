internal import ApusCore
internal import ApusCrypto
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore

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
        table.add(Operation("invokeFunction", "POST", "/v1/functions/{name}/invoke", "Runs a function.", .call)) {
            self.invoke($0, $1)
        }
    }

    // MARK: invoke

    func invoke(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let name = try self.function(parameters)
            // The head may have come before the end began, and the body after it.
            if self.runtime.isStopping {
                throw ApusError(.shuttingDown, "the server is stopping: try again in a moment")
            }
            guard let entry = self.runtime.directory[name] else {
                throw ApusError(.functionNotFound, "the function '\(name)' is not deployed: see `apus get functions`")
            }
            let id = Self.invocationID()
            let defaults = CloudEventDecoder.Defaults(id: id.description, source: "/apus/http", type: "dev.apus.invoke")
            let events = try CloudEventDecoder.events(
                headers: exchange.headers, body: exchange.body, defaults: defaults)
            guard events.count == 1 else { throw ApusError(.invalidEvent, "an invocation takes exactly one event") }
            if Self.prefersAsync(exchange) { return self.acceptInvocation(exchange, name, events[0]) }
            let deadline = self.runtime.shard.now + entry.timeout + .seconds(Limits.Server.invocationSlackSeconds)
            self.run(EventBlock.encode(events[0]), id, entry, deadline, exchange)
        }
    }

    /// An invocation of a function of this shard never leaves the thread; another's goes there and its answer comes back.
    private func run(
        _ block: [UInt8], _ id: InvocationID, _ entry: FunctionDirectory.Entry, _ deadline: Timestamp,
        _ exchange: HTTPExchange
    ) {
        let target = self.server.shards[entry.shard]
        let answer = InvocationAnswer(exchange, invocation: id) { exchange.onGone = nil }
        if target === self.runtime {
            let shard = self.runtime.shard
            let request = shard.invoke(entry.id, block: block, invocation: id, deadline: deadline, sink: answer)
            exchange.onGone = { shard.abandon(request) }
            return
        }
        let sink = RelayedSink(to: answer, on: self.runtime.loop)
        let remote = RemoteRequest()
        // SAFETY: both are used on the target's loop only from here on.
        nonisolated(unsafe) let (relay, handle) = (sink, remote)
        target.loop.post {
            handle.request = target.shard.invoke(
                entry.id, block: block, invocation: id, deadline: deadline, sink: relay)
        }
        exchange.onGone = {
            nonisolated(unsafe) let handle = remote
            target.loop.post { if let request = handle.request { target.shard.abandon(request) } }
        }
    }

    /// A request that runs on another shard: known there a hop later.
    private final class RemoteRequest { var request: RequestID? }

    private static func invocationID() -> InvocationID {
        var generator = SystemRandomNumberGenerator()
        return InvocationID(high: generator.next(), low: generator.next())
    }

    // MARK: what there is

    func listFunctions(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            self.answerFromStore(exchange) { server throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.functions(in: namespace)
                }
                return StoreAnswer(["items": .array(rows.map(Self.functionJSON))])
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
            target.loop.post {
                let instances = target.shard.instances().filter { $0.function == name }.map(Self.instanceJSON)
                reply.perform { exchange in
                    routes.answerFromStore(exchange) { server throws(ApusError) in
                        let row = try server.projection.query { (projection) throws(ApusError) in
                            try projection.function(name)
                        }
                        guard let row else {
                            throw ApusError(
                                .functionNotFound, "the function '\(name)' is not deployed: see `apus get functions`")
                        }
                        var json = Self.functionJSON(row)
                        json["triggers"] = (try? JSONValue.parse(row.triggers)) ?? .null
                        json["positions"] = try Self.positions(of: name, server)
                        json["instances"] = .array(instances)
                        return StoreAnswer(json, headers: [("ETag", "\"\(row.generation)\"")])
                    }
                }
            }
        }
    }

    private static func functionJSON(_ row: FunctionRow) -> JSONValue {
        [
            "name": .string(row.name), "namespace": .string(row.namespace), "generation": .number(row.generation),
            "revision": .string(row.revision), "bundle": .string(row.bundle),
            "layer": row.layer.map { .string($0) } ?? .null,
            "manifest": (try? JSONValue.parse(row.manifest)) ?? .null, "created": .string(RFC3339.format(row.created)),
            "updated": .string(RFC3339.format(row.updated)),
        ]
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
                let items: [JSONValue] = rows.map {
                    [
                        "revision": .string($0.revision), "generation": .number($0.generation),
                        "deployed": .string(RFC3339.format($0.deployed)),
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
            self.command(.deleteFunction(try self.function(parameters), ifMatch: try self.ifMatch(exchange)), exchange)
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
            if let name = query.unexpected(besides: ["after", "limit"]) {
                throw ApusError(.invalidArgument, "'\(name.prefix(64))' is no parameter here: after and limit are")
            }
            let after =
                query["after"] == nil ? nil : Int64(try self.number(query, "after", default: 0, in: 0...Int.max))
            if exchange.header("Accept")?.contains(ServerSentEvent.mediaType) ?? false {
                return LogStream(exchange, self.runtime, self.server, name, after: after, limit: limit).start()
            }
            self.answerFromStore(exchange) { server throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.logs(of: name, after: after, limit: limit)
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
            "invocation": .string(row.line.invocation),
        ]
    }
}
