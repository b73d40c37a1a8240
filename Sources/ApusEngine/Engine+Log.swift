public import ApusCore

/// Records: when they are read, and what becomes of them on arrival.
extension Engine {
    public mutating func grew(_ trigger: TriggerID, partition: Int, end: Offset, now: Timestamp) {
        guard let slot = self.slot(of: trigger), let place = self.triggers[Int(slot)].lane(partition) else { return }
        if self.triggers[Int(slot)].plan.kind == .table {
            self.tableGrew(self.triggers[Int(slot)].function, table: place, end: end, now: now)
            return
        }
        guard end > self.lanes[Int(place)].end else { return }
        self.lanes[Int(place)].end = end
        self.considerFetch(place)
    }

    /// Asks for records when there are any and there is room for a good part of what one read brings.
    mutating func considerFetch(_ lane: Int32) {
        let position = self.lanes[Int(lane)].ledger.position
        guard self.lanes[Int(lane)].fetch == .idle, position < self.lanes[Int(lane)].end, !self.isDraining,
            !self.lanes[Int(lane)].isLeaving
        else { return }
        let bound = max(1, self.configuration.unsettledPerPartition)
        let room = bound - self.lanes[Int(lane)].ledger.unsettled - self.lanes[Int(lane)].seen.droppedCount
        guard room >= max(1, min(Limits.Engine.fetchRecords, bound) / 2) else { return }
        let trigger = self.lanes[Int(lane)].trigger
        guard !self.isPaused(trigger), let paced = self.paced(trigger) else { return }
        self.lanes[Int(lane)].fetch = .underWay
        self.actions.append(
            .fetch(
                self.triggers[Int(trigger)].plan.trigger, partition: self.lanes[Int(lane)].partition, from: position,
                maxRecords: min(room, paced, Limits.Engine.fetchRecords)
            )
        )
    }

    /// The answer to `.fetch`. `next` is where the following fetch goes on. An answer that comes late or twice changes
    /// nothing.
    /// - Parameters:
    ///   - from: where the read began. One that was asked for before the partition was closed and opened anew may lie ahead of what
    ///     is known now: what is between them would be lost.
    ///   - lost: how many offsets retention took between where the read was to begin and the first record there is.
    public mutating func fetched(
        _ trigger: TriggerID, partition: Int, from: Offset? = nil, records: [RecordSummary], next: Offset,
        lost: Int64 = 0, now: Timestamp
    ) {
        guard let slot = self.slot(of: trigger), let lane = self.triggers[Int(slot)].lane(partition) else { return }
        let function = self.triggers[Int(slot)].function
        if self.triggers[Int(slot)].plan.kind == .table {
            self.tableFetched(function, table: lane, records: records, next: next, now: now)
            return
        }
        let before = self.lanes[Int(lane)].ledger.position
        if let from, from > before { return }
        guard next > before else {
            // Nothing new. As an answer to the read under way it means that nothing came, so do not ask again at once;
            // anything else is an older answer that came again.
            if self.lanes[Int(lane)].fetch == .underWay, next == before, records.isEmpty {
                self.restFetch(lane, now: now)
            }
            return
        }
        self.lanes[Int(lane)].fetch = .idle
        self.lanes[Int(lane)].isReadFailing = false
        self.triggers[Int(slot)].counters.lost += lost
        self.triggers[Int(slot)].pace?.fill(now: now)
        let mark = self.functions[Int(function)].tables?.mark ?? 0
        let order = self.triggers[Int(slot)].plan.order
        let bound = max(1, self.configuration.unsettledPerPartition)
        var (skipped, repeated) = (0, 0)
        var through: Offset?
        for record in records where record.offset >= self.lanes[Int(lane)].ledger.position {
            through = self.arriveMissing(lane, before: record.offset, order: order, mark: mark, now: now)
            guard through == nil else { break }
            guard record.isMatch else {
                skipped += 1
                self.lanes[Int(lane)].ledger.pass(to: record.offset + 1)
                continue
            }
            guard !self.isRepetition(record, of: slot, lane) else {
                repeated += 1
                self.lanes[Int(lane)].ledger.pass(to: record.offset + 1)
                continue
            }
            guard self.lanes[Int(lane)].ledger.unsettled < bound, self.mayBegin(slot) else {
                through = record.offset
                break
            }
            self.arrive(lane, record, order: order, mark: mark, now: now)
        }
        if through == nil { through = self.arriveMissing(lane, before: next, order: order, mark: mark, now: now) }
        self.lanes[Int(lane)].ledger.pass(to: through ?? next)
        self.lanes[Int(lane)].seen.readEnded()
        self.triggers[Int(slot)].counters.skipped += Int64(skipped)
        self.triggers[Int(slot)].counters.duplicates += Int64(repeated)
        // What is behind without being anybody's to settle, a gap at the end as well, shows in the durable state soon.
        if skipped + repeated > 0 || self.lanes[Int(lane)].ledger.unsettled == 0 { self.markLazy(lane, now: now) }
        self.considerFetch(lane)
        self.schedule(function, now: now)
    }

