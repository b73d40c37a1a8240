internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// Sending one group and answering each of its batches.
extension KafkaWriter {
    /// What a group does to one partition.
    private struct Touch {
        let partition: KafkaPartition
        var records = 0
        var end: Offset?
        var bytes: Int64 = 0
    }

    func commit(_ group: [Submission], isTransaction: Bool) {
        let (group, later) = isTransaction ? self.sift(group) : (group, [])
        let batches = self.prepare(group)
        if !batches.isEmpty {
            if isTransaction { self.commitTransaction(batches) } else { self.commitRecords(batches) }
        }
        // A repetition that came with its first is answered once that is written.
        if !later.isEmpty { self.commit(later, isTransaction: isTransaction) }
    }

    /// The batches that may be sent; the others are answered.
    func prepare(_ group: [Submission]) -> [KafkaBatch] {
        var batches: [KafkaBatch] = []
        var refused: [(Completion, ApusError)] = []
        for submission in group {
            do throws(ApusError) {
                if submission.batch.owner == nil, let superseded = self.superseded { throw superseded }
                batches.append(try KafkaBatch(submission, self.topics))
            } catch {
                refused.append((submission.completion, error))
            }
        }
        for (completion, error) in refused { completion(.failure(error)) }
        return batches
    }

    // MARK: records alone

    private func commitRecords(_ batches: [KafkaBatch]) {
        var batches = batches
        let time = self.stamp()
        self.takeOff(batches)
        self.producer.begin(batches.count(.all))
        self.send(batches, .all, by: self.producer, time)
        self.producer.finish()
        batches.note(.all, self.producer)
        self.answer(batches, time)
        guard let fatal = self.producer.client.fatal else { return }
        // One that lost the order of its records says so and does nothing more: the next one begins a new order.
        self.configuration.observer.log(3, self.producer.client.context.name, "made anew: \(fatal)")
        do throws(KafkaFailure) { self.producer = try KafkaProducer(self.configuration, transactionalID: nil) } catch {
            self.failed(error.apusError("cannot write to the event log"))
        }
        self.showClients()
    }

    // MARK: transactions

    private func commitTransaction(_ batches: [KafkaBatch]) {
        var left = batches
        for attempt in 1...Limits.Kafka.renewals where !left.isEmpty {
            do throws(KafkaTransactions.Trouble) {
                left = try self.tryTransaction(left)
            } catch {
                let failure =
                    switch error {
                    case .fenced(let failure), .aborted(let failure): failure
                    }
                if case .fenced = error { self.transactions.giveUp() }
                guard attempt < Limits.Kafka.renewals, self.renew() else {
                    return self.fail(left, self.superseded ?? failure.apusError("cannot write to the event log"))
                }
            }
        }
    }

    /// - Returns: the batches that are to be tried again, without those that could not be written.
    private func tryTransaction(_ batches: [KafkaBatch]) throws(KafkaTransactions.Trouble) -> [KafkaBatch] {
        var batches = batches
        let time = self.stamp()
        let producer = try self.transactions.begin()
        let appends = batches.count(.all)
        let entries = batches.flatMap { $0.submission.batch.ledger } + [self.transactions.entry]
        self.takeOff(batches)
        producer.begin(appends + entries.count + Self.onceCount(batches))
        self.send(batches, .all, by: producer, time)
        for (index, entry) in entries.enumerated() { self.send(entry, appends + index, by: producer, time) }
        producer.finish()
        batches.note(.all, producer)
        var failure = (0..<appends + entries.count).lazy.compactMap({ producer.failure($0) }).first
        let keys = failure == nil ? self.sendKeys(batches, appends + entries.count, of: nil, by: producer, time) : nil
        failure = failure ?? keys?.failure
        if let failure {
            let trouble = self.transactions.abort(because: failure)
            self.drop(batches)
            guard case .aborted = trouble, failure.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE else { throw trouble }
            return self.refuseBad(batches)
        }
        switch self.transactions.commit() {
        case .committed: break
        case .aborted(let trouble):
            self.drop(batches)
            throw trouble
        case .unknown(let failure):
            self.configuration.observer.log(
                3, producer.client.context.name, "the outcome of a commit is unknown: \(failure)")
            guard try self.resolve() else {
                self.drop(batches)
                return batches
            }
        }
        self.ledger.apply(entries) { producer.offset(appends + $0) }
        self.remember(keys, of: nil, by: producer)
        self.answer(batches, time)
        return []
    }

    /// A batch with a record that its topic does not take fails alone; the others are tried again.
    func refuseBad(_ batches: [KafkaBatch]) -> [KafkaBatch] {
        var left: [KafkaBatch] = []
        for var batch in batches {
            if batch.isTooLarge, let failure = batch.failure {
                batch.submission.completion(.failure(failure.why.apusError("cannot append to '\(failure.topic)'")))
            } else {
                batch.undone()
                left.append(batch)
            }
        }
        return left
    }

