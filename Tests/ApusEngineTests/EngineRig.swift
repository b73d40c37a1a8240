import ApusCore
import ApusEngine

/// An engine with one function, a virtual clock, and the shortest words for what tests do to it.
struct EngineRig {
    static let function = FunctionID(rawValue: 1)
    static let trigger = TriggerID(rawValue: 10)

    var engine: Engine
    var now = Timestamp(microseconds: 1_000_000)
    /// Actions since the last ``take()``.
    var actions: [EngineAction] = []

    init(
        _ plan: FunctionPlan, configuration: EngineConfiguration = EngineConfiguration(), partitions: Int = 1,
        state: LedgerState = LedgerState(watermark: 0), bounds: OffsetBounds = OffsetBounds(start: 0, end: 0)
    ) {
        self.engine = Engine(configuration: configuration, seed: 7)
        self.engine.apply(plan, now: self.now)
        for trigger in plan.triggers {
            for partition in 0..<partitions {
                self.engine.open(trigger.trigger, partition: partition, state: state, bounds: bounds, now: self.now)
            }
        }
    }

    static func plan(
        order: DeliveryOrder = .key, retry: RetryPlan = RetryPlan(), onExhausted: OnExhausted = .deadLetter,
        concurrency: Int = 1,
        batch: BatchPlan? = nil, scale: ScalePlan = ScalePlan(), timeout: TimeSpan = .seconds(30),
        hasOutputs: Bool = false, onExpired: OnExpired = .skip, dedupWindow: TimeSpan? = nil,
        generation: UInt64 = 1
    ) -> FunctionPlan {
        FunctionPlan(
            function: Self.function, generation: generation, timeout: timeout, concurrency: concurrency, batch: batch,
            scale: scale,
            triggers: [
                TriggerPlan(
                    trigger: Self.trigger, order: order, retry: retry, onExhausted: onExhausted, onExpired: onExpired,
                    dedupWindow: dedupWindow, hasOutputs: hasOutputs)
            ]
        )
    }

    /// What the engine wants since the last call.
    mutating func take() -> [EngineAction] {
        var actions: [EngineAction] = []
        self.engine.takeActions(into: &actions)
        return actions
    }

    /// The dispatches since the last call, batches unfolded; other actions are lost.
    mutating func dispatches() -> [Dispatch] { self.take().flatMap(\.dispatches) }

    /// Records appear on the log and are read at once.
    mutating func publish(_ records: [RecordSummary], partition: Int = 0, next: Offset? = nil) {
        let end = next ?? (records.last?.offset ?? -1) + 1
        self.engine.grew(Self.trigger, partition: partition, end: end, now: self.now)
        self.engine.fetched(Self.trigger, partition: partition, records: records, next: end, now: self.now)
    }

    /// A worker is started by the engine: the first `.start` of the actions so far becomes ready with credit.
    mutating func startWorkers(credit: Int = 1) -> [WorkerID] {
        var started: [WorkerID] = []
        for case .start(let worker, _, _) in self.take() {
            self.engine.workerReady(worker, now: self.now)
            self.engine.credit(worker, credit, now: self.now)
            started.append(worker)
        }
        return started
    }

    mutating func succeed(_ dispatch: Dispatch) {
        let verdict = self.engine.outcome(dispatch.stream, .succeeded, now: self.now)
        if case .publish(let delivery, _) = verdict { self.engine.written(delivery) }
    }

    mutating func fail(_ dispatch: Dispatch, retryAfter: TimeSpan? = nil) -> Verdict {
        self.engine.outcome(
            dispatch.stream, .failed(Failure(.functionFailed, "no"), retryAfter: retryAfter), now: self.now)
    }

    /// Writes the ledger and says it is durable.
    mutating func commit() -> [LedgerEntry] {
        let entries = self.engine.takeLedgerWrites()
        if !entries.isEmpty { self.engine.ledgerCommitted(now: self.now) }
        return entries
    }

    mutating func advance(_ span: TimeSpan) {
        let end = self.now + span
        while let due = self.engine.nextDue, due <= end {
            self.now = max(self.now, due)
            self.engine.advance(to: self.now)
        }
        self.now = end
        self.engine.advance(to: end)
    }
}

extension EngineAction {
    var dispatches: [Dispatch] {
        switch self {
        case .dispatch(let dispatch): [dispatch]
        case .dispatchBatch(let dispatches): dispatches
        default: []
        }
    }
}

func record(_ offset: Offset, key: UInt64 = 0, bytes: Int = 100, isMatch: Bool = true) -> RecordSummary {
    RecordSummary(offset: offset, keyHash: key, bytes: bytes, isMatch: isMatch)
}

extension Dispatch {
    var offset: Offset {
        switch self.work {
        case .delivery(let delivery), .tableRecord(let delivery): delivery.offset
        case .request: -1
        }
    }
}
