public import ApusCore

/// Lanes of one trigger that close while the trigger stays: its work goes to nodes of another class.
extension Engine {
    /// Nothing more of a trigger is read or dispatched; what runs may end and be written.
    public mutating func leave(_ trigger: TriggerID, now: Timestamp) {
        self.settleLazy()
        guard let slot = self.slot(of: trigger) else { return }
        for lane in self.lanes(ofTrigger: slot) { self.lanes[Int(lane)].isLeaving = true }
        let function = self.triggers[Int(slot)].function
        self.rebuild(function, now: now)
        self.schedule(function, now: now)
    }

    /// Whether nothing of a trigger waits to be written, or is being written.
    public func isWritten(_ trigger: TriggerID) -> Bool {
        guard let slot = self.slot(of: trigger) else { return true }
        let lanes = self.lanes(ofTrigger: slot)
        return !self.writes.contains { writing in
            (writing.dirtyLanes + writing.committingLanes).contains { self.isCurrent($0) && lanes.contains($0.lane) }
        }
    }

    /// Whether nothing of it runs either.
    public func isQuiet(_ trigger: TriggerID) -> Bool {
        guard let slot = self.slot(of: trigger), self.isWritten(trigger) else { return self.slot(of: trigger) == nil }
        return !self.inFlight.attempts.contains { attempt in
            guard attempt.state != .free, case .delivery(let lane, let generation, _) = attempt.work else {
                return false
            }
            return self.isCurrent(LaneReference(lane: lane, generation: generation))
                && self.lanes[Int(lane)].trigger == slot
        }
    }

    /// Its lanes are forgotten as they are. Attempts of their deliveries go on; their outcomes are ignored.
    public mutating func close(_ trigger: TriggerID, now: Timestamp) {
        guard let slot = self.slot(of: trigger), self.triggers[Int(slot)].plan.kind == .topic else { return }
        for partition in self.triggers[Int(slot)].lanes.indices {
            let lane = self.triggers[Int(slot)].lanes[partition]
            guard lane >= 0 else { continue }
            self.triggers[Int(slot)].lanes[partition] = -1
            self.free(lane)
        }
        let function = self.triggers[Int(slot)].function
        self.rebuild(function, now: now)
        self.schedule(function, now: now)
    }

    private func lanes(ofTrigger slot: Int32) -> [Int32] {
        self.triggers[Int(slot)].plan.kind == .topic ? self.triggers[Int(slot)].lanes.filter { $0 >= 0 } : []
    }
}
