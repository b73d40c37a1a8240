internal import ApusCore
internal import CRDKafka

/// Takes something of a share from the nodes of its class, who may be gone or know nothing of it yet.
struct KafkaTaking: Sendable {
    let configuration: KafkaLogConfiguration
    /// Reads a partition of the ledger to its end, waiting until all of it is decided.
    let load: @Sendable (Int) throws(KafkaFailure) -> Void

    /// Under the share's own transactional id: whoever works the share is fenced by it, takes it over again, and reads the entry before it
    /// decides anything more.
    func take(_ share: Share, _ entry: LogBatch.LedgerWrite) throws(KafkaFailure) {
        let transactions = KafkaTransactions(
            self.configuration, id: KafkaSharing.transactionalID(self.configuration, share))
        do throws(KafkaTransactions.Trouble) {
            try transactions.takeOver()
            let producer = try transactions.begin()
            producer.begin(1)
            producer.produce(
                0, key: entry.key, value: entry.value, topic: self.configuration.topicPrefix + KafkaLedger.name,
                partition: share.number, .zero)
            producer.finish()
            if let failure = producer.failure(0) { throw transactions.abort(because: failure) }
            switch transactions.commit() {
            case .committed: break
            case .aborted(let trouble): throw trouble
            case .unknown(let failure): throw .fenced(failure)
            }
        } catch { throw error.failure }
        try self.load(share.number)
    }
}
