internal import ApusCore
internal import CRDKafka

/// Sending what a share decided, on the share's own thread: one transaction, and the next after its outcome is known.
extension KafkaWriter {
    /// - Throws: when nobody knows what is on the log, or another owns the share. All of the group has heard of it then.
    func commit(
        _ group: [Submission], of share: Share, in transactions: KafkaTransactions
    ) throws(KafkaTransactions.Trouble) {
        let (now, later) = self.sift(group)
        do throws(KafkaTransactions.Trouble) { try self.commitSifted(now, of: share, in: transactions) } catch {
            for submission in later { submission.completion(.failure(self.why(error, of: share))) }
            throw error
        }
        // A repetition that came with its first is answered once that is written.
        if !later.isEmpty { try self.commit(later, of: share, in: transactions) }
    }

    private func commitSifted(
        _ group: [Submission], of share: Share, in transactions: KafkaTransactions
    ) throws(KafkaTransactions.Trouble) {
        var left = self.prepare(group)
        for attempt in 1...Limits.Kafka.renewals where !left.isEmpty {
            do throws(KafkaTransactions.Trouble) {
                left = try self.tryTransaction(left, of: share, in: transactions)
            } catch {
                let isOver = transactions.producer == nil
                guard isOver || attempt == Limits.Kafka.renewals else { continue }
                self.fail(left, self.why(error, of: share))
                if isOver { throw error }
                return
            }
        }
        guard !left.isEmpty else { return }
        self.fail(left, ApusError(.logFailed, "cannot write what the share \(share) decided; is Kafka up?"))
    }

    private func why(_ trouble: KafkaTransactions.Trouble, of share: Share) -> ApusError {
        let why = trouble.failure
        return why.isFenced
            ? ApusError(.conflict, "another node does the work of the share \(share)", cause: why)
            : why.apusError("cannot write what the share \(share) decided")
    }

    /// - Returns: the batches that are to be tried again, without those that could not be written.
    private func tryTransaction(
        _ batches: [KafkaBatch], of share: Share, in transactions: KafkaTransactions
    ) throws(KafkaTransactions.Trouble) -> [KafkaBatch] {
        let time = self.stamp()
        let producer = try transactions.begin()
        let appends = batches.reduce(0) { $0 + $1.records.count }
        let entries = batches.flatMap { $0.submission.batch.ledger }
        self.takeOff(batches)
        producer.begin(appends + entries.count + Self.onceCount(batches))
        self.send(batches, by: producer, time)
        for (index, entry) in entries.enumerated() { self.send(entry, appends + index, by: producer, time) }
        producer.finish()
        var failure = (0..<appends + entries.count).lazy.compactMap({ producer.failure($0) }).first
        let keys = failure == nil ? self.sendKeys(batches, appends + entries.count, of: share, by: producer, time) : nil
        failure = failure ?? keys?.failure
        if let failure {
            let trouble = transactions.abort(because: failure)
            self.land(batches, by: nil, time)
            guard case .aborted = trouble, failure.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE else { throw trouble }
            return self.refuseBad(batches, by: producer)
        }
        switch transactions.commit() {
        case .committed:
            self.ledger.apply(entries) { producer.offset(appends + $0) }
            self.remember(keys, of: share, by: producer)
            self.answer(batches, by: producer, time)
            return []
        case .aborted(let trouble):
            self.land(batches, by: nil, time)
            throw trouble
        case .unknown(let failure):
            // The share begins anew, and its ledger says how it ended.
            self.land(batches, by: nil, time)
            throw .fenced(failure)
        }
    }
}
