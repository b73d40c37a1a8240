internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// The owner's side: deciding the commands of the partitions that are this node's. On the control thread.
extension Control {
    func owns(_ change: CommandOwnershipChange) {
        switch change {
        case .gained(let term):
            self.nodes.owned[term.partition] = SharedControl.Owned(term: term)
            if term.partition > 0 { self.keyedTerms.withLock { $0[term.partition] = term } }
            do throws(ApusError) { try self.decideWaiting(term.partition) } catch {
                self.journal.warning("the commands of partition \(term.partition) wait: \(error.message)")
            }
        case .lost(let term):
            guard self.nodes.owned[term.partition]?.term == term else { return }
            self.disown(term.partition)
        }
    }

    private func disown(_ partition: Int) {
        self.nodes.owned[partition] = nil
        self.keyedTerms.withLock { _ = $0.removeValue(forKey: partition) }
        guard partition == 0 else { return }
        self.deciding.withLock { $0 = nil }
        do throws(ApusError) { try self.onDeciding.withLock { $0 }?(nil) } catch {
            self.journal.error("what goes with deciding does not end: \(error.message)")
        }
    }

    /// Decides what waits on a partition, if it is this node's.
    func decideWaiting(_ partition: Int) throws(ApusError) {
        guard self.nodes.owned[partition] != nil, !self.isStopping.load(ordering: .acquiring) else { return }
        // What is deployed is decided on the first, alone.
        guard partition == 0 else { return try self.decideKeyed(partition) }
        try self.restore(partition)
        let place = TopicPartition(.commands, partition)
        while let owned = self.nodes.owned[partition] {
            let bounds = try self.log.bounds(of: place)
            let start = max(owned.decider.position, bounds.start)
            guard start < bounds.end else { return }
            var found: [(offset: Offset, command: Command?)] = []
            let next = try self.log.read(
                place, from: start, maxRecords: Limits.Server.recordsPerFollow, maxBytes: Limits.Server.bytesPerRead
            ) { offset, block in
                let event = try? EventBlock.decode(block.bytes)
                found.append((offset, event.flatMap { try? Command($0) }))
                return true
            }
            for (offset, command) in found {
                guard let command else {
                    self.journal.error("the record \(offset) of \(place) is no command that this version knows")
                    self.nodes.owned[partition]?.decider.pass(offset)
                    continue
                }
                // What could not be written comes again with the next tick.
                guard try self.decide(command, at: offset, partition) else { return }
            }
            // Records that are not shown, and gaps, are behind it as well.
            self.nodes.owned[partition]?.decider.pass(next - 1)
            guard next > start else { return }
        }
    }

    /// Reads what was answered in the last hour, and for what is deployed everything that is.
    private func restore(_ partition: Int) throws(ApusError) {
        guard let ownership = self.ownership, var owned = self.nodes.owned[partition], !owned.isRestored else { return }
        let place = TopicPartition(.answers, partition)
        let now = self.clock.now
        let end = try ownership.end(of: place)
        let start = try self.log.bounds(of: place).start
        let reached = try self.log.readAll(
            place, from: start, to: end, maxRecords: Limits.Server.recordsPerFollow,
            maxBytes: Limits.Server.bytesPerRead
        ) { _, block in
            if let event = try? EventBlock.decode(block.bytes), let answer = try? CommandAnswer(event) {
                owned.decider.restore(answer, now: now)
            }
            return true
        }
        guard reached >= end else { throw ApusError(.logFailed, "\(place) is not there up to its end yet") }
        try self.followToEnd(ownership)
        owned.decider.restored()
        owned.isRestored = true
        if partition == 0 { try self.beginDeciding(owned.term) }
        self.nodes.owned[partition] = owned
    }

    /// - Throws: when what goes with deciding cannot begin: all of it is tried again at the next look.
    private func beginDeciding(_ term: OwnedCommands) throws(ApusError) {
        self.deciding.withLock { $0 = term }
        self.repair(isTakeOver: true)
        do throws(ApusError) { try self.onDeciding.withLock { $0 }?(self.queue.catalogue) } catch {
            self.deciding.withLock { $0 = nil }
            throw error
        }
    }

    /// Nothing is decided against a catalogue that lacks what a former owner wrote.
    private func followToEnd(_ ownership: any CommandOwnership) throws(ApusError) {
        let end = try ownership.end(of: TopicPartition(.control, 0))
        try self.follow(to: end)
        guard self.following.next >= end else {
            throw ApusError(.logFailed, "apus.control is not there up to its end yet")
        }
    }

    // MARK: one command

    /// - Returns: whether to go on with the next.
    private func decide(_ command: Command, at offset: Offset, _ partition: Int) throws(ApusError) -> Bool {
        guard let step = self.nodes.owned[partition]?.decider.next(command, at: offset, now: self.clock.now) else {
            return self.nodes.owned[partition] != nil
        }
        switch step {
        case .answer(let answer): return try self.write([], answer, partition, created: [], deleting: [])
        case .decide(let command):
            var decision = ControlDecision()
            var answer = CommandAnswer(
                id: command.id, who: command.who, offset: offset, decided: self.clock.now,
                through: self.following.lastRecord, outcome: .done([]))
            var created: [TopicName] = []
            do throws(ApusError) {
                decision = try self.decision(of: command)
                try self.change(decision.topicChanges, created: &created)
                answer.records = decision.records.count
                answer.outcome = .done(ControlDecision.Outcome.encode(decision.outcomes))
            } catch {
                // A log that cannot be reached decides nothing: the command comes again, until its deadline.
                if error.code == .logFailed {
                    self.nodes.owned[partition]?.decider.failed()
                    return false
                }
                decision = ControlDecision()
                answer.outcome = .refused(error.code, error.message)
            }
            let isRefused = if case .refused = answer.outcome { true } else { false }
            let appends = isRefused ? [] : decision.records.map { $0.append(of: command.id) } + command.appends
            let deleting = decision.topicChanges.compactMap {
                if case .delete(let topic) = $0 { topic } else { nil }
            }
            return try self.write(appends, answer, partition, created: created, deleting: deleting)
        }
    }

