internal import ApusCore
internal import ApusEngine

/// What the engine itself costs per event: fetched, dispatched, answered, written, committed, with no I/O around it. Its ledger settles
/// each of them.
///
/// One trigger with order by key, one worker with 32 in flight, a ledger write for every 64 outcomes.
struct EngineBench {
    private static let inFlight = 32
    private static let keys: UInt64 = 1_000
    private static let outcomesPerWrite = 64

    private let trigger = TriggerID(rawValue: 1)
    private let clock = ContinuousClock()
    private var engine: Engine
    private var actions: [EngineAction] = []
    private var running: [StreamID] = []
    private var records: [RecordSummary] = []
    private var now = Timestamp(microseconds: 1)
    private var end: Offset = 0
    private var count = 0
    private var settled = 0
    private var sinceWrite = 0
    /// Reads records from an offset on, at most so many, and says where the next read goes on.
    private let read: (Offset, Int, inout [RecordSummary]) throws -> Offset

    /// Runs `count` deliveries through an engine.
    /// - Parameter step: from one record's offset to the next one's: more than 1 is what compaction leaves.
    /// - Returns: nanoseconds per delivery.
    static func nanosecondsPerDelivery(count: Int, order: DeliveryOrder = .key, step: Offset = 1) throws -> Double {
        let end = Offset(count) * step
        var bench = EngineBench(order: order) { from, maxRecords, records in
            let next = min(end, from + Offset(maxRecords) * step)
            for offset in stride(from: from, to: next, by: Int(step)) {
                let key = (UInt64(bitPattern: offset) &* 2_654_435_761) % Self.keys + 1
                records.append(RecordSummary(offset: offset, keyHash: key &* 0x9E37_79B9_7F4A_7C15, bytes: 1_024))
            }
            return next
        }
        return try bench.run(count, end: end)
    }

    init(order: DeliveryOrder, _ read: @escaping (Offset, Int, inout [RecordSummary]) throws -> Offset) {
        self.read = read
        let plan = FunctionPlan(
            function: FunctionID(rawValue: 1), generation: 1, concurrency: Self.inFlight,
            scale: ScalePlan(min: 1, max: 1),
            triggers: [TriggerPlan(trigger: self.trigger, order: order)]
        )
        self.engine = Engine(seed: 1)
        self.engine.apply(plan, now: self.now)
        self.engine.open(
            self.trigger, partition: 0, state: LedgerState(watermark: 0), bounds: OffsetBounds(start: 0, end: 0),
            now: self.now
        )
    }

    /// Settles `count` deliveries that lie before `end`.
    /// - Returns: nanoseconds per delivery.
    mutating func run(_ count: Int, end: Offset) throws -> Double {
        self.count = count
        self.end = end
        let start = self.clock.now
        self.engine.grew(self.trigger, partition: 0, end: self.end, now: self.now)
        while self.settled < count {
            self.now.microseconds += 1
            try self.perform()
            self.answer()
        }
        let elapsed = (self.clock.now - start).components
        return (Double(elapsed.seconds) * 1e9 + Double(elapsed.attoseconds) / 1e9) / Double(count)
    }

    private mutating func perform() throws {
        self.engine.takeActions(into: &self.actions)
        var isDirty = false
        for action in self.actions {
            switch action {
            case .start(let worker, _, _):
                self.engine.workerReady(worker, now: self.now)
                self.engine.credit(worker, Self.inFlight, now: self.now)
            case .fetch(_, _, let from, let maxRecords): try self.fetch(from, maxRecords)
            case .dispatch(let dispatch): self.running.append(dispatch.stream)
            case .ledgerDirty: isDirty = true
            default: break
            }
        }
        if isDirty || self.sinceWrite >= Self.outcomesPerWrite { self.write() }
    }

    private mutating func fetch(_ from: Offset, _ maxRecords: Int) throws {
        self.records.removeAll(keepingCapacity: true)
        let next = try self.read(from, maxRecords, &self.records)
        self.engine.fetched(self.trigger, partition: 0, records: self.records, next: next, now: self.now)
    }

    private mutating func answer() {
        let running = self.running
        self.running.removeAll(keepingCapacity: true)
        for stream in running {
            guard case .publish(let delivery, _) = self.engine.outcome(stream, .succeeded, now: self.now) else {
                continue
            }
            self.engine.written(delivery)
            self.settled += 1
            self.sinceWrite += 1
        }
    }

    private mutating func write() {
        guard self.sinceWrite >= Self.outcomesPerWrite || self.settled == self.count else { return }
        guard !self.engine.takeLedgerWrites().isEmpty else { return }
        self.engine.ledgerCommitted(now: self.now)
        self.sinceWrite = 0
    }
}
