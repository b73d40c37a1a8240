internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusSandbox
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// The server itself: readiness, what the host enforces, workers.
extension Routes {
    func addSystem(to table: inout RouteTable) {
        table.add(Operation("getHealth", "GET", "/healthz", "Whether the server's loop answers.", .open)) {
            exchange, _ in
            exchange.respond(json: Array(#"{"status":"ok"}"#.utf8))
        }
        table.add(Operation("getReadiness", "GET", "/readyz", "Whether it takes work, and why not.", .authenticated)) {
            exchange, _ in self.ready(exchange)
        }
        table.add(Operation("getOpenAPI", "GET", "/openapi.json", "This interface, for programs.", .authenticated)) {
            exchange, _ in self.describeInterface(exchange)
        }
        table.add(Operation("getMetrics", "GET", "/metrics", "Metrics in Prometheus' text format.", .readServer)) {
            exchange, _ in self.metrics(exchange)
        }
        table.add(Operation("listInstances", "GET", "/v1/instances", "Workers and their states.", .readServer)) {
            exchange, _ in self.instances(exchange)
        }
        table.add(Operation("getDoctor", "GET", "/v1/doctor", "What this host enforces.", .readServer)) { exchange, _ in
            self.doctor(exchange)
        }
    }

    func ready(_ exchange: HTTPExchange) {
        let problems = self.server.problems
        let missing = self.server.report.lines.filter { !$0.isEnforced }
        let json: JSONValue = [
            "ready": .boolean(problems.isEmpty), "problems": .array(problems.map { .string($0) }),
            "warnings": .array(self.server.warnings.map { .string($0) }),
            "functions": .number(self.runtime.directory.count),
            "isolationMode": .string(self.server.report.mode.rawValue),
            "missingLayers": .array(missing.map { ["name": .string($0.name), "detail": .string($0.detail)] }),
        ]
        exchange.respond(status: problems.isEmpty ? 200 : 503, json: json.encoded())
    }

    /// Why the server is not ready, a sentence each; empty when it is.
    static func problems(state: Server.State, log: LogStatus, projection: String?) -> [String] {
        var problems: [String] = []
        switch state {
        case .starting: problems.append("the server is starting: what is deployed is being read")
        case .stopping: problems.append("the server is stopping")
        case .serving: break
        }
        if let failure = log.failure { problems.append("the log's last commit failed: \(failure)") }
        if log.isShort { problems.append("the log is short of room: producers are refused") }
        if let projection { problems.append("queries are behind, the projection cannot follow \(projection)") }
        return problems
    }

    /// From the store thread, since the document is made at its first use.
    func describeInterface(_ exchange: HTTPExchange) {
        self.answerFromStore(exchange) { _ in StoreAnswer(json: OpenAPI.document) }
    }

    /// What servers hold of the work that they share, of the classes that this one has.
    private static func shares(_ sharing: any WorkSharing) -> [JSONValue] {
        sharing.nodes.map { held in
            [
                "class": .string(held.status.share.workClass.name), "share": .number(held.status.share.number),
                "owner": .string(held.node), "state": .string(held.status.state.rawValue),
                "since": .string(RFC3339.format(held.status.since)), "here": .boolean(held.node == sharing.node),
            ]
        }
    }

    func doctor(_ exchange: HTTPExchange) {
        let layers: [JSONValue] = self.server.report.lines.map {
            ["name": .string($0.name), "enforced": .boolean($0.isEnforced), "detail": .string($0.detail)]
        }
        // What its promises rest on, and somebody else has changed.
        let topics: [JSONValue] = self.server.log.status.differences.map {
            ["name": "log-topic", "enforced": false, "detail": .string("\($0): set it back")]
        }
        let shares = self.server.log.sharing.map { Self.shares($0) }
        var json: JSONValue = ["items": .array(layers + topics)]
        if let shares { json["shares"] = .array(shares) }
        exchange.respond(json: json.encoded())
    }

    func instances(_ exchange: HTTPExchange) {
        let reply = exchange.reply()
        let gather = Gathering(self.server.shards.count) { (parts: [[InstanceSnapshot]]) in
            let items = parts.joined().sorted { ($0.function, $0.worker.rawValue) < ($1.function, $1.worker.rawValue) }
            let fetches = self.server.pool.fetches.sorted { ($0.function, $0.since) < ($1.function, $1.since) }
            let json: JSONValue = [
                "items": .array(
                    fetches.map { self.withWeights($0.json, of: $0.function) }
                        + items.map { $0.isFetching ? self.withWeights(Self.instanceJSON($0), of: $0.function) : Self.instanceJSON($0) })
            ]
            reply.respond(status: 200, headers: [("Content-Type", "application/json")], body: json.encoded())
        }
        for runtime in self.server.shards {
            runtime.loop.post { gather.add(runtime.shard.instances()) }
        }
    }

    /// How far its weights are, of an instance that waits for them.
    private func withWeights(_ json: JSONValue, of function: ResourceName) -> JSONValue {
        guard let set = self.server.control.catalogue.functions[function]?.weights else { return json }
        var json = json
        json["weights"] = self.server.weights.json(ofSum: set)
        return json
    }

    static func instanceJSON(_ instance: InstanceSnapshot) -> JSONValue {
        [
            "worker": .number(instance.worker.rawValue), "namespace": .string(instance.function.namespace.name),
            "function": .string(instance.function.name), "revision": .string(instance.revision),
            "state": .string(instance.state.rawValue),
            "since": .string(RFC3339.format(instance.since)), "inFlight": .number(instance.inFlight),
            "runtime": .string(instance.runtime),
            "isolation": .string(instance.isolation.level.name),
            "isolationMode": .string(instance.isolation.mode.rawValue),
            "calls": .string(instance.isolation.calls.rawValue),
            "missingLayers": .array(instance.isolation.missingLayers.map { .string($0) }),
        ]
    }
}
