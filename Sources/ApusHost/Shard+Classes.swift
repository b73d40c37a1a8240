internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// Functions that change their class: what the old class's nodes run of them ends and is written, then its lanes close, the ledger says so,
/// and lanes open at the nodes of the new class.
extension Shard {
    struct ClassChange {
        var workClass: WorkClass
        var move: ClassMove?
        /// What runs may end until then.
        var until: Timestamp
    }

    /// Looks whether a deploy moves the function. Before its triggers are touched.
    func noteClass(of function: HostFunction, now: Timestamp) {
        let id = function.plan.function
        guard self.held.isShared, let current = self.functions[id] else { return }
        let moving = current.triggers.filter { $0.workClass != function.workClass || $0.isMoving }
        guard !moving.isEmpty else { return }
        for trigger in moving where !trigger.isMoving {
            trigger.isMoving = true
            self.engine.leave(trigger.trigger.id, now: now)
        }
        let until = self.classChanges[id]?.until ?? now + self.configuration.classDrain
        self.classChanges[id] = ClassChange(workClass: function.workClass, move: function.move, until: until)
    }

    /// Called once per turn.
    func advanceClassChanges(now: Timestamp) {
        for (id, change) in self.classChanges {
            guard let function = self.functions[id] else {
                self.classChanges[id] = nil
                continue
            }
            let moving = function.triggers.filter(\.isMoving)
            let isReady = moving.allSatisfy { trigger in
                let id = trigger.trigger.id
                guard !self.lostDeliveries.contains(where: { $0.delivery.trigger == id }) else { return false }
                return now >= change.until ? self.engine.isWritten(id) : self.engine.isQuiet(id)
            }
            guard isReady else { continue }
            self.classChanges[id] = nil
            for trigger in moving { self.handOver(trigger, change, now: now) }
            for term in self.held.terms(of: change.workClass) { self.openLanes(of: term) }
        }
    }

    private func handOver(_ trigger: TriggerState, _ change: ClassChange, now: Timestamp) {
        let since = change.move?.since ?? 0
        for partition in trigger.ends.indices where !trigger.isTable {
            // Of a share that is another's its owner says so, or whoever takes it.
            guard let share = self.share(of: trigger, partition), self.held.term(of: share) != nil,
                let group = self.held.group(of: share), self.engine.isOpen(trigger.trigger.id, partition: partition)
            else { continue }
            let mark = ClassMark(since: since, workClass: change.workClass)
            self.commits[group].forget(
                LogBatch.LedgerWrite(
                    key: ClassMark.key(prefix: trigger.ledgerPrefix, partition: partition), value: mark.encoded,
                    share: share), now: now)
            if let position = trigger.position(partition, nil) { self.log.positions?.leave([position]) }
        }
        self.closeLanes(of: trigger, now: now)
        trigger.invocations?.forget()
        trigger.moved(to: change.workClass, change.move)
        self.followsChanged = true
    }

    /// What waits of them is given up: whoever opens them next runs it.
    func closeLanes(of trigger: TriggerState, now: Timestamp) {
        self.engine.close(trigger.trigger.id, now: now)
        for group in self.commits.groups { self.commits[group].drop(trigger.trigger.id) }
    }

    // MARK: lanes that another class has

    /// Whether the ledger is to be asked whose its lanes are: it was moved, or this node does not know yet that it was.
    func mayBeAnothers(_ trigger: TriggerState) -> Bool {
        guard self.held.isShared, !trigger.isTable else { return false }
        if trigger.move != nil { return true }
        return (try? self.log.ledger(prefix: ClassMark.prefix(trigger.ledgerPrefix)))?.isEmpty == false
    }

    /// A lane that is not this class's yet is looked at again a while later, and taken when nobody lets go of it.
    func holdBack(_ lane: LaneID, _ term: ShareTerm, now: Timestamp) {
        if self.heldBackSince[lane] == nil { self.heldBackSince[lane] = now }
        self.heldBack[term.share] = HeldBack(
            term: term.term, due: now + .milliseconds(Limits.Host.classLookMilliseconds))
    }

    struct HeldBack {
        var term: UInt64
        var due: Timestamp
    }

    func openWhatWasHeldBack(now: Timestamp) {
        for (share, held) in self.heldBack where held.due <= now {
            self.heldBack[share] = nil
            if self.held.term(of: share) == held.term { self.openLanes(of: ShareTerm(share, term: held.term)) }
        }
    }
}

extension LaneReading {
    /// Whether the lane is its class's by now; takes it when it may.
    /// - Returns: nil when it is not, and may not be taken yet.
    func entries(of place: Place) throws(ApusError) -> [(key: [UInt8], value: [UInt8])]? {
        var entries = try self.log.ledger(prefix: place.prefix)
        guard let sharing = self.log.sharing, let term = self.term else { return entries }
        func holder() -> ClassMark.Holder {
            let key = ClassMark.key(prefix: place.prefix, partition: place.partition)
            let mark = entries.first { $0.key == key }.flatMap { ClassMark(decoding: $0.value) }
            return ClassMark.holder(mark, of: term.share.workClass, place.move)
        }
        switch holder() {
        case .own: return entries
        case .later: return nil
        case .former(let former):
            try sharing.read(Share(former, term.share.number))
            entries = try self.log.ledger(prefix: place.prefix)
            if holder() == .own { return entries }
            guard place.mayTake, case .former(let former) = holder() else { return nil }
            let mark = ClassMark(since: place.move?.since ?? 0, workClass: term.share.workClass)
            try sharing.take(
                term, from: former,
                LogBatch.LedgerWrite(
                    key: ClassMark.key(prefix: place.prefix, partition: place.partition), value: mark.encoded,
                    share: term.share))
            entries = try self.log.ledger(prefix: place.prefix)
            return holder() == .own ? entries : nil
        }
    }
}
