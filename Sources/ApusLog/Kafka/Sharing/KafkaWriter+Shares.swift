internal import ApusCore
internal import CRDKafka

/// What a share's thread keeps of the entries that follow their outputs.
typealias SharePending = PendingLedger<[UInt8], LogBatch.LedgerWrite>

/// Writing what a share decided, on the share's own thread: outputs of at-least-once triggers first, then the ledger. What takes effect
/// together is one transaction, and the next comes after its outcome is known; the rest waits a moment for others.
extension KafkaWriter {
    /// - Throws: when nobody knows what is on the log, or another owns the share. All of the group has heard of it then.
    func commit(
        _ group: [Submission], of term: ShareTerm, in transactions: KafkaTransactions, _ pending: inout SharePending
    ) throws(KafkaTransactions.Trouble) {
        let (now, later) = self.sift(group)
        do throws(KafkaTransactions.Trouble) { try self.commitSifted(now, of: term, in: transactions, &pending) } catch {
            for submission in later { submission.completion(.failure(self.why(error, of: term.share))) }
            throw error
        }
        // A repetition that came with its first is answered once that is written.
        if !later.isEmpty { try self.commit(later, of: term, in: transactions, &pending) }
    }

    private func commitSifted(
        _ group: [Submission], of term: ShareTerm, in transactions: KafkaTransactions, _ pending: inout SharePending
    ) throws(KafkaTransactions.Trouble) {
        var left = self.prepare(group)
        guard !left.isEmpty else { return }
        let time = self.stamp()
        self.takeOff(left)
        do throws(KafkaTransactions.Trouble) {
            if left.contains(where: \.hasPlain) {
                left = try self.handOver(left, of: term.share, in: transactions, &pending, time)
            }
            if left.contains(where: \.needsTransaction) {
                try self.transact(&left, of: term.share, in: transactions, &pending, time)
            } else {
                self.settleLater(left, of: term, &pending, time)
            }
        } catch {
            self.drop(left)
            self.fail(left, self.why(error, of: term.share))
            if transactions.producer == nil { throw error }
        }
    }

    private func why(_ trouble: KafkaTransactions.Trouble, of share: Share) -> ApusError {
        let why = trouble.failure
        return why.isFenced
            ? ApusError(.conflict, "another node does the work of the share \(share)", cause: why)
            : why.apusError("cannot write what the share \(share) decided")
    }

    // MARK: before the ledger

    /// Hands over what goes outside of transactions, and waits until it is on the log.
    /// - Returns: the batches whose outputs are; the others have heard why not.
    private func handOver(
        _ batches: [KafkaBatch], of share: Share, in transactions: KafkaTransactions, _ pending: inout SharePending,
        _ time: Timestamp
    ) throws(KafkaTransactions.Trouble) -> [KafkaBatch] {
        if !pending.mayHandOver(now: Self.now) {
            try self.writeLedger(of: share, in: transactions, &pending)
        }
        let group: OutputGroup
        do throws(KafkaFailure) { group = try self.outputs.begin(batches.count(.plain)) } catch {
            throw .aborted(error)
        }
        batches.forEach(.plain) { number, record, append in
            group.produce(number) { self.send(record, append, by: group.client, time, opaque: $0) }
        }
        // What earlier outputs settled is written while these are on their way.
        let ledger = Result { () throws(KafkaTransactions.Trouble) in
            if pending.isDue(now: Self.now) { try self.writeLedger(of: share, in: transactions, &pending) }
        }
        group.wait()
        var batches = batches
        batches.note(.plain, group)
        if case .failure(let trouble) = ledger {
            if transactions.producer == nil { throw trouble }
            self.failed(self.why(trouble, of: share))
        }
        let failed = batches.filter { $0.failure != nil }
        guard let first = failed.first?.failure else { return batches }
        // Who sees an output twice finds here when it was.
        transactions.note(
            "\(failed.count) batches of outputs of the share \(share) were not confirmed, and are handed over again: \(first.why)")
        self.answer(failed, time)
        return batches.filter { $0.failure == nil }
    }

    /// All of it is on the log but its entries, which follow.
    private func settleLater(
        _ batches: [KafkaBatch], of term: ShareTerm, _ pending: inout SharePending, _ time: Timestamp
    ) {
        let now = Self.now
        let entries = batches.flatMap { $0.submission.batch.ledger }
        for entry in entries { pending.add(entry, of: entry.key, now: now) }
        self.ledger.expect(entries, of: term)
        self.answer(batches, time)
    }

