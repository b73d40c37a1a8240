internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// Lanes that wait until what they have seen is known again.
extension Shard {
    struct LaneID: Hashable {
        var trigger: TriggerID
        var partition: Int
    }

    /// Opens a lane, once this node knows the keys that the lane needs: nothing of it is dispatched before.
    func open(
        _ trigger: TriggerState, _ partition: Int, _ state: LedgerState, _ bounds: OffsetBounds, _ group: LedgerGroup,
        now: Timestamp
    ) {
        let lane = LaneID(trigger: trigger.trigger.id, partition: partition)
        guard self.log.rebuildsKeys, let dedup = trigger.dedup(partition: partition) else {
            return self.engine.open(
                lane.trigger, partition: partition, state: state, bounds: bounds, group: group, now: now)
        }
        let term = self.share(of: trigger, partition).flatMap { self.held.term(of: $0) }
        // One that reads for this term already goes on.
        if let known = self.keyReadings[lane], known == term { return }
        self.keyReadings[lane] = term
        self.step(
            KeyReading(
                log: self.log, place: TopicPartition(trigger.trigger.topic, partition), dedup: dedup,
                filter: trigger.trigger.filter, path: trigger.path, ledger: state, now: now), lane, term)
    }

    private func step(_ reading: KeyReading, _ lane: LaneID, _ term: UInt64?) {
        guard let readAhead = self.configuration.readAhead else {
            var reading = reading
            var isRead = true
            while isRead, !reading.isDone { isRead = reading.step() }
            return self.stepped(reading, isRead, lane, term)
        }
        let isTaken = readAhead { [loop = self.loop, weak self] in
            let (next, isRead) = reading.stepped()
            loop.post { [weak self] in
                self?.stepped(next, isRead, lane, term)
                self?.requestTurn()
            }
        }
        if !isTaken { self.waitingReadings.append((reading, lane, term)) }
    }

    private func stepped(_ reading: KeyReading, _ isRead: Bool, _ lane: LaneID, _ term: UInt64?) {
        guard !self.isClosed, let trigger = self.triggers[lane.trigger], self.keyReadings[lane] == .some(term),
            let group = self.openGroup(of: trigger, lane.partition),
            self.share(of: trigger, lane.partition).flatMap({ self.held.term(of: $0) }) == term
        else {
            if self.keyReadings[lane] == .some(term) { self.keyReadings[lane] = nil }
            return
        }
        // Housekeeping tries again.
        guard isRead else { return self.waitingReadings.append((reading, lane, term)) }
        guard reading.isDone else { return self.step(reading, lane, term) }
        self.keyReadings[lane] = nil
        if reading.read > 0 {
            self.configuration.note(
                "\(reading.place): read \(reading.read) records for what '\(trigger.trigger.name)' of \(trigger.functionName) has seen"
            )
        }
        guard !self.engine.isOpen(lane.trigger, partition: lane.partition) else { return }
        let start = (try? self.log.bounds(of: reading.place))?.start ?? 0
        self.engine.open(
            lane.trigger, partition: lane.partition, state: reading.ledger,
            bounds: OffsetBounds(start: start, end: trigger.ends[lane.partition]), group: group, now: self.now)
    }

    func readKeysThatAreLeft() {
        let left = self.waitingReadings
        self.waitingReadings = []
        for (reading, lane, term) in left { self.step(reading, lane, term) }
    }
}
