public import ApusCore

/// Deliveries that wait for something else than time.
extension Engine {
    /// What a delivery waited for is there: it runs now. Harmless for one that does not wait.
    public mutating func resume(_ delivery: Delivery, now: Timestamp) {
        guard let lane = self.lane(of: delivery.trigger, delivery.partition),
            let slot = self.lanes[Int(lane)].ledger.find(delivery.offset),
            self.lanes[Int(lane)].ledger[slot].state == .waiting
        else { return }
        self.lanes[Int(lane)].ledger.hurry(slot, due: now)
        self.markDirty(lane)
        self.makeRunnable(lane, slot, now: now)
        self.schedule(self.lanes[Int(lane)].function, now: now)
    }

    /// Whether a delivery waits for something: its time, or what ``resume(_:now:)`` tells of.
    public func isWaiting(_ delivery: Delivery) -> Bool {
        guard let lane = self.lane(of: delivery.trigger, delivery.partition),
            let slot = self.lanes[Int(lane)].ledger.find(delivery.offset)
        else { return false }
        return self.lanes[Int(lane)].ledger[slot].state == .waiting
    }

    /// What a delivery waited for will not come: `.deadLetter` with this failure follows, and no worker is started for it. Harmless for one
    /// that does not wait.
    public mutating func giveUp(_ delivery: Delivery, _ failure: Failure, now: Timestamp) {
        guard self.isWaiting(delivery), let lane = self.lane(of: delivery.trigger, delivery.partition),
            let slot = self.lanes[Int(lane)].ledger.find(delivery.offset)
        else { return }
        let function = self.lanes[Int(lane)].function
        self.abandon(lane, slot, failure, now: now)
        self.schedule(function, now: now)
    }
}
