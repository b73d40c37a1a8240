public import ApusCore

/// The ledger's writes: what is finished and written becomes durable, one write at a time.
extension Engine {
    /// The outputs of a delivery's outcome are in the pending write: the next ledger write settles it.
    public mutating func written(_ delivery: Delivery) {
        guard let lane = self.lane(of: delivery.trigger, delivery.partition),
            self.lanes[Int(lane)].ledger.write(at: delivery.offset)
        else { return }
        self.markDirty(lane)
    }

    /// Its outputs are not in the pending write after all: it is finished, and written again later. While no write is under way.
    /// - Returns: false when there is no such delivery any more.
    public mutating func unwritten(_ delivery: Delivery) -> Bool {
        guard let lane = self.lane(of: delivery.trigger, delivery.partition),
            let slot = self.lanes[Int(lane)].ledger.find(delivery.offset)
        else { return false }
        return self.lanes[Int(lane)].ledger.unwrite(slot)
    }

    /// What to write now of a group, in one transaction with the outputs gathered so far. At most one write is under way in each.
    /// - Returns: one entry for each partition that changed; nothing while a write is under way. When it returns
    ///   something, ``ledgerCommitted(of:now:)`` or ``ledgerFailed(of:now:)`` must follow.
    public mutating func takeLedgerWrites(of group: LedgerGroup = .whole) -> [LedgerEntry] {
        let group = group.rawValue
        guard group < self.writes.count, !self.writes[group].isWriting else { return [] }
        self.writes[group].isSignalled = false
        var entries: [LedgerEntry] = []
        entries.reserveCapacity(self.writes[group].dirtyLanes.count)
        for reference in self.writes[group].dirtyLanes where self.isCurrent(reference) {
            let lane = Int(reference.lane)
            self.lanes[lane].dirt = .clean
            let trigger = self.triggers[Int(self.lanes[lane].trigger)].plan.trigger
            let state = self.lanes[lane].ledger.beginWrite()
            var entry = LedgerEntry(trigger: trigger, partition: self.lanes[lane].partition, state: state)
            if let window = self.triggers[Int(self.lanes[lane].trigger)].plan.dedupWindow {
                entry.remembered = self.lanes[lane].seen.remembered(
                    self.lanes[lane].ledger.committingSlots, window: window)
                self.lanes[lane].remembering = entry.remembered
            }
            entries.append(entry)
            self.writes[group].committingLanes.append(reference)
        }
        self.writes[group].dirtyLanes.removeAll(keepingCapacity: true)
        self.writes[group].isWriting = !entries.isEmpty
        return entries
    }

    /// The write is durable: what it settled is settled.
    public mutating func ledgerCommitted(of group: LedgerGroup = .whole, now: Timestamp) {
        let group = group.rawValue
        guard group < self.writes.count, self.writes[group].isWriting else { return }
        self.writes[group].isWriting = false
        for reference in self.writes[group].committingLanes where self.isCurrent(reference) {
            let lane = reference.lane
            self.becameKnown(lane)
            let settled = self.lanes[Int(lane)].ledger.commitWrite()
            self.triggers[Int(self.lanes[Int(lane)].trigger)].counters.settled += Int64(settled)
            self.considerFetch(lane)
        }
        self.writes[group].committingLanes.removeAll(keepingCapacity: true)
        // Said again for what came meanwhile, so that a host need not remember it.
        self.writes[group].isSignalled = false
        if !self.writes[group].dirtyLanes.isEmpty { self.signal(group) }
    }

    /// What the write remembers the log shows from here on, to reads that begin now.
    private mutating func becameKnown(_ lane: Int32) {
        guard self.triggers[Int(self.lanes[Int(lane)].trigger)].plan.dedupWindow != nil else { return }
        let isReading = self.lanes[Int(lane)].fetch == .underWay
        for slot in self.lanes[Int(lane)].ledger.committingSlots {
            self.lanes[Int(lane)].seen.left(slot, isRemembered: true, isReading: isReading)
        }
        self.lanes[Int(lane)].seen.isDurable(self.lanes[Int(lane)].remembering, isReading: isReading)
        self.lanes[Int(lane)].remembering = []
    }

    /// A delivery was given up without an output: that is settled, and repetitions of it are recognised all the same.
    mutating func settleWithoutOutput(_ lane: Int32, _ slot: Int32) {
        if self.triggers[Int(self.lanes[Int(lane)].trigger)].plan.dedupWindow != nil {
            self.lanes[Int(lane)].seen.left(slot, isRemembered: false, isReading: false)
        }
        self.lanes[Int(lane)].ledger.settle(slot)
        self.markDirty(lane)
    }

    /// The write did not happen; the host keeps its outputs and will send them again with the next
    /// ``takeLedgerWrites(of:)``. `.ledgerDirty` comes again after a delay.
    public mutating func ledgerFailed(of group: LedgerGroup = .whole, now: Timestamp) {
        let group = group.rawValue
        guard group < self.writes.count, self.writes[group].isWriting else { return }
        self.writes[group].isWriting = false
        let committing = self.writes[group].committingLanes
        self.writes[group].committingLanes = []
        for reference in committing where self.isCurrent(reference) {
            self.lanes[Int(reference.lane)].ledger.abortWrite()
            self.markDirty(reference.lane, isQuiet: true)
        }
        self.writes[group].isSignalled = false
        guard !self.writes[group].isResting else { return }
        self.writes[group].isResting = true
        self.timers.insert(
            EngineTimer(due: now + Limits.Engine.ledgerRetry, kind: .ledgerRetry, index: Int32(group)))
    }

    mutating func markDirty(_ lane: Int32, isQuiet: Bool = false) {
        let group = self.lanes[Int(lane)].group
        if self.lanes[Int(lane)].dirt != .dirty {
            self.lanes[Int(lane)].dirt = .dirty
            self.writes[group].dirtyLanes.append(
                LaneReference(lane: lane, generation: self.lanes[Int(lane)].generation))
        }
        if !isQuiet { self.signal(group) }
    }

    private mutating func signal(_ group: Int) {
        guard !self.writes[group].isSignalled, !self.writes[group].isResting else { return }
        self.writes[group].isSignalled = true
        self.actions.append(.ledgerDirty(LedgerGroup(rawValue: group)))
    }

    mutating func ledgerRested(_ group: Int) {
        self.writes[group].isResting = false
        if !self.writes[group].dirtyLanes.isEmpty { self.signal(group) }
    }

    /// Settling without an output waits for the next write, or for a delay: a stream of records that a filter skips
    /// must not cost a write each.
    mutating func markLazy(_ lane: Int32, now: Timestamp) {
        guard self.lanes[Int(lane)].dirt == .clean else { return }
        self.lanes[Int(lane)].dirt = .lazy
        self.lazyLanes.append(LaneReference(lane: lane, generation: self.lanes[Int(lane)].generation))
        guard !self.hasLazyTimer else { return }
        self.hasLazyTimer = true
        self.timers.insert(EngineTimer(due: now + Limits.Engine.lazySettle, kind: .lazySettle))
    }

    mutating func settleLazy() {
        self.hasLazyTimer = false
        for reference in self.lazyLanes where self.isCurrent(reference) && self.lanes[Int(reference.lane)].dirt == .lazy
        {
            self.markDirty(reference.lane)
        }
        self.lazyLanes.removeAll(keepingCapacity: true)
    }
}