    /// Whether its trigger skips it because an event of its identity came before.
    private func isRepetition(_ record: RecordSummary, of trigger: Int32, _ lane: Int32) -> Bool {
        guard let window = self.triggers[Int(trigger)].plan.dedupWindow else { return false }
        return record.isDuplicate || self.lanes[Int(lane)].seen.isRepetition(record, within: window)
    }

    /// Takes in deliveries that failed before a restart and whose records the read did not bring: at dispatch the host
    /// finds out whether they were superseded or expired.
    /// - Returns: where there was no room for one.
    private mutating func arriveMissing(
        _ lane: Int32, before end: Offset, order: DeliveryOrder, mark: UInt64, now: Timestamp
    ) -> Offset? {
        while let offset = self.lanes[Int(lane)].ledger.missing(before: end) {
            guard self.lanes[Int(lane)].ledger.unsettled < max(1, self.configuration.unsettledPerPartition) else {
                return offset
            }
            let record = RecordSummary(offset: offset, keyHash: 0, bytes: 0)
            self.arrive(lane, record, order: order, mark: mark, now: now)
        }
        return nil
    }

    private mutating func arrive(
        _ lane: Int32, _ record: RecordSummary, order: DeliveryOrder, mark: UInt64, now: Timestamp
    ) {
        var key: UInt64 =
            switch order {
            case .key: record.keyHash
            case .partition: 1
            case .none: 0
            }
        if self.fault == .ignoresKeyOrder { key = 0 }
        guard
            let slot = self.lanes[Int(lane)].ledger.admit(
                record.offset, orderKey: key, bytes: record.bytes, tableMark: mark, appended: record.appended,
                expires: record.expires, isPoison: record.isPoison, isOnce: record.isOnce, due: record.notBefore)
        else { return }
        if self.triggers[Int(self.lanes[Int(lane)].trigger)].plan.dedupWindow != nil {
            self.lanes[Int(lane)].seen.arrived(slot, record)
        }
        if self.lanes[Int(lane)].keys.arrive(slot, key: key) { self.makeRunnable(lane, slot, now: now) }
    }

    /// It is at the head of its key: it may run, at once or when it is due. What must not run makes room for the next of the key.
    mutating func makeRunnable(_ lane: Int32, _ slot: Int32, now: Timestamp) {
        var slot = slot
        while self.lanes[Int(lane)].ledger[slot].isPoison || self.lanes[Int(lane)].ledger[slot].expires <= now {
            let key = self.lanes[Int(lane)].ledger[slot].orderKey
            let follower = self.lanes[Int(lane)].keys.release(slot, key: key)
            if self.lanes[Int(lane)].ledger[slot].isPoison {
                self.settlePoison(lane, slot)
            } else {
                self.settleOverdue(lane, slot, now: now)
            }
            guard let follower else { return }
            slot = follower
        }
        let entry = self.lanes[Int(lane)].ledger[slot]
        if entry.due > now {
            self.lanes[Int(lane)].ledger.wait(slot)
            self.setRetryTimer(lane, slot, due: entry.due)
        } else {
            self.lanes[Int(lane)].ledger.makeReady(slot)
            self.becameReady(lane, count: 1, bytes: Int(entry.bytes), now: now)
        }
    }

    mutating func setRetryTimer(_ lane: Int32, _ slot: Int32, due: Timestamp) {
        let generation = UInt64(self.lanes[Int(lane)].generation)
        self.timers.insert(EngineTimer(due: due, kind: .retry, index: lane, detail: slot, generation: generation))
    }

    /// The log could not be read; the engine asks again after a delay.
    public mutating func fetchFailed(_ trigger: TriggerID, partition: Int, now: Timestamp) {
        guard let slot = self.slot(of: trigger), let place = self.triggers[Int(slot)].lane(partition) else { return }
        if self.triggers[Int(slot)].plan.kind == .table {
            self.tableFetchFailed(self.triggers[Int(slot)].function, table: place, now: now)
        } else if self.lanes[Int(place)].fetch == .underWay {
            self.lanes[Int(place)].isReadFailing = true
            self.restFetch(place, now: now)
        }
    }

    private mutating func restFetch(_ lane: Int32, now: Timestamp) {
        self.lanes[Int(lane)].fetch = .resting
        let generation = UInt64(self.lanes[Int(lane)].generation)
        self.timers.insert(
            EngineTimer(due: now + Limits.Engine.fetchRetry, kind: .fetch, index: lane, generation: generation))
    }

