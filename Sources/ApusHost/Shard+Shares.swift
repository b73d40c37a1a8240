internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// The work that this shard shares with other nodes: lanes open while their share is held here, and close when it is not.
extension Shard {
    /// Hears from now on which shares are worked here.
    func watchShares() {
        guard let sharing = self.log.sharing else { return }
        self.shareWatch = sharing.watch { [loop = self.loop, weak self] change in
            loop.post { [weak self] in self?.changed(change) }
        }
    }

    func unwatchShares() {
        if let watch = self.shareWatch { self.log.sharing?.unwatch(watch) }
        self.shareWatch = nil
    }

    /// The share of a partition of a trigger; nil where nobody shares the work.
    func share(of trigger: TriggerState, _ partition: Int) -> Share? {
        self.held.isShared ? Share.of(trigger.trigger.topic, partition: partition, trigger.workClass) : nil
    }

    /// Whose ledger a delivery is settled in.
    func group(of trigger: TriggerState, _ partition: Int) -> LedgerGroup {
        self.share(of: trigger, partition).flatMap { self.held.group(of: $0) } ?? .whole
    }

    func group(of delivery: Delivery) -> LedgerGroup {
        guard self.held.isShared, let trigger = self.triggers[delivery.trigger] else { return .whole }
        return self.group(of: trigger, delivery.partition)
    }

    /// Whether a lane may be open here now.
    func openGroup(of trigger: TriggerState, _ partition: Int) -> LedgerGroup? {
        guard let share = self.share(of: trigger, partition), !trigger.isTable else { return .whole }
        if trigger.isMoving { return nil }
        return self.held.group(ofOpen: share)
    }

    private func changed(_ change: ShareChange) {
        guard !self.isClosed else { return }
        self.followsChanged = true
        switch change {
        case .working(let term):
            self.held.hold(term)
            self.openLanes(of: term)
        case .draining(let share):
            guard let group = self.held.group(of: share) else { return }
            self.held.leave(share)
            self.engine.leave(group, now: self.now)
        case .stopped(let share): self.stopped(share)
        }
        self.requestTurn()
    }

    private func stopped(_ share: Share) {
        guard let group = self.held.group(of: share), self.held.term(of: share) != nil else { return }
        let gone = self.lostDeliveries.filter { self.group(of: $0.delivery) == group }
        if !gone.isEmpty { self.lostDeliveries.removeAll { self.group(of: $0.delivery) == group } }
        self.held.drop(share)
        self.unopened[share] = nil
        self.engine.close(group, now: self.now)
        self.commits.reset(group)
        self.settlementsDrop(group)
        for trigger in self.triggers.values
        where trigger.invocations != nil && self.share(of: trigger, 0) == share {
            trigger.invocations?.forget()
        }
        self.tellWritten()
    }

    /// Says that what is to be let go is, once nothing of it runs and what ended is written. Called once per turn.
    func advanceLeaving(now: Timestamp) {
        guard !self.held.leaving.isEmpty, let watch = self.shareWatch else { return }
        for share in self.held.leaving {
            guard let group = self.held.group(of: share), self.engine.isQuiet(group),
                !self.commits[group].isWaiting,
                !self.lostDeliveries.contains(where: { self.group(of: $0.delivery) == group })
            else { continue }
            self.held.left(share)
            self.log.sharing?.drained(share, watch)
        }
    }

    // MARK: opening

    /// Opens what belongs to a share that is held now, at what its ledger says. The log may be slow to tell: it is asked on the reader's
    /// thread.
    func openLanes(of term: ShareTerm) {
        var places: [LaneReading.Place] = []
        for trigger in self.triggers.values where !trigger.isTable && !trigger.isMoving {
            for partition in trigger.ends.indices where self.share(of: trigger, partition) == term.share {
                guard !self.engine.isOpen(trigger.trigger.id, partition: partition) else { continue }
                var place = LaneReading.Place(trigger, partition)
                let since = self.heldBackSince[LaneID(trigger: trigger.trigger.id, partition: partition)]
                place.mayTake = since.map { self.now >= $0 + self.configuration.classWait } ?? false
                places.append(place)
            }
        }
        guard !places.isEmpty else { return }
        let reading = LaneReading(log: self.log, places: places, term: term)
        guard let readAhead = self.configuration.readAhead else { return self.opened(term, reading.run()) }
        let isTaken = readAhead { [loop = self.loop, weak self] in
            let lanes = reading.run()
            loop.post { [weak self] in
                self?.opened(term, lanes)
                self?.requestTurn()
            }
        }
        // Housekeeping tries again.
        if !isTaken { self.unopened[term.share] = term.term }
    }

