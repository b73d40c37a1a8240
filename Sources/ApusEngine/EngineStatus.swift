public import ApusCore

/// What a trigger's deliveries are doing now, summed over its partitions of this shard.
public struct TriggerStatus: Sendable, Equatable {
    /// Read and not settled.
    public var unsettled = 0
    /// The most that one partition holds unsettled.
    public var unsettledMax = 0
    /// May run and wait for a worker.
    public var ready = 0
    /// An attempt is under way.
    public var running = 0
    /// Failed, and wait until their next attempt is due.
    public var retrying = 0
    /// Wait behind another one of their key.
    public var held = 0
    /// Their outcome is known and not durable yet.
    public var settling = 0
    /// On the log and not settled. What was not read yet counts whole, gaps included.
    public var lag: Int64 = 0
    /// When the log took the oldest of those that were read and are not settled; nil when there is none.
    public var oldest: Timestamp?
    public var counters = TriggerCounters()

    init(counters: TriggerCounters) { self.counters = counters }

    mutating func add(_ partition: PartitionStatus) {
        self.unsettled += partition.unsettled
        self.unsettledMax = max(self.unsettledMax, partition.unsettled)
        self.ready += partition.ready
        self.running += partition.running
        self.retrying += partition.retrying
        self.held += partition.held
        self.settling += partition.settling
        self.lag += partition.lag
        if let oldest = partition.oldest { self.oldest = min(self.oldest ?? oldest, oldest) }
    }
}

/// What one partition of a trigger is doing now. A value, made in constant time but for what rarely is.
public struct PartitionStatus: Sendable, Equatable {
    public var partition: Int
    /// Every offset below it is settled, in memory.
    public var watermark: Offset = 0
    /// Where the next record is read.
    public var position: Offset = 0
    /// The next offset the log will give.
    public var end: Offset = 0
    public var unsettled = 0
    public var ready = 0
    public var running = 0
    public var retrying = 0
    public var held = 0
    public var settling = 0
    public var oldest: Timestamp?
    /// Why nothing of it, or something of it, cannot go on.
    public var blocks: [DeliveryBlock] = []

    /// On the log and not settled. What was not read yet counts whole, gaps included.
    public var lag: Int64 { max(0, self.end - self.position) + Int64(self.unsettled) }

    public init(partition: Int) { self.partition = partition }
}

/// What keeps deliveries from going on.
public enum DeliveryBlock: Sendable, Equatable {
    /// The trigger or its function is paused.
    case paused
    /// The log is short of room, and outputs need some.
    case logShort
    /// The log could not be read; it is asked again.
    case logUnreadable
    /// Attempts are used up and `onExhausted` says to stay: how many do, and the first of them.
    case exhausted(Int, first: Offset)
    /// Workers cannot start; the next try is at that time.
    case startsFail(Failure, until: Timestamp)
    /// No worker was fed the function's tables as far as the next delivery needs.
    case tableNotFed
    /// All that was read waits for another attempt of one of its key: the first such, and when it is due.
    case behindRetry(Offset, due: Timestamp)
    /// As many deliveries as may be unsettled are, and none of them runs or may run.
    case full(Int)
    /// Outcomes are known, and what they come to cannot be written.
    case writesFail(String)
    /// A topic that they go to is not there.
    case outputRefused(String)
    /// Dead letters among them cannot be.
    case deadLetterRefused(String)
}

/// What a function is doing now.
public struct FunctionStatus: Sendable, Equatable {
    public var workersStarting = 0
    public var workersReady = 0
    /// Told to stop, or killed, and still there.
    public var workersLeaving = 0
    public var attempts = 0
    public var waitingRequests = 0
    /// Deliveries and requests that may run and wait for a worker.
    public var ready = 0
    /// Failed starts in a row; no start before `blockedUntil`.
    public var startFailures = 0
    public var blockedUntil = Timestamp.zero
    /// Invocations of a function that reuses no worker which found one ready, and those that waited for its start.
    public var poolHits: UInt64 = 0
    public var poolMisses: UInt64 = 0
}

/// For metrics and for people. Not on the path of an event.
extension Engine {
    public func status(of trigger: TriggerID) -> TriggerStatus? {
        guard let slot = self.slot(of: trigger) else { return nil }
        var status = TriggerStatus(counters: self.triggers[Int(slot)].counters)
        guard self.triggers[Int(slot)].plan.kind == .topic else { return status }
        for lane in self.triggers[Int(slot)].lanes where lane >= 0 { status.add(self.counts(of: lane)) }
        return status
    }

