internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

/// Turns what is deployed into what a shard runs.
struct HostPlan {
    var id: FunctionID
    /// One for each of the deployment's triggers, in their order.
    var triggers: [TriggerID]
    var generation: UInt64
    var manifest: FunctionManifest
    var deployment: FunctionDeployment

    /// Where things are inside every sandbox.
    private enum Place {
        static let function = "/function"
        static let layer = "/layer"
    }

    func build() -> HostFunction {
        HostFunction(
            name: self.manifest.name,
            revision: self.deployment.revision,
            launch: self.launch,
            initialization: self.initialization.encoded(),
            plan: FunctionPlan(
                function: self.id,
                generation: self.generation,
                timeout: self.manifest.timeout,
                concurrency: self.manifest.concurrency,
                batch: self.manifest.batch.map { BatchPlan(maxSize: $0.maxSize, maxWait: $0.maxWait) },
                scale: ScalePlan(min: self.manifest.scale.min, max: self.manifest.scale.max, idle: self.manifest.scale.idle),
                triggers: zip(self.triggers, self.manifest.triggers).map(self.plan)
            ),
            triggers: self.hostTriggers,
            emits: self.emits
        )
    }

    private func plan(_ id: TriggerID, _ trigger: TriggerManifest) -> TriggerPlan {
        let order: DeliveryOrder =
            switch trigger.order {
            case .key: .key
            case .partition: .partition
            case .none: .none
            }
        let onExhausted: OnExhausted =
            switch trigger.onExhausted {
            case .deadLetter: .deadLetter
            case .block: .block
            case .drop: .drop
            }
        return TriggerPlan(
            trigger: id, kind: trigger.isTable ? .table : .topic, order: order,
            retry: RetryPlan(attempts: trigger.retry.attempts, initial: trigger.retry.initial, max: trigger.retry.max),
            onExhausted: onExhausted, isPaused: trigger.isPaused,
            hasOutputs: trigger.replyTo != nil || !self.manifest.emitTopics.isEmpty
        )
    }

    private var hostTriggers: [HostTrigger] {
        zip(self.triggers, zip(self.manifest.triggers, self.deployment.triggers)).map { id, pair in
            let (trigger, deployed) = pair
            return HostTrigger(
                id: id, name: trigger.name, generation: deployed.generation, topic: trigger.topic, replyTo: trigger.replyTo,
                deadLetter: trigger.deadLetterTopic, filter: SubscriptionFilter(trigger.filter), starts: deployed.starts
            )
        }
    }

    private var launch: LaunchOrder {
        let resources = self.manifest.resources
        return LaunchOrder(
            runtime: self.manifest.runtime == .native ? .native : .python,
            bundle: self.deployment.bundle,
            layer: self.deployment.layer ?? "",
            arguments: self.manifest.runtime == .native ? self.manifest.command : [],
            environment: self.manifest.environment.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" },
            bounds: SandboxBounds(
                memoryBytes: UInt64(resources.memoryBytes), cpuMillis: UInt32(resources.cpuMillis), processes: UInt32(resources.processes),
                scratchBytes: UInt64(resources.scratchBytes)
            )
        )
    }

    /// What handlers may emit to, by the names they use.
    private var emits: [String: TopicName] {
        var emits: [String: TopicName] = [:]
        for topic in self.manifest.emitTopics { emits[topic.local?.name ?? topic.onLog] = topic }
        return emits
    }

    private var initialization: JSONValue {
        [
            "function": .string(self.manifest.name.name),
            "namespace": .string(self.manifest.namespace.name),
            "revision": .string(self.deployment.revision),
            "handler": .string(self.manifest.handler),
            "concurrency": .number(self.manifest.concurrency),
            "batch": self.manifest.batch.map { ["maxSize": .number($0.maxSize)] } ?? .null,
            "timeoutMicroseconds": .number(self.manifest.timeout.microseconds),
            "triggers": .array(
                self.manifest.triggers.map {
                    ["name": .string($0.name), "topic": .string($0.topic.local?.name ?? $0.topic.onLog), "table": .boolean($0.isTable)]
                }
            ),
            "emits": .array(self.emits.keys.sorted().map { .string($0) }),
            "path": .string(Place.function),
            "layer": self.deployment.layer == nil ? .null : .string(Place.layer),
            "weights": .null,
        ]
    }
}
