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
        let time = self.stamp()
        self.takeOff(batches)
        self.producer.begin(batches.reduce(0) { $0 + $1.records.count })
        self.send(batches, by: self.producer, time)
        self.producer.finish()
        self.answer(batches, by: self.producer, time)
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
        let time = self.stamp()
        let producer = try self.transactions.begin()
        let appends = batches.reduce(0) { $0 + $1.records.count }
        let entries = batches.flatMap { $0.submission.batch.ledger } + [self.transactions.entry]
        self.takeOff(batches)
        producer.begin(appends + entries.count + Self.onceCount(batches))
        self.send(batches, by: producer, time)
        for (index, entry) in entries.enumerated() { self.send(entry, appends + index, by: producer, time) }
        producer.finish()
        var failure = (0..<appends + entries.count).lazy.compactMap({ producer.failure($0) }).first
        let keys = failure == nil ? self.sendKeys(batches, appends + entries.count, of: nil, by: producer, time) : nil
        failure = failure ?? keys?.failure
        if let failure {
            let trouble = self.transactions.abort(because: failure)
            self.land(batches, by: nil, time)
            guard case .aborted = trouble, failure.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE else { throw trouble }
            return self.refuseBad(batches, by: producer)
        }
        switch self.transactions.commit() {
        case .committed: break
        case .aborted(let trouble):
            self.land(batches, by: nil, time)
            throw trouble
        case .unknown(let failure):
            self.configuration.observer.log(
                3, producer.client.context.name, "the outcome of a commit is unknown: \(failure)")
            guard try self.resolve() else {
                self.land(batches, by: nil, time)
                return batches
            }
        }
        self.ledger.apply(entries) { producer.offset(appends + $0) }
        self.remember(keys, of: nil, by: producer)
        self.answer(batches, by: producer, time)
        return []
    }

    /// A batch with a record that its topic does not take fails alone; the others are tried again.
    func refuseBad(_ batches: [KafkaBatch], by producer: KafkaProducer) -> [KafkaBatch] {
        var left: [KafkaBatch] = []
        var index = 0
        for batch in batches {
            let indices = index..<index + batch.records.count
            index = indices.upperBound
            let bad = indices.first { producer.failure($0)?.code == RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE }
            if let bad, let failure = producer.failure(bad) {
                let topic = batch.records[bad - indices.lowerBound].topic.name
                batch.submission.completion(.failure(failure.apusError("cannot append to '\(topic)'")))
            } else {
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

    func send(_ batches: [KafkaBatch], by producer: KafkaProducer, _ time: Timestamp) {
        var index = 0
        for batch in batches {
            for (record, append) in zip(batch.records, batch.submission.batch.appends) {
                producer.produce(index) {
                    guard let topic = try? producer.client.topic(record.topic.onKafka) else {
                        return RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC
                    }
                    return KafkaRecord.produce(
                        append.block, record.layout, by: producer.client.pointer, topic: topic,
                        partition: record.partition.number,
                        time: self.configuration.keepsTimes ? record.layout.timestamp : time, opaque: index)
                }
                index += 1
            }
        }
    }

    func send(_ entry: LogBatch.LedgerWrite, _ index: Int, by producer: KafkaProducer, _ time: Timestamp) {
        producer.produce(
            index, key: entry.key, value: entry.value, topic: self.configuration.topicPrefix + KafkaLedger.name,
            partition: KafkaLedger.partition(of: entry), time)
    }

    // MARK: what partitions and callers hear

    func takeOff(_ batches: [KafkaBatch]) {
        for touch in self.touches(batches, by: nil, .zero) { touch.partition.takesOff(touch.records) }
    }

    /// - Parameter producer: nil when nothing of it is on the log.
    func land(_ batches: [KafkaBatch], by producer: KafkaProducer?, _ time: Timestamp) {
        for touch in self.touches(batches, by: producer, time) {
            if touch.end != nil {
                touch.partition.appendedRecords.add(Int64(touch.records), ordering: .relaxed)
                touch.partition.appendedBytes.add(touch.bytes, ordering: .relaxed)
            }
            if touch.partition.landed(touch.records, end: touch.end) { self.reader.tell(touch.partition) }
        }
    }

    private func touches(_ batches: [KafkaBatch], by producer: KafkaProducer?, _ time: Timestamp) -> [Touch] {
        var touches: [Touch] = []
        var places: [ObjectIdentifier: Int] = [:]
        var index = 0
        for batch in batches {
            for (record, append) in zip(batch.records, batch.submission.batch.appends) {
                let place = places[ObjectIdentifier(record.partition)] ?? touches.count
                if place == touches.count {
                    places[ObjectIdentifier(record.partition)] = place
                    touches.append(Touch(partition: record.partition))
                }
                touches[place].records += 1
                if let producer, producer.failure(index) == nil {
                    let next = producer.offset(index) + 1
                    touches[place].end = max(touches[place].end ?? 0, next)
                    touches[place].bytes += Int64(append.block.count)
                    if record.topic.configuration.retentionBytes != nil {
                        record.partition.noteSize(next: next, bytes: append.block.count, time: time)
                    }
                }
                index += 1
            }
        }
        return touches
    }

    func answer(_ batches: [KafkaBatch], by producer: KafkaProducer, _ time: Timestamp) {
        self.land(batches, by: producer, time)
        var index = 0
        for batch in batches {
            var places: [LogReceipt.Place] = []
            var failure: ApusError?
            for record in batch.records {
                if let why = producer.failure(index) {
                    failure = failure ?? why.apusError("cannot append to '\(record.topic.name)'")
                }
                places.append(LogReceipt.Place(partition: record.partition.number, offset: producer.offset(index)))
                index += 1
            }
            if let failure {
                // A record that its topic does not take says nothing of the log.
                if failure.code == .logFailed { self.failed(failure) }
                batch.submission.completion(.failure(failure))
            } else {
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
