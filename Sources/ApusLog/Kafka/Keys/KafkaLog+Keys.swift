public import ApusCore
internal import CRDKafka

extension KafkaLog {
    public var remembersKeys: Bool { self.keys != nil }
    public var rebuildsKeys: Bool { self.keys != nil }

    public func remembered(_ keys: [[UInt8]]) throws(ApusError) -> [[UInt8]?] {
        guard let own = self.keys else { return keys.map { _ in nil } }
        return try own.store.values(keys)
    }

    public func remember(_ keys: [LogBatch.KeyWrite]) throws(ApusError) { try self.keys?.store.put(keys) }

    /// Before anything is written: whose keys they are, and what this server accepted before.
    func openKeys() throws(ApusError) {
        guard let keys = self.keys else { return }
        try keys.store.adopt(identity: self.identity)
        // Of shares they are read when one is taken over.
        guard self.kafkaSharing == nil else { return }
        do throws(KafkaFailure) { try keys.load(KafkaLedger.ownPartition, self.catchUp, self.admin.client) } catch {
            throw error.apusError("cannot read the keys of the event log")
        }
    }

    /// - Parameter isOwned: a share's owner writes it.
    func refusal(ofKeys batch: LogBatch, isOwned: Bool = false) -> ApusError? {
        guard batch.once != nil || !batch.keys.isEmpty else { return nil }
        guard self.keys != nil else {
            return ApusError(
                .notYetSupported, "this event log on Kafka was opened without a folder for keys: it remembers none")
        }
        if batch.once != nil, batch.owner == nil, !isOwned, self.kafkaSharing != nil {
            return ApusError(.internal, "what takes effect once is decided by the owner of a share")
        }
        do throws(ApusError) { try LogWriter.checkKeys(batch) } catch { return error }
        return nil
    }

    func addKeys(to status: inout LogStatus) {
        guard let keys = self.keys?.store.status else { return }
        status.keys = keys.keys
        status.keysForgotten = keys.forgotten
        status.failure = status.failure ?? keys.failure?.message
    }
}

/// Writing keys in the transaction of their batches.
extension KafkaWriter {
    struct SentKeys {
        var writing: KafkaKeys.Writing
        var failure: KafkaFailure?
    }

    static func onceCount(_ batches: [KafkaBatch]) -> Int {
        batches.count { $0.submission.batch.once != nil }
    }

    func sift(_ group: [Submission]) -> (now: [Submission], later: [Submission]) {
        guard let keys = self.keys, group.contains(where: { $0.batch.once != nil }) else { return (group, []) }
        return keys.sift(group)
    }

    /// Once the records of a transaction have their offsets: what their callers will be answered goes into it as well.
    func sendKeys(
        _ batches: [KafkaBatch], _ first: Int, of share: Share?, by producer: KafkaProducer, _ time: Timestamp
    ) -> SentKeys? {
        guard let keys = self.keys, batches.contains(where: { $0.submission.batch.once != nil }) else { return nil }
        let receipts = batches.map { batch in
            let places = batch.records.map {
                LogReceipt.Place(partition: $0.partition.number, offset: $0.offset)
            }
            return (once: batch.submission.batch.once, places: places)
        }
        let writing = keys.send(receipts, first, of: share, by: producer, time)
        producer.finish()
        let failure = (first..<first + writing.keys.count).lazy.compactMap { producer.failure($0) }.first
        return SentKeys(writing: writing, failure: failure)
    }

    func remember(_ keys: SentKeys?, of share: Share?, by producer: KafkaProducer) {
        if let keys { self.keys?.remember(keys.writing, of: share, by: producer) }
    }
}