    // MARK: the ledger

    /// Writes what is pending in a transaction of its own; where nothing is, an entry that says nothing, which shows that the share is this
    /// node's still.
    func writeLedger(
        of share: Share, in transactions: KafkaTransactions, _ pending: inout SharePending
    ) throws(KafkaTransactions.Trouble) {
        let askedAt = Self.now
        var entries = Array(pending.take().values)
        if entries.isEmpty {
            var value: [UInt8] = []
            value.appendLittleEndian(askedAt.microseconds)
            entries = [LogBatch.LedgerWrite(key: KafkaLedger.Own.proof(share), value: value, share: share)]
        }
        do throws(KafkaTransactions.Trouble) {
            let producer = try transactions.begin()
            producer.begin(entries.count)
            for (index, entry) in entries.enumerated() { self.send(entry, index, by: producer, self.stamp()) }
            producer.finish()
            if let failure = (0..<entries.count).lazy.compactMap({ producer.failure($0) }).first {
                throw transactions.abort(because: failure)
            }
            try self.end(transactions)
            self.ledger.apply(entries, of: share) { producer.offset($0) }
            pending.committed(askedAt: askedAt)
        } catch {
            pending.failed(now: Self.now)
            throw error
        }
    }

    /// - Throws: when it is not committed, or nobody knows.
    private func end(_ transactions: KafkaTransactions) throws(KafkaTransactions.Trouble) {
        switch transactions.commit() {
        case .committed: return
        case .aborted(let trouble): throw trouble
        // The share begins anew, and its ledger says how it ended.
        case .unknown(let failure): throw .fenced(failure)
        }
    }

    /// The time that shares go by, which no step of the wall clock moves.
    static var now: Timestamp { Timestamp(milliseconds: LogWriter.monotonicMilliseconds()) }

    // MARK: what takes effect together

    private func transact(
        _ left: inout [KafkaBatch], of share: Share, in transactions: KafkaTransactions, _ pending: inout SharePending,
        _ time: Timestamp
    ) throws(KafkaTransactions.Trouble) {
        for attempt in 1...Limits.Kafka.renewals where !left.isEmpty {
            do throws(KafkaTransactions.Trouble) {
                left = try self.tryTransaction(left, of: share, in: transactions, &pending, time)
            } catch {
                if transactions.producer == nil || attempt == Limits.Kafka.renewals { throw error }
            }
        }
        guard !left.isEmpty else { return }
        throw .aborted(KafkaFailure(RD_KAFKA_RESP_ERR__FAIL, "commit", "records are too large, again and again"))
    }

    /// - Returns: the batches that are to be tried again, without those that could not be written.
    private func tryTransaction(
        _ batches: [KafkaBatch], of share: Share, in transactions: KafkaTransactions, _ pending: inout SharePending,
        _ time: Timestamp
    ) throws(KafkaTransactions.Trouble) -> [KafkaBatch] {
        let askedAt = Self.now
        var entries = batches.flatMap { $0.submission.batch.ledger }
        let newer = Set(entries.map(\.key))
        entries += pending.take().values.filter { !newer.contains($0.key) }
        do throws(KafkaTransactions.Trouble) {
            var batches = batches
            let producer = try transactions.begin()
            let appends = batches.count(.transactional)
            producer.begin(appends + entries.count + Self.onceCount(batches))
            self.send(batches, .transactional, by: producer, time)
            for (index, entry) in entries.enumerated() { self.send(entry, appends + index, by: producer, time) }
            producer.finish()
            batches.note(.transactional, producer)
            var failure = (0..<appends + entries.count).lazy.compactMap({ producer.failure($0) }).first
            let keys =
                failure == nil ? self.sendKeys(batches, appends + entries.count, of: share, by: producer, time) : nil
            failure = failure ?? keys?.failure
            if let failure {
                let trouble = transactions.abort(because: failure)
                guard case .aborted = trouble, failure.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE else {
                    throw trouble
                }
                pending.failed(now: Self.now)
                self.drop(batches.filter(\.isTooLarge))
                return self.refuseBad(batches)
            }
            try self.end(transactions)
            self.ledger.apply(entries, of: share) { producer.offset(appends + $0) }
            pending.committed(askedAt: askedAt)
            self.remember(keys, of: share, by: producer)
            self.answer(batches, time)
            return []
        } catch {
            pending.failed(now: Self.now)
            throw error
        }
    }
}
