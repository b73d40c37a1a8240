internal import ApusCore

/// Every decision of one shard, and no I/O: which record is fetched, which delivery runs where and when, what its
/// outcome means, when workers start and stop, what the ledger says.
///
/// `now` is a parameter of every event; the same seed and the same events give the same actions. The host calls,
/// performs what ``takeActions(into:)`` yields, and calls again.
///
/// The engine composes small machines: a ``Ledger`` and a ``KeyOrder`` per lane (one partition of one trigger), a
/// ``WorkerPool``, a ``BatchGatherer`` and a ``TableFeed`` per function, ``InFlight`` and ``Requests`` for all. They
/// refer to each other by index into flat arrays, so that an event's way through them allocates nothing.
public struct Engine {
    public let configuration: EngineConfiguration
    let fault: LedgerFault
    var generator: SeededGenerator

    var functions: [FunctionState] = []
    var triggers: [TriggerState] = []
    var lanes: [Lane] = []
    var workers: [Worker] = []
    var functionSlots = IndexTable()
    var triggerSlots = IndexTable()
    var freeFunctions: [Int32] = []
    var freeTriggers: [Int32] = []
    var freeLanes: [Int32] = []
    var freeWorkers: [Int32] = []

    var inFlight = InFlight()
    var openBatches = OpenBatches()
    var requests = Requests()
    var timers = BinaryHeap<EngineTimer>()
    var actions: [EngineAction] = []

    // The ledger's writes.
    /// By group.
    var writes = [LedgerWriting()]
    var lazyLanes: [LaneReference] = []
    var hasLazyTimer = false

    /// What is set aside for workers that wait ready to serve one invocation.
    var pooledMemory = 0

    /// Those that wait for a place for a worker.
    var shares = SlotShares()
    /// Functions of which the pool is to be told.
    var poolNews: [Int32] = []

    var isLogShort = false
    var isDraining = false

    public init(configuration: EngineConfiguration = EngineConfiguration(), seed: UInt64) {
        self.init(configuration: configuration, seed: seed, fault: .none)
    }

    package init(configuration: EngineConfiguration, seed: UInt64, fault: LedgerFault) {
        self.configuration = configuration
        self.fault = fault
        self.generator = SeededGenerator(seed: seed)
    }

    /// Attempts that the host has been told to run and that are not over, table records included.
    public var attemptsInFlight: Int { self.inFlight.count }

    /// Moves the actions decided since the last call into `actions`, which keeps its capacity.
    public mutating func takeActions(into actions: inout [EngineAction]) {
        if !self.poolNews.isEmpty { self.tellPool() }
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &self.actions)
    }

    func slot(of function: FunctionID) -> Int32? { self.functionSlots[UInt64(function.rawValue)] }
    func slot(of trigger: TriggerID) -> Int32? { self.triggerSlots[UInt64(trigger.rawValue)] }

    func lane(of trigger: TriggerID, _ partition: Int) -> Int32? {
        guard let slot = self.slot(of: trigger), self.triggers[Int(slot)].plan.kind == .topic else { return nil }
        return self.triggers[Int(slot)].lane(partition)
    }

    func isCurrent(_ reference: LaneReference) -> Bool {
        self.lanes[Int(reference.lane)].generation == reference.generation
    }

    func delivery(_ lane: Int32, _ slot: Int32) -> Delivery {
        let entry = self.lanes[Int(lane)].ledger[slot]
        let trigger = self.triggers[Int(self.lanes[Int(lane)].trigger)].plan.trigger
        return Delivery(trigger: trigger, partition: self.lanes[Int(lane)].partition, offset: entry.offset)
    }
}