    /// - Returns: whether a producer is there again.
    private func renew() -> Bool {
        if self.transactions.producer != nil { return true }
        do throws(KafkaFailure) {
            // Before another is made, which would take the id from a server that took it from this one.
            try self.reload()
            guard self.transactions.isOwner(self.ledger[self.transactions.key]) else {
                self.superseded = KafkaFailure(RD_KAFKA_RESP_ERR__FENCED, "commit").apusError(
                    "cannot write to the event log")
                return false
            }
            do throws(KafkaTransactions.Trouble) { try self.transactions.takeOver() } catch { return false }
            try self.reload()
        } catch {
            self.transactions.giveUp()
            return false
        }
        self.showClients()
        return true
    }

    /// Finds out how a transaction ended, however long the cluster takes to say: whoever was told "failed" would do its work again.
    /// - Returns: whether it is on the log.
    private func resolve() throws(KafkaTransactions.Trouble) -> Bool {
        while !self.renew() {
            if let superseded = self.superseded {
                throw .fenced(KafkaFailure(RD_KAFKA_RESP_ERR__FENCED, "commit", superseded.message))
            }
            self.failed(ApusError(.logFailed, "Kafka does not say how a transaction ended: is it up?"))
            guard self.wait(milliseconds: Limits.Kafka.renewalMilliseconds) else {
                throw .aborted(
                    KafkaFailure(RD_KAFKA_RESP_ERR__DESTROY, "commit", "the server stops before Kafka answers"))
            }
        }
        return self.transactions.isCommitted(self.ledger[self.transactions.key])
    }

    // MARK: sending

    func send(_ batches: [KafkaBatch], _ choice: RecordChoice, by producer: KafkaProducer, _ time: Timestamp) {
        batches.forEach(choice) { number, record, append in
            producer.produce(number) { self.send(record, append, by: producer.client, time, opaque: number) }
        }
    }

    func send(
        _ record: KafkaBatch.Record, _ append: LogBatch.Append, by client: KafkaClient, _ time: Timestamp, opaque: Int
    ) -> rd_kafka_resp_err_t {
        guard let topic = try? client.topic(record.topic.onKafka) else { return RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC }
        return KafkaRecord.produce(
            append.block, record.layout, by: client.pointer, topic: topic, partition: record.partition.number,
            time: self.configuration.keepsTimes ? record.layout.timestamp : time, opaque: opaque)
    }

    func send(_ entry: LogBatch.LedgerWrite, _ index: Int, by producer: KafkaProducer, _ time: Timestamp) {
        producer.produce(
            index, key: entry.key, value: entry.value, topic: self.configuration.topicPrefix + KafkaLedger.name,
            partition: KafkaLedger.partition(of: entry), time)
    }

    // MARK: what partitions and callers hear

    func takeOff(_ batches: [KafkaBatch]) {
        for touch in self.touches(batches, .zero) { touch.partition.takesOff(touch.records) }
    }

    /// What became of each record is noted.
    func land(_ batches: [KafkaBatch], _ time: Timestamp) {
        for touch in self.touches(batches, time) {
            if touch.end != nil {
                touch.partition.appendedRecords.add(Int64(touch.records), ordering: .relaxed)
                touch.partition.appendedBytes.add(touch.bytes, ordering: .relaxed)
            }
            if touch.partition.landed(touch.records, end: touch.end) { self.reader.tell(touch.partition) }
        }
    }

    /// Nothing of it is on the log, or nobody need hear of what is.
    func drop(_ batches: [KafkaBatch]) {
        for touch in self.touches(batches, .zero) where touch.partition.landed(touch.records, end: nil) {
            self.reader.tell(touch.partition)
        }
    }

    private func touches(_ batches: [KafkaBatch], _ time: Timestamp) -> [Touch] {
        var touches: [Touch] = []
        var places: [ObjectIdentifier: Int] = [:]
        for batch in batches {
            for (record, append) in zip(batch.records, batch.submission.batch.appends) {
                let place = places[ObjectIdentifier(record.partition)] ?? touches.count
                if place == touches.count {
                    places[ObjectIdentifier(record.partition)] = place
                    touches.append(Touch(partition: record.partition))
                }
                touches[place].records += 1
                guard record.offset >= 0 else { continue }
                let next = record.offset + 1
                touches[place].end = max(touches[place].end ?? 0, next)
                touches[place].bytes += Int64(append.block.count)
                if time != .zero, record.topic.configuration.retentionBytes != nil {
                    record.partition.noteSize(next: next, bytes: append.block.count, time: time)
                }
            }
        }
        return touches
    }

    func answer(_ batches: [KafkaBatch], _ time: Timestamp) {
        self.land(batches, time)
        for batch in batches {
            if let failure = batch.failure {
                let error = failure.why.apusError("cannot append to '\(failure.topic)'")
                // A record that its topic does not take says nothing of the log.
                if error.code == .logFailed { self.failed(error) }
                batch.submission.completion(.failure(error))
            } else {
                let places = batch.records.map {
                    LogReceipt.Place(partition: $0.partition.number, offset: $0.offset)
                }
                self.committed(records: places.count)
                if !batch.submission.batch.keys.isEmpty { self.keys?.remember(batch.submission.batch.keys) }
                batch.submission.completion(.success(LogReceipt(places: places, timestamp: time)))
            }
        }
    }

    func fail(_ batches: [KafkaBatch], _ error: ApusError) {
        self.failed(error)
        for batch in batches { batch.submission.completion(.failure(error)) }
    }
}