    /// The partitions of a trigger that are open here; none of a table.
    public func partitions(of trigger: TriggerID) -> [PartitionStatus] {
        guard let slot = self.slot(of: trigger), self.triggers[Int(slot)].plan.kind == .topic else { return [] }
        return self.triggers[Int(slot)].lanes.filter { $0 >= 0 }.map { lane in
            var status = self.counts(of: lane)
            status.blocks = self.blocks(of: lane, status)
            return status
        }
    }

    private func counts(of lane: Int32) -> PartitionStatus {
        let ledger = self.lanes[Int(lane)].ledger
        var status = PartitionStatus(partition: self.lanes[Int(lane)].partition)
        status.watermark = ledger.watermark
        status.position = ledger.position
        status.end = self.lanes[Int(lane)].end
        status.unsettled = ledger.unsettled
        status.ready = ledger.ready.count
        status.running = Int(ledger.counts[.running])
        status.retrying = Int(ledger.counts[.waiting])
        status.held = Int(ledger.counts[.held])
        status.settling = Int(ledger.counts[.finished] + ledger.counts[.written])
        status.oldest = ledger.oldest?.appended
        return status
    }

    private func blocks(of lane: Int32, _ status: PartitionStatus) -> [DeliveryBlock] {
        let state = self.lanes[Int(lane)]
        var blocks: [DeliveryBlock] = []
        if self.isPaused(state.trigger) { blocks.append(.paused) }
        if self.isLogShort, self.triggers[Int(state.trigger)].plan.hasOutputs { blocks.append(.logShort) }
        if state.isReadFailing { blocks.append(.logUnreadable) }
        if state.ledger.blocked > 0, let first = state.ledger.first(where: { $0.isBlocked }) {
            blocks.append(.exhausted(state.ledger.blocked, first: first.offset))
        }
        let pool = self.functions[Int(state.function)].pool
        if let failure = pool.lastFailure, pool.ready == 0, status.lag > 0 {
            blocks.append(.startsFail(failure, until: pool.blockedUntil))
        }
        if self.waitsForTable(state) { blocks.append(.tableNotFed) }
        guard status.ready == 0, status.running == 0, status.unsettled > 0 else { return blocks }
        if status.held > 0, let first = state.ledger.first(where: { $0.state == .waiting }) {
            blocks.append(.behindRetry(first.offset, due: first.due))
        }
        if status.unsettled >= max(1, self.configuration.unsettledPerPartition) {
            blocks.append(.full(status.unsettled))
        }
        return blocks
    }

    private func waitsForTable(_ lane: Lane) -> Bool {
        let function = self.functions[Int(lane.function)]
        guard function.tables != nil, lane.ledger.ready.count > 0, function.pool.ready > 0 else { return false }
        let mark = lane.ledger[lane.ledger.ready.first].tableMark
        return !function.workers.contains {
            self.workers[Int($0)].phase == .ready && (self.workers[Int($0)].feed?.mark ?? 0) >= mark
        }
    }

    /// Whether all that a trigger's partitions held when they were opened is behind, of those that are open here: others are another
    /// node's. Of use for one whose ends do not move. False where none is open.
    public func isComplete(_ trigger: TriggerID) -> Bool {
        guard let slot = self.slot(of: trigger) else { return false }
        let open = self.triggers[Int(slot)].lanes.filter { $0 >= 0 }
        return !open.isEmpty && open.allSatisfy { lane in
            let ledger = self.lanes[Int(lane)].ledger
            return ledger.unsettled == 0 && ledger.position >= self.lanes[Int(lane)].end
        }
    }

    /// Every offset of the partition below it is settled, in memory; the durable watermark follows with the ledger's
    /// writes.
    public func watermark(of trigger: TriggerID, partition: Int) -> Offset? {
        self.lane(of: trigger, partition).map { self.lanes[Int($0)].ledger.watermark }
    }

    public func status(of function: FunctionID) -> FunctionStatus? {
        guard let slot = self.slot(of: function) else { return nil }
        let state = self.functions[Int(slot)]
        return FunctionStatus(
            workersStarting: state.pool.starting, workersReady: state.pool.ready, workersLeaving: state.pool.leaving,
            attempts: state.running, waitingRequests: state.queue.count, ready: state.ready,
            startFailures: state.pool.failures,
            blockedUntil: state.pool.blockedUntil, poolHits: state.demand.hits, poolMisses: state.demand.misses
        )
    }
}
