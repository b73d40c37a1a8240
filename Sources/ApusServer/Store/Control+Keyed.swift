internal import ApusCore
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Writes with an idempotency key, where several nodes share a log: the owner of the key's partition of `apus.commands` decides them, and
/// the log keeps key and answer in the transaction of what was written. So a command that is decided again, by a new owner or because its
/// answer was lost, gets the answer that it had.
extension Control {
    /// Where the commands of one partition stand, in one term.
    final class KeyedProgress: Sendable {
        /// Commands whose writes are under way.
        let inFlight = Atomic<Int>(0)
        /// The first command that could not be written: it comes again.
        let failedAt = Mutex<Offset?>(nil)

        /// How many more may be under way.
        var room: Int { max(0, Limits.ControlCommands.keyedInFlight - self.inFlight.load(ordering: .relaxed)) }

        func failed(at offset: Offset) { self.failedAt.withLock { $0 = min($0 ?? .max, offset) } }
    }

    /// Writes a batch that takes effect once. From any thread.
    func submitKeyed(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        guard let ownership = self.ownership, let once = batch.once else { return self.log.submit(batch, completion) }
        let command: Command
        do throws(ApusError) {
            command = try KeyedCommand.command(
                batch, once, id: .random(), deadline: self.clock.now + self.commandDeadline)
        } catch { return completion(.failure(error)) }
        let partition = KeyedCommand.partition(of: once.key)
        guard let term = self.keyedTerms.withLock({ $0[partition] }) else { return self.ask(command, completion) }
        ownership.submit(batch, as: term) { [weak self] result in
            // Either it is another node's by now, which decides it then, or the key is another request's, which it says then.
            guard case .failure(let error) = result, error.code == .conflict, let self else {
                return completion(result)
            }
            self.ask(command, completion)
        }
    }

    private func ask(
        _ command: Command, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) {
        let isQueued = self.thread.run {
            guard !self.isStopping.load(ordering: .acquiring) else { return completion(.failure(Self.stopping)) }
            do throws(ApusError) {
                let event = try command.event()
                try self.nodes.waits.ask(command.id, deadline: command.deadline)
                var asked = SharedControl.Asked(completion: { answer in
                    if case .failure(let error) = answer { completion(.failure(error)) }
                })
                asked.keyed = { completion(self.keyedAnswer($0)) }
                self.nodes.asked[command.id] = asked
                self.send(command.id, event, to: command.partition)
            } catch { completion(.failure(error)) }
        }
        guard !isQueued else { return }
        completion(.failure(self.isStopping.load(ordering: .acquiring) ? Self.stopping : Self.overloaded))
    }

    private func keyedAnswer(_ result: CommandWaits.Result) -> Result<LogReceipt, ApusError> {
        switch result {
        case .refused(let code, let message): return .failure(ApusError(code, message))
        case .unanswered:
            self.counters.unanswered.add(1, ordering: .relaxed)
            return .failure(
                ApusError(
                    .commandUnanswered,
                    "nobody answered in time, and the request may still be accepted: repeat it under the same key, which is safe"
                ))
        case .done(let bytes, _):
            do throws(ApusError) { return .success(try KeyedCommand.receipt(bytes)) } catch { return .failure(error) }
        }
    }

    // MARK: deciding, on the control thread

    /// Submits what waits on a partition, if it is this node's, in its order and without waiting for one before the next.
    func decideKeyed(_ partition: Int) throws(ApusError) {
        try self.restoreKeyed(partition)
        let place = TopicPartition(.commands, partition)
        while let owned = self.nodes.owned[partition] {
            let progress = owned.keyed
            var position = owned.keyedPosition
            if let failed = progress.failedAt.withLock({ at in
                defer { at = nil }
                return at
            }) {
                position = min(position, failed)
            }
            let room = progress.room
            let bounds = try self.log.bounds(of: place)
            position = max(position, bounds.start)
            self.nodes.owned[partition]?.keyedPosition = position
            guard room > 0, position < bounds.end else { return }
            var found: [(offset: Offset, command: Command)] = []
            let next = try self.log.read(
                place, from: position, maxRecords: room, maxBytes: Limits.Server.bytesPerRead
            ) { offset, block in
                if let event = try? EventBlock.decode(block.bytes), let command = try? Command(event) {
                    found.append((offset, command))
                }
                return true
            }
            for (offset, command) in found { self.decide(command, at: offset, partition, owned.term, progress) }
            guard next > position else { return }
            self.nodes.owned[partition]?.keyedPosition = next
        }
    }

