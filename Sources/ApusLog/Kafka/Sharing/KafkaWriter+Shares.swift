internal import ApusCore
internal import CRDKafka

/// Sending what a share decided, on the share's own thread: one transaction, and the next after its outcome is known.
extension KafkaWriter {
    /// - Throws: when nobody knows what is on the log, or another owns the share. All of the group has heard of it then.
    func commit(
        _ group: [Submission], of share: Share, in transactions: KafkaTransactions
    ) throws(KafkaTransactions.Trouble) {
        var left = self.prepare(group)
        for attempt in 1...Limits.Kafka.renewals where !left.isEmpty {
            do throws(KafkaTransactions.Trouble) {
                left = try self.tryTransaction(left, of: share, in: transactions)
            } catch {
                let isOver = transactions.producer == nil
                guard isOver || attempt == Limits.Kafka.renewals else { continue }
                let why = error.failure
                self.fail(
                    left,
                    why.isFenced
                        ? ApusError(.conflict, "another node does the work of the share \(share)", cause: why)
                        : why.apusError("cannot write what the share \(share) decided"))
                if isOver { throw error }
                return
            }
        }
        guard !left.isEmpty else { return }
        self.fail(left, ApusError(.logFailed, "cannot write what the share \(share) decided; is Kafka up?"))
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
        producer.begin(appends + entries.count)
        self.send(batches, by: producer, time)
        for (index, entry) in entries.enumerated() { self.send(entry, appends + index, by: producer, time) }
        producer.finish()
        if let failure = (0..<appends + entries.count).lazy.compactMap({ producer.failure($0) }).first {
            let trouble = transactions.abort(because: failure)
            self.land(batches, by: nil, time)
            guard case .aborted = trouble, failure.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE else { throw trouble }
            return self.refuseBad(batches, by: producer)
        }
        switch transactions.commit() {
        case .committed:
            self.ledger.apply(entries) { producer.offset(appends + $0) }
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
