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
}