    private func opened(_ term: ShareTerm, _ lanes: [LaneReading.Lane]?) {
        guard !self.isClosed, self.held.term(of: term.share) == term.term else { return }
        guard let lanes else {
            // Housekeeping tries again.
            self.unopened[term.share] = term.term
            return
        }
        let now = self.now
        for lane in lanes {
            guard let trigger = self.triggers[lane.trigger], let group = self.openGroup(of: trigger, lane.partition),
                !self.engine.isOpen(lane.trigger, partition: lane.partition)
            else { continue }
            let id = LaneID(trigger: lane.trigger, partition: lane.partition)
            guard !lane.isAnothers else {
                self.holdBack(id, term, now: now)
                continue
            }
            self.heldBackSince[id] = nil
            for (mark, value) in lane.marks { trigger.invocations?.restore(mark, value) }
            trigger.invocations?.takeHeard()
            trigger.ends[lane.partition] = max(trigger.ends[lane.partition], lane.bounds.end)
            if trigger.invocations != nil {
                self.log.discard(
                    TopicPartition(trigger.trigger.topic, lane.partition), before: lane.state.watermark)
                self.answerSettledCancels(trigger, lane.state, now: now)
            }
            self.open(
                trigger, lane.partition, lane.state,
                OffsetBounds(start: lane.bounds.start, end: trigger.ends[lane.partition]), group, now: now)
        }
    }

    func openWhatIsLeft() {
        self.opensNow = false
        let left = self.unopened
        self.unopened = [:]
        for (share, term) in left where self.held.term(of: share) == term {
            self.openLanes(of: ShareTerm(share, term: term))
        }
    }
}

/// What lanes are opened with, readable on any thread.
struct LaneReading: Sendable {
    struct Place: Sendable {
        let trigger: TriggerID
        let topic: TopicName
        let prefix: [UInt8]
        let partition: Int
        let start: Offset
        let isQueue: Bool
        let move: ClassMove?
        /// Of one that gives a stretch once more: where that ends.
        let replay: HostReplay?
        /// By which tools of others know its position, and may have moved it.
        let group: String?
        /// Whoever had it before had time enough to let it go.
        var mayTake = false

        init(_ state: TriggerState, _ partition: Int) {
            self.trigger = state.trigger.id
            self.topic = state.trigger.topic
            self.prefix = state.ledgerPrefix
            self.partition = partition
            self.start = partition < state.trigger.starts.count ? state.trigger.starts[partition] : 0
            self.isQueue = state.invocations != nil
            self.move = state.move
            self.replay = state.replay
            self.group = state.group
        }
    }

    struct Lane: Sendable {
        var trigger: TriggerID
        var partition: Int
        var state: LedgerState
        var bounds: OffsetBounds
        var marks: [(InvocationMark, [UInt8])]
        /// The nodes of another class have it still.
        var isAnothers = false
    }

    let log: any EventLog
    let places: [Place]
    /// For whom they are read; nil where nobody shares the work.
    let term: ShareTerm?

    /// - Returns: nil when the log could not be read.
    func run() -> [Lane]? {
        do {
            var lanes = try self.places.map { place in
                let bounds = try self.log.bounds(of: TopicPartition(place.topic, place.partition))
                var lane = Lane(
                    trigger: place.trigger, partition: place.partition, state: LedgerState(watermark: place.start),
                    bounds: place.replay?.bounded(bounds, place.partition) ?? bounds, marks: [])
                guard let entries = try self.entries(of: place) else {
                    lane.isAnothers = true
                    return lane
                }
                for (key, value) in entries {
                    if place.isQueue, let mark = InvocationMark(key: key, prefix: place.prefix) {
                        lane.marks.append((mark, value))
                    } else if LedgerKey.partition(of: key, prefix: place.prefix) == place.partition {
                        lane.state = try LedgerKey.decode(value)
                    }
                }
                return lane
            }
            try self.follow(&lanes)
            return lanes
        } catch {
            return nil
        }
    }
}
