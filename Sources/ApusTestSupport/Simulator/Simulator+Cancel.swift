internal import ApusCore
internal import ApusEngine

/// Callers who give their asynchronous invocations up.
extension Simulator {
    /// Somebody cancels an invocation, whatever became of it. The request is on the log before anyone acts on it.
    func cancelOne(_ topic: Int) throws(SimulationFailure) {
        guard !self.isOutage, let trigger = self.setup.triggers.firstIndex(where: { $0.topic == topic }),
            !self.removed.contains(self.setup.triggers[trigger].function)
        else { return }
        let end = self.log.topics[topic][0].end
        guard end > 0 else { return }
        let offset = Offset.random(in: max(0, end - 10)..<end, using: &self.random)
        guard self.log.topics[topic][0].record(offset) != nil else { return }
        let lane = self.setup.triggers[trigger].firstLane
        self.lanes[lane].cancels.insert(offset)
        try self.cancel(lane, offset)
    }

    func cancel(_ lane: Int, _ offset: Offset) throws(SimulationFailure) {
        let model = self.lanes[lane][offset]
        let trigger = self.setup.triggers[self.lanes[lane].trigger].plan.trigger
        let delivery = Delivery(trigger: trigger, partition: 0, offset: offset)
        switch self.engine.cancel(delivery, now: self.now) {
        case .taken:
            guard !model.isDecided, !model.isDone else {
                throw self.failure("\(delivery) has its outcome and was cancelled")
            }
        case .later:
            guard model.running == nil, !model.isDecided, !model.isDone else {
                throw self.failure("\(delivery) is under way and was not cancelled")
            }
        case .tooLate:
            guard model.isDecided || model.isDone else {
                throw self.failure("\(delivery) has no outcome and it is too late to cancel it")
            }
            self.lanes[lane].cancels.remove(offset)
        }
    }

    /// What was to be cancelled before it ran does not run.
    /// - Returns: whether the dispatch was refused.
    func refuses(_ delivery: Delivery, _ stream: StreamID) -> Bool {
        let lane = self.lane(delivery.trigger, delivery.partition)
        guard self.lanes[lane].cancels.contains(delivery.offset) else { return false }
        self.ended(stream.rawValue)
        self.refused.insert(stream.rawValue)
        self.lanes[lane][delivery.offset].running = nil
        self.engine.refuse(stream, Failure(.cancelled, "cancelled"), now: self.now)
        return true
    }

    /// Once it is to be cancelled, nothing else may become of it.
    func checkNotCancelled(_ delivery: Delivery) throws(SimulationFailure) {
        let lane = self.lane(delivery.trigger, delivery.partition)
        guard !self.lanes[lane].cancels.contains(delivery.offset) else {
            throw self.failure("\(delivery) was cancelled and has an outcome all the same")
        }
    }
}
