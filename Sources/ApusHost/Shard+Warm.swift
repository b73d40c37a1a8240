public import ApusEngine

extension Shard {
    /// Starts a worker of a function although nothing waits.
    /// - Returns: whether one of the current revision is ready already.
    public func warm(_ function: FunctionID) -> Bool {
        let isReady = self.engine.warm(function, now: self.now)
        self.requestTurn()
        return isReady
    }
}
