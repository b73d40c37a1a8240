internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusManifest
internal import ApusStore
internal import CShims

extension Catalogue.Function {
    /// Where things are inside every sandbox.
    private enum Place {
        static let function = "/function"
        static let layer = "/layer"
    }

    /// What a shard runs.
    var hostFunction: HostFunction {
        var function = HostFunction(
            name: self.name, revision: self.revision, launch: self.launch,
            initialization: self.initialization.encoded(), plan: self.plan,
            triggers: self.triggers.map(\.hostTrigger) + self.replays.map(\.hostTrigger), emits: self.emits,
            secrets: self.manifest.secrets, workClass: self.manifest.resources.workClass
        )
        function.move = self.move
        function.network = self.manifest.network
        return function
    }

    private var launch: LaunchOrder {
        let resources = self.manifest.resources
        var environment = self.manifest.environment
        if self.manifest.network != nil { environment.merge(Self.proxy) { own, _ in own } }
        if self.manifest.runtime == .http {
            environment["APUS_HTTP_OPERATION"] = "\(Place.function)/\(self.manifest.handler)"
        }
        let command = self.manifest.runtime == .mcp && self.address == nil
        // What it was installed with; a manifest that says otherwise knows why.
        if command, self.layer != nil, environment["PYTHONPATH"] == nil { environment["PYTHONPATH"] = Place.layer }
        if let address = self.address { environment["APUS_UPSTREAM_URL"] = address.url }
        var order = LaunchOrder(
            runtime: self.runtime, isolation: self.manifest.isolation, bundle: self.bundle, layer: self.layer ?? "",
            arguments: self.manifest.runtime == .native ? self.manifest.command : command ? ["mcp"] : [],
            environment: environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
            bounds: SandboxBounds(
                memoryBytes: UInt64(resources.memoryBytes), cpuMillis: UInt32(resources.cpuMillis),
                processes: UInt32(resources.processes), scratchBytes: UInt64(resources.scratchBytes)
            ),
            isClone: self.manifest.reuse == .never && self.manifest.runtime == .python3 && self.manifest.weights.isEmpty
        )
        order.weights = self.weights?.key ?? ""
        order.hasProxy = self.manifest.network != nil
        if self.manifest.calls == .process { order.fork = self.fork }
        return order
    }

    /// Of the MCP server that others run; nil for every other function.
    private var address: ServerAddress? {
        self.manifest.runtime == .mcp ? ServerAddress(self.manifest.handler) : nil
    }

    /// What INIT names.
    private var handler: String {
        if self.manifest.runtime == .http { return "apus._operation:call" }
        return self.address == nil ? self.manifest.handler : "apus._upstream:call"
    }

    /// How its zygote is made: the INIT of a worker, and what makes it fork instead of serving.
    private var fork: ForkOrder {
        let calls = min(self.manifest.scale.max, Limits.Host.zygoteCalls)
        var json = self.initialization
        json["forks"] = ["children": .number(calls), "memory": .number(self.manifest.resources.memoryBytes)]
        // It is never told of one.
        json["secrets"] = .array([])
        return ForkOrder(
            function: self.name, revision: self.revision, children: calls, initialization: json.encoded())
    }

    /// Where clients look for a proxy. They are told; what may be reached depends on none of it.
    private static let proxy: [String: String] = {
        let url = "http://127.0.0.1:\(NURSERY_PROXY_PORT)"
        return [
            "HTTP_PROXY": url, "HTTPS_PROXY": url, "http_proxy": url, "https_proxy": url, "NODE_USE_ENV_PROXY": "1",
        ]
    }()

    private var runtime: LaunchOrder.Runtime {
        switch self.manifest.runtime {
        case .python3, .http: .python
        case .native: .native
        case .exec: .exec
        case .mcp: self.address == nil ? .exec : .python
        case .node: .node
        }
    }

    /// What handlers may emit to, by the names they use.
    private var emits: [String: TopicName] {
        var emits: [String: TopicName] = [:]
        for topic in self.manifest.emitTopics { emits[topic.local?.name ?? topic.onLog] = topic }
        return emits
    }

    private var initialization: JSONValue {
        var json: JSONValue = [
            "function": .string(self.name.name),
            "namespace": .string(self.name.namespace.name),
            "revision": .string(self.revision),
            "handler": .string(self.handler),
            "concurrency": .number(self.manifest.concurrency),
            "batch": self.manifest.batch.map { ["maxSize": .number($0.maxSize)] } ?? .null,
            "timeoutMicroseconds": .number(self.manifest.timeout.microseconds),
            "triggers": .array(
                self.triggers.map {
                    [
                        "name": .string($0.name), "topic": .string($0.topic.local?.name ?? $0.topic.onLog),
                        "table": .boolean($0.manifest.isTable),
                    ]
                }
            ),
            "emits": .array(self.emits.keys.sorted().map { .string($0) }),
            "path": .string(Place.function),
            "layer": self.layer == nil ? .null : .string(Place.layer),
            "weights": .null,
        ]
        if !self.manifest.weights.isEmpty {
            var weights: JSONValue = [:]
            for file in self.manifest.weights { weights[file.name] = .string("\(WeightSet.place)/\(file.name)") }
            json["weights"] = weights
        }
        // Their names alone: the values come in sealed memory.
        if !self.manifest.secrets.isEmpty { json["secrets"] = .array(self.manifest.secrets.map { .string($0) }) }
        return json
    }
}

extension Catalogue.Replay {
    /// Named as its trigger, so that what is said of a delivery, a dead letter too, names that one.
    fileprivate var hostTrigger: HostTrigger {
        var trigger = self.trigger.hostTrigger
        trigger.id = self.id
        trigger.kind = .replay(
            HostReplay(
                number: self.deployment.id.number, ends: self.deployment.ends,
                writesOutputs: self.deployment.writesOutputs))
        trigger.starts = self.deployment.starts
        return trigger
    }
}

extension Catalogue.Trigger {
    fileprivate var hostTrigger: HostTrigger {
        HostTrigger(
            id: self.id, name: self.name, generation: self.deployment.generation, topic: self.topic,
            replyTo: self.manifest.replyTo,
            deadLetter: self.manifest.deadLetterTopic,
            // Manifests are within the same bounds.
            filter: SubscriptionFilter(self.manifest.filter) ?? SubscriptionFilter(),
            starts: self.deployment.starts,
            outputs: self.manifest.delivery == .exactlyOnce ? .transaction : .beforeLedger
        )
    }
}
