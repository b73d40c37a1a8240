public import ApusCore

/// What a trigger's deliveries are doing now, summed over its partitions of this shard.
public struct TriggerStatus: Sendable, Equatable {
    /// Read and not settled.
    public var unsettled = 0
    /// The most that one partition holds unsettled.
    public var unsettledMax = 0
    /// May run and wait for a worker.
    public var ready = 0
    /// On the log and not settled, gaps included: the distance from the watermark to the end.
    public var lag: Int64 = 0
    public var counters = TriggerCounters()
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
        for lane in self.triggers[Int(slot)].lanes where lane >= 0 {
            let ledger = self.lanes[Int(lane)].ledger
            status.unsettled += ledger.unsettled
            status.unsettledMax = max(status.unsettledMax, ledger.unsettled)
            status.ready += ledger.ready.count
            status.lag += max(0, self.lanes[Int(lane)].end - ledger.watermark)
        }
        return status
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
