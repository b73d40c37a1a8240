public import ApusCore

extension Engine {
    /// Asks for a worker although nothing waits: to try whether a function starts, or to spare its first caller the start.
    /// - Returns: whether one of the current generation is ready already.
    public mutating func warm(_ function: FunctionID, now: Timestamp) -> Bool {
        guard let slot = self.slot(of: function) else { return false }
        if self.functions[Int(slot)].pool.ready > 0 { return true }
        self.functions[Int(slot)].isWarming = true
        self.scale(slot, now: now)
        return false
    }
}