    private func decision(of command: Command) throws(ApusError) -> ControlDecision {
        let control = try ControlCommand(json: try JSONValue.parse(command.payload))
        if case .decideFate(let id, _, _) = control { try self.checkOpen(id) }
        return try self.queue.decide(control, now: self.clock.now) { (place, position) throws(ApusError) in
            try self.resolve(place, position)
        }
    }

    /// Records, answer and position are one transaction: the position is the answer's.
    private func write(
        _ appends: [LogBatch.Append], _ answer: CommandAnswer, _ partition: Int, created: [TopicName],
        deleting: [TopicName]
    ) throws(ApusError) -> Bool {
        guard let owned = self.nodes.owned[partition] else { return false }
        let last = LogBatch.Append(topic: .answers, partition: partition, block: EventBlock.encode(answer.event))
        switch self.submit(LogBatch(urgency: .settlement, appends: appends + [last]), owned.term) {
        case .success(let receipt):
            self.counters.decided.add(1, ordering: .relaxed)
            self.nodes.owned[partition]?.decider.written(answer, now: self.clock.now)
            if let index = appends.lastIndex(where: { $0.topic == .control }) {
                try self.follow(to: receipt.places[index].offset + 1)
            }
            for topic in deleting { self.delete(topic, because: "it is no longer deployed") }
            return true
        case .failure(let error):
            switch error.code {
            case .conflict:
                // Another node has it, and may be deciding this very command: what was made for it is that one's as well.
                self.disown(partition)
                return false
            case .logFailed, .shuttingDown, .overloaded:
                self.nodes.owned[partition]?.decider.failed()
                return false
            default:
                for topic in created { self.delete(topic, because: "its deployment failed") }
                var refusal = answer
                refusal.records = 0
                refusal.outcome = .refused(error.code, error.message)
                guard !appends.isEmpty else {
                    self.nodes.owned[partition]?.decider.failed()
                    return false
                }
                return try self.write([], refusal, partition, created: [], deleting: [])
            }
        }
    }

    private func submit(_ batch: LogBatch, _ term: OwnedCommands) -> Result<LogReceipt, ApusError> {
        guard let ownership = self.ownership else { return .failure(Self.stopping) }
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        ownership.submit(batch, as: term) { slot.fill($0) }
        return slot.take()
    }

    // MARK: what else the one who decides writes

    /// Writes in the transactions of what is deployed and what is scheduled; `conflict` where another node decides. From any thread.
    func submitDecided(
        _ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) {
        guard let ownership = self.ownership else { return self.log.submit(batch, completion) }
        guard let term = self.deciding.withLock({ $0 }) else {
            return completion(.failure(ApusError(.conflict, "another node decides this now")))
        }
        ownership.submit(batch, as: term, completion)
    }

    /// A record of `apus.control` that does not count, which may hide the valid one of its key once Kafka has compacted the topic.
    func distrust(_ key: [UInt8]?) {
        self.thread.run { self.nodes.note(key) }
    }

    func repairIfDue() {
        guard self.clock.now >= self.nodes.nextRepair, !self.nodes.doubtful.isEmpty else { return }
        self.repair(isTakeOver: false)
    }

    /// Writes the newest valid record of doubtful keys again.
    private func repair(isTakeOver: Bool) {
        guard let term = self.deciding.withLock({ $0 }) else {
            // Whoever decides has seen the same.
            self.nodes.doubtful = []
            return
        }
        self.nodes.nextRepair = self.clock.now + Limits.ControlCommands.repairInterval
        let keys = self.nodes.doubtful
        self.nodes.doubtful = []
        do throws(ApusError) {
            var appends = try ControlRepair(log: self.log).appends(of: keys, isTakeOver: isTakeOver)
            if isTakeOver {
                appends += try ControlRepair(log: self.log).appends(of: [], isTakeOver: true, on: .schedule)
            }
            for start in stride(from: 0, to: appends.count, by: Limits.ControlCommands.appends) {
                let step = Array(appends[start..<min(appends.count, start + Limits.ControlCommands.appends)])
                let batch = LogBatch(urgency: .settlement, appends: step)
                if case .failure(let error) = self.submit(batch, term) { throw error }
                self.counters.repaired.add(Int64(step.count), ordering: .relaxed)
            }
        } catch {
            self.nodes.doubtful.formUnion(keys)
            self.journal.warning("records of apus.control could not be written again: \(error.message)")
        }
    }
}

extension ControlRecord {
    fileprivate func append(of command: CommandID) -> LogBatch.Append {
        var event = self.event
        event.attributes.append(Attribute(Self.commandHeader, command.description, kind: .header))
        return LogBatch.Append(topic: .control, partition: 0, block: EventBlock.encode(event))
    }
}
