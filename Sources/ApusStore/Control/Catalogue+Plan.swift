internal import ApusCore
public import ApusEngine
internal import ApusManifest

extension Catalogue.Function {
    /// The function as the engine knows it.
    public var plan: FunctionPlan {
        FunctionPlan(
            // Both only grow: a newer secret makes older workers drain as a newer revision does.
            function: self.id, generation: self.generation + self.restarts, timeout: self.manifest.timeout,
            concurrency: self.manifest.concurrency,
            batch: self.manifest.batch.map {
                BatchPlan(maxSize: $0.maxSize, maxWait: $0.maxWait, maxBytes: Int($0.maxBytes))
            },
            scale: ScalePlan(
                min: self.manifest.scale.min, max: self.manifest.scale.max, idle: self.manifest.scale.idle,
                weight: Double(self.manifest.scale.weight), isPooled: self.manifest.isPooled),
            triggers: self.triggers.map {
                $0.plan(emits: !self.manifest.emitTopics.isEmpty, isPaused: self.isPaused($0.name))
            } + self.replays.map { $0.plan(emits: !self.manifest.emitTopics.isEmpty) },
            isPaused: self.isPaused, reuse: self.reuse,
            memoryBytes: Int(self.manifest.resources.memoryBytes)
        )
    }

    private var reuse: FunctionPlan.Reuse {
        switch self.manifest.reuse {
        case .function: .function
        case .principal: .principal
        case .never: .never
        }
    }
}

extension Catalogue.Function {
    /// Names the trigger that runs its accepted invocations. Numbers of functions are never used again, so this is no other's.
    public var invocationTrigger: TriggerID { TriggerID(rawValue: 1 << 31 | self.id.rawValue) }
}

extension Catalogue.Replay {
    /// As its trigger, at its own pace. That the trigger is paused does not hold it up; that the function is does.
    func plan(emits: Bool) -> TriggerPlan {
        var plan = self.trigger.plan(emits: emits, isPaused: false)
        plan.trigger = self.id
        plan.hasOutputs = plan.hasOutputs && self.deployment.writesOutputs
        plan.perSecond = self.deployment.perSecond
        return plan
    }
}

extension Catalogue.Trigger {
    func plan(emits: Bool, isPaused: Bool) -> TriggerPlan {
        let order: DeliveryOrder =
            switch self.manifest.order {
            case .key: .key
            case .partition: .partition
            case .none: .none
            }
        let onExhausted: OnExhausted =
            switch self.manifest.onExhausted {
            case .deadLetter: .deadLetter
            case .block: .block
            case .drop: .drop
            }
        let retry = self.manifest.retry
        return TriggerPlan(
            trigger: self.id, kind: self.manifest.isTable ? .table : .topic, order: order,
            retry: RetryPlan(
                attempts: retry.attempts, initial: retry.initial, max: retry.max, maxAge: retry.maxAge),
            onExhausted: onExhausted, onExpired: self.manifest.onExpired == .deadLetter ? .deadLetter : .skip,
            dedupWindow: self.manifest.dedupWindow,
            isPaused: isPaused,
            hasOutputs: !self.manifest.isTable && (emits || self.manifest.replyTo != nil)
        )
    }

    /// The group whose position tools see.
    public var group: String { GroupPosition.group(of: self.function, trigger: self.name) }

    /// What the keys of its ledger entries begin with. It holds the generation that made the trigger, so that one that is deleted
    /// and made again finds nothing.
    public var ledgerPrefix: [UInt8] {
        LedgerKey.prefix(function: self.function, trigger: self.name, generation: self.deployment.generation)
    }

    public func ledgerKey(partition: Int) -> [UInt8] {
        LedgerKey.key(prefix: self.ledgerPrefix, partition: partition)
    }
}
