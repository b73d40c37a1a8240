public import ApusCore

extension Engine {
    /// Asks for a worker although nothing waits: to try whether a function starts, or to spare its first caller the start.
    /// - Returns: whether one of the current generation is ready already.
    public mutating func warm(_ function: FunctionID, now: Timestamp) -> Bool {
        guard let slot = self.slot(of: function) else { return false }
        let generation = self.functions[Int(slot)].plan.generation
        let isReady = self.functions[Int(slot)].workers.contains {
            self.workers[Int($0)].phase == .ready && self.workers[Int($0)].revision == generation
        }
        if isReady { return true }
        self.functions[Int(slot)].isWarming = true
        self.scale(slot, now: now)
        return false
    }

    /// No worker of the function can start as things are: who waits for one is told why.
    public mutating func refuseWaiting(_ function: FunctionID, _ failure: Failure) {
        guard let slot = self.slot(of: function) else { return }
        self.functions[Int(slot)].isWarming = false
        self.failWaiting(slot, failure)
        // What comes next is news to the pool, however little differs.
        self.newsForPool(slot)
    }
}