    /// At dispatch the record was gone (retention or compaction). Superseded records settle as skipped; expired ones
    /// become dead letters. The attempt is over and its credit is back: the worker never saw it.
    public mutating func recordGone(_ stream: StreamID, isSuperseded: Bool, now: Timestamp) {
        guard let attempt = self.inFlight.find(stream) else { return }
        let (work, worker) = (self.inFlight[attempt].work, self.inFlight[attempt].worker)
        let function = self.inFlight[attempt].function
        self.endAttempt(attempt, returnsCredit: true, now: now)
        switch work {
        case .delivery(let lane, let generation, let slot):
            guard self.isCurrent(LaneReference(lane: lane, generation: generation)) else { break }
            if isSuperseded {
                self.triggers[Int(self.lanes[Int(lane)].trigger)].counters.superseded += 1
                self.release(lane, slot, now: now)
                self.lanes[Int(lane)].seen.forget(slot)
                self.lanes[Int(lane)].ledger.settle(slot)
                self.markLazy(lane, now: now)
                self.considerFetch(lane)
            } else {
                self.release(lane, slot, now: now)
                self.expire(lane, slot)
            }
        case .tableRecord(let table, let offset):
            self.tableRecordDone(function, worker: worker, table: table, offset: offset, now: now)
        case .request, .nothing:
            break
        }
        self.schedule(function, now: now)
    }

    /// Its record is gone for good: a dead letter holds what is known, whatever the policy for failures, except to
    /// drop.
    mutating func expire(_ lane: Int32, _ slot: Int32) {
        let delivery = self.delivery(lane, slot)
        let attempts = Int(self.lanes[Int(lane)].ledger[slot].attempts)
        let trigger = Int(self.lanes[Int(lane)].trigger)
        let failure = Failure(.recordExpired, "retention took the record before it could run")
        self.triggers[trigger].counters.expired += 1
        if self.triggers[trigger].plan.onExhausted == .drop {
            self.triggers[trigger].counters.dropped += 1
            self.settleWithoutOutput(lane, slot)
            self.actions.append(.dropped(delivery, attempts: attempts, failure))
        } else {
            self.triggers[trigger].counters.deadLetters += 1
            self.lanes[Int(lane)].ledger.finish(slot)
            self.actions.append(.deadLetter(delivery, attempts: attempts, failure))
        }
    }

    /// Its `expirytime` passed while it waited: it does not run.
    mutating func outlive(_ lane: Int32, _ slot: Int32, now: Timestamp) {
        self.release(lane, slot, now: now)
        self.settleOverdue(lane, slot, now: now)
    }

    /// Trying again would not help: whatever the policy for failures says but to drop, it is a dead letter.
    private mutating func settlePoison(_ lane: Int32, _ slot: Int32) {
        let trigger = Int(self.lanes[Int(lane)].trigger)
        let delivery = self.delivery(lane, slot)
        let failure = Failure(.invalidEvent, "the record is no event that a handler could be given")
        self.triggers[trigger].counters.poison += 1
        guard self.triggers[trigger].plan.onExhausted == .drop else {
            self.triggers[trigger].counters.deadLetters += 1
            self.lanes[Int(lane)].ledger.finish(slot)
            return self.actions.append(.deadLetter(delivery, attempts: 0, failure))
        }
        self.triggers[trigger].counters.dropped += 1
        self.settleWithoutOutput(lane, slot)
        self.actions.append(.dropped(delivery, attempts: 0, failure))
        self.considerFetch(lane)
    }

    private mutating func settleOverdue(_ lane: Int32, _ slot: Int32, now: Timestamp) {
        let trigger = Int(self.lanes[Int(lane)].trigger)
        self.triggers[trigger].counters.overdue += 1
        guard self.triggers[trigger].plan.onExpired == .deadLetter else {
            self.lanes[Int(lane)].seen.forget(slot)
            self.lanes[Int(lane)].ledger.settle(slot)
            self.markLazy(lane, now: now)
            return self.considerFetch(lane)
        }
        let delivery = self.delivery(lane, slot)
        let attempts = Int(self.lanes[Int(lane)].ledger[slot].attempts)
        let failure = Failure(.expired, "the event's expirytime passed before it could run")
        self.triggers[trigger].counters.deadLetters += 1
        self.lanes[Int(lane)].ledger.finish(slot)
        self.actions.append(.deadLetter(delivery, attempts: attempts, failure))
    }

    /// The delivery is done as far as its order goes: the next of its key may run, before this one is durable.
    mutating func release(_ lane: Int32, _ slot: Int32, now: Timestamp) {
        let key = self.lanes[Int(lane)].ledger[slot].orderKey
        if let follower = self.lanes[Int(lane)].keys.release(slot, key: key) {
            self.makeRunnable(lane, follower, now: now)
        }
    }
}
