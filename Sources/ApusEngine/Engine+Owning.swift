public import ApusCore

/// Lanes that come and go while their trigger stays: their work is shared with other nodes.
extension Engine {
    /// The group goes to another owner: nothing more of it is read or dispatched; what runs may end and be written.
    public mutating func leave(_ group: LedgerGroup, now: Timestamp) {
        self.settleLazy()
        for function in self.functions(of: group) {
            for lane in self.lanes(of: group, function) { self.lanes[Int(lane)].isLeaving = true }
            self.rebuild(function, now: now)
            self.schedule(function, now: now)
        }
    }

    /// Whether nothing of a group runs, and nothing of it waits to be written.
    public func isQuiet(_ group: LedgerGroup) -> Bool {
        if group.rawValue < self.writes.count {
            let writing = self.writes[group.rawValue]
            if writing.isWriting || writing.dirtyLanes.contains(where: { self.isCurrent($0) }) { return false }
        }
        return !self.inFlight.attempts.contains { attempt in
            guard attempt.state != .free, case .delivery(let lane, let generation, _) = attempt.work else {
                return false
            }
            return self.isCurrent(LaneReference(lane: lane, generation: generation))
                && self.lanes[Int(lane)].group == group.rawValue
        }
    }

    /// Another owns the group: its lanes are forgotten as they are. Attempts of their deliveries go on; their outcomes are ignored.
    public mutating func close(_ group: LedgerGroup, now: Timestamp) {
        for function in self.functions(of: group) {
            for trigger in self.functions[Int(function)].triggers
            where self.triggers[Int(trigger)].plan.kind == .topic {
                for partition in self.triggers[Int(trigger)].lanes.indices {
                    let lane = self.triggers[Int(trigger)].lanes[partition]
                    guard lane >= 0, self.lanes[Int(lane)].group == group.rawValue else { continue }
                    self.triggers[Int(trigger)].lanes[partition] = -1
                    self.free(lane)
                }
            }
            self.rebuild(function, now: now)
            self.schedule(function, now: now)
        }
        guard group.rawValue < self.writes.count else { return }
        // A timer of the write that failed may still come.
        let isResting = self.writes[group.rawValue].isResting
        self.writes[group.rawValue] = LedgerWriting(isResting: isResting)
    }

    /// Whether a partition of a trigger is open.
    public func isOpen(_ trigger: TriggerID, partition: Int) -> Bool { self.lane(of: trigger, partition) != nil }

    private func functions(of group: LedgerGroup) -> [Int32] {
        self.functions.indices.filter { function in
            !self.functions[function].isRemoved && !self.lanes(of: group, Int32(function)).isEmpty
        }.map { Int32($0) }
    }

    private func lanes(of group: LedgerGroup, _ function: Int32) -> [Int32] {
        self.functions[Int(function)].triggers.flatMap { trigger in
            self.triggers[Int(trigger)].plan.kind == .topic
                ? self.triggers[Int(trigger)].lanes.filter { $0 >= 0 && self.lanes[Int($0)].group == group.rawValue }
                : []
        }
    }
}
