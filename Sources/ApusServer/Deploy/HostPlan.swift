internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

extension Catalogue.Function {
    /// Where things are inside every sandbox.
    private enum Place {
        static let function = "/function"
        static let layer = "/layer"
    }

    /// What a shard runs.
    var hostFunction: HostFunction {
        HostFunction(
            name: self.name, revision: self.revision, launch: self.launch,
            initialization: self.initialization.encoded(), plan: self.plan,
            triggers: self.triggers.map(\.hostTrigger), emits: self.emits,
            secrets: self.manifest.secrets
        )
    }

    private var launch: LaunchOrder {
        let resources = self.manifest.resources
        var order = LaunchOrder(
            runtime: self.runtime, isolation: self.manifest.isolation, bundle: self.bundle, layer: self.layer ?? "",
            arguments: self.manifest.runtime == .native ? self.manifest.command : [],
            environment: self.manifest.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
            bounds: SandboxBounds(
                memoryBytes: UInt64(resources.memoryBytes), cpuMillis: UInt32(resources.cpuMillis),
                processes: UInt32(resources.processes), scratchBytes: UInt64(resources.scratchBytes)
            ),
            isClone: self.manifest.reuse == .never && self.manifest.runtime == .python3
        )
        if self.manifest.calls == .process { order.fork = self.fork }
        return order
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

    private var runtime: LaunchOrder.Runtime {
        switch self.manifest.runtime {
        case .python3: .python
        case .native: .native
        case .exec: .exec
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
            "handler": .string(self.manifest.handler),
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
        // Their names alone: the values come in sealed memory.
        if !self.manifest.secrets.isEmpty { json["secrets"] = .array(self.manifest.secrets.map { .string($0) }) }
        return json
    }
}

extension Catalogue.Trigger {
    fileprivate var hostTrigger: HostTrigger {
        HostTrigger(
            id: self.id, name: self.name, generation: self.deployment.generation, topic: self.topic,
            replyTo: self.manifest.replyTo,
            deadLetter: self.manifest.deadLetterTopic,
            filter: SubscriptionFilter(
                self.manifest.filter.sorted { $0.key < $1.key }.map { (name: $0.key, value: $0.value) })
                ?? SubscriptionFilter(),
            starts: self.deployment.starts
        )
    }
}
