public import ApusCore

/// The ledger's writes: what is finished and written becomes durable, one write at a time.
extension Engine {
    /// The outputs of a delivery's outcome are in the pending write: the next ledger write settles it.
    public mutating func written(_ delivery: Delivery) {
        guard let lane = self.lane(of: delivery.trigger, delivery.partition),
            let slot = self.lanes[Int(lane)].ledger.find(delivery.offset),
            self.lanes[Int(lane)].ledger.write(slot)
        else { return }
        self.markDirty(lane)
    }

    /// What to write now, in one transaction with the outputs gathered so far. At most one write is under way.
    /// - Returns: one entry for each partition that changed; nothing while a write is under way. When it returns
    ///   something, ``ledgerCommitted(now:)`` or ``ledgerFailed(now:)`` must follow.
    public mutating func takeLedgerWrites() -> [LedgerEntry] {
        guard !self.isWriting else { return [] }
        self.isSignalled = false
        var entries: [LedgerEntry] = []
        entries.reserveCapacity(self.dirtyLanes.count)
        for reference in self.dirtyLanes where self.isCurrent(reference) {
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
            self.committingLanes.append(reference)
        }
        self.dirtyLanes.removeAll(keepingCapacity: true)
        self.isWriting = !entries.isEmpty
        return entries
    }

    /// The write is durable: what it settled is settled.
    public mutating func ledgerCommitted(now: Timestamp) {
        guard self.isWriting else { return }
        self.isWriting = false
        for reference in self.committingLanes where self.isCurrent(reference) {
            let lane = reference.lane
            self.becameKnown(lane)
            let settled = self.lanes[Int(lane)].ledger.commitWrite()
            self.triggers[Int(self.lanes[Int(lane)].trigger)].counters.settled += Int64(settled)
            self.considerFetch(lane)
        }
        self.committingLanes.removeAll(keepingCapacity: true)
        // Said again for what came meanwhile, so that a host need not remember it.
        self.isSignalled = false
        if !self.dirtyLanes.isEmpty { self.signal() }
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
    /// ``takeLedgerWrites()``. `.ledgerDirty` comes again after a delay.
    public mutating func ledgerFailed(now: Timestamp) {
        guard self.isWriting else { return }
        self.isWriting = false
        for reference in self.committingLanes where self.isCurrent(reference) {
            self.lanes[Int(reference.lane)].ledger.abortWrite()
            self.markDirty(reference.lane, isQuiet: true)
        }
        self.committingLanes.removeAll(keepingCapacity: true)
        self.isSignalled = false
        guard !self.isLedgerResting else { return }
        self.isLedgerResting = true
        self.timers.insert(EngineTimer(due: now + Limits.Engine.ledgerRetry, kind: .ledgerRetry))
    }

    mutating func markDirty(_ lane: Int32, isQuiet: Bool = false) {
        if self.lanes[Int(lane)].dirt != .dirty {
            self.lanes[Int(lane)].dirt = .dirty
            self.dirtyLanes.append(LaneReference(lane: lane, generation: self.lanes[Int(lane)].generation))
        }
        if !isQuiet { self.signal() }
    }

    private mutating func signal() {
        guard !self.isSignalled, !self.isLedgerResting else { return }
        self.isSignalled = true
        self.actions.append(.ledgerDirty)
    }

    mutating func ledgerRested() {
        self.isLedgerResting = false
        if !self.dirtyLanes.isEmpty { self.signal() }
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