    /// Goes on behind the last answer: what was answered needs nobody any more.
    private func restoreKeyed(_ partition: Int) throws(ApusError) {
        guard let ownership = self.ownership, self.nodes.owned[partition]?.isRestored == false else { return }
        let place = TopicPartition(.answers, partition)
        let end = try ownership.end(of: place)
        let start = try self.log.bounds(of: place).start
        var position: Offset = 0
        let reached = try self.log.readAll(
            place, from: start, to: end, maxRecords: Limits.Server.recordsPerFollow,
            maxBytes: Limits.Server.bytesPerRead
        ) { _, block in
            if let event = try? EventBlock.decode(block.bytes), let answer = try? CommandAnswer(event) {
                position = max(position, answer.offset + 1)
            }
            return true
        }
        guard reached >= end else { throw ApusError(.logFailed, "\(place) is not there up to its end yet") }
        self.nodes.owned[partition]?.keyedPosition = position
        self.nodes.owned[partition]?.isRestored = true
    }

    private func decide(
        _ command: Command, at offset: Offset, _ partition: Int, _ term: OwnedCommands, _ progress: KeyedProgress
    ) {
        guard let ownership = self.ownership, let batch = KeyedCommand.batch(command), let once = batch.once,
            KeyedCommand.partition(of: once.key) == partition
        else { return }
        progress.inFlight.add(1, ordering: .relaxed)
        let answer = { @Sendable (result: Result<LogReceipt, ApusError>) in
            self.decided(command, at: offset, partition, progress, result)
        }
        if command.deadline <= self.clock.now, !self.isKnown(once) {
            return answer(
                .failure(ApusError(.expired, "the request waited past its deadline and was not accepted; try again")))
        }
        // Whoever asked may have made a topic a moment ago that this node has not noticed yet.
        if batch.appends.contains(where: { self.log.topic($0.topic) == nil }) { self.log.lookForTopics() }
        ownership.submit(batch, as: term, answer)
    }

    /// What took effect before its deadline is told also after it.
    private func isKnown(_ once: LogBatch.Once) -> Bool {
        // What cannot be looked up now is refused by the log, or found there.
        guard let known = try? self.log.remembered([once.key]) else { return true }
        return known.first.flatMap { $0 } != nil
    }

    /// From any thread.
    private func decided(
        _ command: Command, at offset: Offset, _ partition: Int, _ progress: KeyedProgress,
        _ result: Result<LogReceipt, ApusError>
    ) {
        defer {
            let left = progress.inFlight.subtract(1, ordering: .acquiringAndReleasing).newValue
            // A full queue loses nothing: the next tick looks.
            if left == 0 { _ = self.thread.run { self.hearCommands(partition) } }
        }
        var answer = CommandAnswer(
            id: command.id, who: command.who, offset: offset, decided: self.clock.now, outcome: .done([]))
        switch result {
        case .success(let receipt): answer.outcome = .done(KeyedCommand.encode(receipt))
        case .failure(let error):
            switch error.code {
            case .logFailed, .shuttingDown, .overloaded: return progress.failed(at: offset)
            // Not written because the partition is another node's by now, which answers.
            case .conflict where !self.isOthers(command): return
            default: answer.outcome = .refused(error.code, error.message)
            }
        }
        self.counters.decided.add(1, ordering: .relaxed)
        let append = LogBatch.Append(topic: .answers, partition: partition, block: EventBlock.encode(answer.event))
        self.log.submit(LogBatch(urgency: .settlement, appends: [append])) { result in
            if case .failure = result { progress.failed(at: offset) }
        }
    }

    /// Whether its key is known for another request.
    private func isOthers(_ command: Command) -> Bool {
        guard let once = KeyedCommand.batch(command)?.once, let known = try? self.log.remembered([once.key]),
            let receipt = known.first.flatMap({ $0 }).flatMap({ OnceReceipt(decoding: $0) })
        else { return false }
        return receipt.fingerprint != once.fingerprint
    }
}
