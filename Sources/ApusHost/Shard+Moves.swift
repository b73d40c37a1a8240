internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// Subscriptions whose positions somebody moves with tools of the log's: followed when they go on after a pause, and when their lanes open.
extension Shard {
    /// A subscription that goes on after a pause. Until it does, it stays paused for the engine.
    enum Resumption {
        /// Whether somebody moved it is to be asked. Next: `looking`.
        case begun
        /// It is being asked. Next: `begun` where nobody answers, `leaving`, or it goes on.
        case looking
        /// It was moved: what ran when it was paused may end until then, then its lanes open where they were moved to.
        case leaving(until: Timestamp)
    }

    /// Whether tools of others may have moved it while nobody worked it.
    func mayBeMoved(_ trigger: TriggerState) -> Bool { trigger.group != nil && self.log.positions != nil }

    /// Looks which of its subscriptions a deploy lets go on. Before they are touched.
    func noteResumed(_ function: HostFunction) {
        guard self.log.positions != nil, let current = self.functions[function.plan.function] else { return }
        let before = current.function.plan
        for plan in function.plan.triggers {
            guard let state = self.triggers[plan.trigger], self.mayBeMoved(state),
                let known = before.triggers.first(where: { $0.trigger == plan.trigger })
            else { continue }
            switch (self.resumptions[plan.trigger], isPaused: plan.isPaused || function.plan.isPaused) {
            case (nil, isPaused: false):
                if known.isPaused || before.isPaused { self.resumptions[plan.trigger] = .begun }
            // Paused again before it went on. An answer that is on its way is nobody's.
            case (.begun, isPaused: true), (.looking, isPaused: true): self.resumptions[plan.trigger] = nil
            case (.leaving, _), (.begun, _), (.looking, _), (nil, isPaused: true): break
            }
        }
    }

    /// What the engine is to know of a function: what does not go on yet is paused.
    func plan(of function: HostFunction) -> FunctionPlan {
        guard !self.resumptions.isEmpty else { return function.plan }
        var plan = function.plan
        for index in plan.triggers.indices where self.resumptions[plan.triggers[index].trigger] != nil {
            plan.triggers[index].isPaused = true
        }
        return plan
    }

    /// Called once per turn.
    func advanceResumptions(now: Timestamp) {
        for (id, resumption) in self.resumptions {
            guard let trigger = self.triggers[id] else {
                self.resumptions[id] = nil
                continue
            }
            switch resumption {
            case .begun: self.look(at: trigger)
            case .looking: break
            case .leaving(let until):
                guard !self.lostDeliveries.contains(where: { $0.delivery.trigger == id }),
                    now >= until ? self.engine.isWritten(id) : self.engine.isQuiet(id)
                else { continue }
                self.closeLanes(of: trigger, now: now)
                self.goOn(trigger, now: now)
                for term in self.held.terms(of: trigger.workClass) { self.openLanes(of: term) }
            }
        }
    }

    /// Asks where the subscription's lanes that are open here were moved to, where that may wait for a cluster.
    private func look(at trigger: TriggerState) {
        let id = trigger.trigger.id
        guard let positions = self.log.positions else { return self.goOn(trigger, now: self.now) }
        let asked = self.engine.partitions(of: id).compactMap { trigger.position($0.partition, $0.watermark) }
        let look = { @Sendable () -> Bool? in
            do {
                return try positions.moves(of: asked, in: nil).contains { $0 != nil }
            } catch {
                return nil
            }
        }
        self.resumptions[id] = .looking
        guard let readAhead = self.configuration.readAhead else { return self.looked(id, look()) }
        let isTaken = readAhead { [loop = self.loop, weak self] in
            let isMoved = look()
            loop.post { [weak self] in self?.looked(id, isMoved) }
        }
        if !isTaken { self.resumptions[id] = .begun }
    }

    private func looked(_ id: TriggerID, _ isMoved: Bool?) {
        guard !self.isClosed, case .looking = self.resumptions[id], let trigger = self.triggers[id] else { return }
        switch isMoved {
        // Housekeeping asks again.
        case nil: self.resumptions[id] = .begun
        case false?: self.goOn(trigger, now: self.now)
        case true?:
            let now = self.now
            self.resumptions[id] = .leaving(until: now + self.configuration.classDrain)
            self.engine.leave(id, now: now)
        }
        self.requestTurn()
    }

    private func goOn(_ trigger: TriggerState, now: Timestamp) {
        self.resumptions[trigger.trigger.id] = nil
        guard let function = self.functions[trigger.function] else { return }
        self.engine.apply(self.plan(of: function.function), now: now)
    }
}

extension LaneReading {
    /// Lanes that somebody moved begin where they were moved to: the ledger says so, then the group shows it as this node's, and only then is
    /// anything run. Whoever is interrupted in between does the same once more.
    func follow(_ lanes: inout [Lane]) throws(ApusError) {
        guard let positions = self.log.positions else { return }
        var asked: [(lane: Int, position: GroupPosition)] = []
        for (index, place) in self.places.enumerated() where !lanes[index].isAnothers {
            guard let group = place.group else { continue }
            let position = GroupPosition(
                group: group, place: TopicPartition(place.topic, place.partition),
                offset: lanes[index].state.watermark)
            asked.append((index, position))
        }
        guard !asked.isEmpty else { return }
        let moves = try positions.moves(of: asked.map(\.position), in: self.term?.share)
        var writes: [LogBatch.LedgerWrite] = []
        var followed: [GroupPosition] = []
        for ((lane, position), move) in zip(asked, moves) {
            guard let move else { continue }
            let offset = try self.within(lanes[lane].bounds, position.place, move)
            lanes[lane].state = LedgerState(watermark: offset)
            lanes[lane].bounds.end = max(lanes[lane].bounds.end, offset)
            let position = GroupPosition(group: position.group, place: position.place, offset: offset)
            followed.append(position)
            writes.append(
                LogBatch.LedgerWrite(
                    key: LedgerKey.key(prefix: self.places[lane].prefix, partition: self.places[lane].partition),
                    value: lanes[lane].state.encode(), share: self.term?.share, position: position))
        }
        guard !writes.isEmpty else { return }
        try self.write(writes)
        try positions.followed(followed)
    }

    /// What lies before the first record, or behind the last, is not there to begin at.
    private func within(_ bounds: OffsetBounds, _ place: TopicPartition, _ offset: Offset) throws(ApusError) -> Offset {
        guard offset > bounds.end else { return max(offset, bounds.start) }
        // The log may have grown by what has not come here yet.
        return min(offset, max(bounds.end, try self.log.offset(of: place, at: .distantFuture)))
    }

    private func write(_ entries: [LogBatch.LedgerWrite]) throws(ApusError) {
        let answer = ResultSlot<Result<LogReceipt, ApusError>>()
        self.log.submit(LogBatch(urgency: .settlement, ledger: entries, owner: self.term)) { answer.fill($0) }
        _ = try answer.take().get()
    }
}
