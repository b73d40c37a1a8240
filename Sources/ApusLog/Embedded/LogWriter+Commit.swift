internal import ApusCore
internal import CLMDB

/// A batch that may be written: every append has its partition.
struct PreparedBatch {
    var submission: Submission
    var targets: [Partition]
    var places: [LogReceipt.Place]
}

extension LogWriter {
    /// Writes a group in one transaction and answers every batch of it. When the group fails, each batch is tried
    /// alone, so that one that cannot be written does not fail the others.
    func commit(_ group: [Submission]) {
        var prepared: [PreparedBatch] = []
        prepared.reserveCapacity(group.count)
        var refused: [(Completion, ApusError)] = []
        var repeated: [(Completion, Result<LogReceipt, ApusError>)] = []
        // A repetition that came with its first is answered once that is written.
        var keys: Set<[UInt8]> = []
        var later: [Submission] = []
        for submission in group {
            if let key = submission.batch.once?.key, !keys.insert(key).inserted {
                later.append(submission)
                continue
            }
            if let answer = self.earlierAnswer(to: submission.batch) {
                repeated.append((submission.completion, answer))
                continue
            }
            switch self.prepare(submission) {
            case .success(let batch): prepared.append(batch)
            case .failure(let error): refused.append((submission.completion, error))
            }
        }
        if !prepared.isEmpty {
            self.room.spend(self.commitCost)
            self.writeAndAnswer(&prepared)
        }
        for (completion, error) in refused { completion(.failure(error)) }
        for (completion, answer) in repeated { completion(answer) }
        if !later.isEmpty { self.commit(later) }
    }

    private func writeAndAnswer(_ prepared: inout [PreparedBatch]) {
        do throws(LMDBFailure) {
            try self.write(&prepared)
        } catch {
            let error = self.failed(error)
            guard prepared.count > 1 else {
                for batch in prepared { batch.submission.completion(.failure(error)) }
                return
            }
            for batch in prepared {
                var alone = [batch]
                self.writeAndAnswer(&alone)
            }
        }
    }

    private var commitCost: Int64 { RoomAccount.commitCost(pageBytes: self.environment.pageBytes) }

    // MARK: before the transaction

    /// Everything that can be wrong with one batch is found here, where it costs no other batch anything.
    private func prepare(_ submission: Submission) -> Result<PreparedBatch, ApusError> {
        let batch = submission.batch
        var targets: [Partition] = []
        var places: [LogReceipt.Place] = []
        targets.reserveCapacity(batch.appends.count)
        places.reserveCapacity(batch.appends.count)
        var cost: Int64 = 0
        do throws(ApusError) {
            try Self.checkKeys(batch)
            for write in batch.keys {
                cost +=
                    2
                    * RoomAccount.cost(
                        recordBytes: write.key.count + write.value.count, pageBytes: self.environment.pageBytes)
            }
            for index in batch.appends.indices {
                let partition = try self.target(of: batch.appends[index])
                targets.append(partition)
                places.append(LogReceipt.Place(partition: partition.number, offset: 0))
                cost += RoomAccount.cost(
                    recordBytes: batch.appends[index].block.count, pageBytes: self.environment.pageBytes)
            }
            for write in batch.ledger {
                try Self.checkEntry(write)
                cost += RoomAccount.cost(
                    recordBytes: write.key.count + (write.value?.count ?? 0), pageBytes: self.environment.pageBytes)
            }
        } catch {
            return .failure(error)
        }
        guard self.room.allows(batch.urgency, cost: cost + self.commitCost, hasAppends: !batch.appends.isEmpty) else {
            self.checkHold(isShort: true)
            return .failure(self.room.refusal)
        }
        self.room.spend(cost)
        return .success(PreparedBatch(submission: submission, targets: targets, places: places))
    }

    private func target(of append: LogBatch.Append) throws(ApusError) -> Partition {
        let topic: Topic
        if let last = self.lastTopic, last.name == append.topic {
            topic = last
        } else {
            guard let found = self.directory[append.topic] else { throw TopicDirectory.notFound(append.topic) }
            self.lastTopic = found
            topic = found
        }
        let layout = try Self.layout(of: append, isCompacted: topic.configuration.isCompacted)
        if let wanted = append.partition {
            guard topic.partitions.indices.contains(wanted) else {
                throw ApusError(
                    .invalidArgument,
                    "the topic '\(append.topic)' has \(topic.partitions.count) partitions, from 0; there is no partition \(wanted)"
                )
            }
            return topic.partitions[wanted]
        }
        if topic.partitions.count == 1 { return topic.partitions[0] }
        if let key = layout.key {
            let number = append.block.withUnsafeBytes {
                Murmur2.partition(of: UnsafeRawBufferPointer(rebasing: $0[key]), among: topic.partitions.count)
            }
            return topic.partitions[number]
        }
        topic.nextWithoutKey = (topic.nextWithoutKey + 1) % topic.partitions.count
        return topic.partitions[topic.nextWithoutKey]
    }

    /// What every log asks of a record.
    static func layout(of append: LogBatch.Append, isCompacted: Bool) throws(ApusError) -> EventLayout {
        guard append.block.count <= Limits.recordBytes else {
            throw ApusError(
                .eventTooLarge, "a record has \(append.block.count) bytes; at most \(Limits.recordBytes) are allowed")
        }
        let layout: EventLayout
        do throws(FrameError) {
            layout = try EventLayout(parsing: append.block.span.bytes)
        } catch {
            throw ApusError(.invalidEvent, "a record for '\(append.topic)' is no event block (\(error))")
        }
        guard layout.data.count == layout.dataCount else {
            throw ApusError(
                .invalidEvent,
                "a record for '\(append.topic)' has \(layout.data.count) of its \(layout.dataCount) bytes of data")
        }
        if isCompacted, layout.key == nil {
            throw ApusError(.invalidEvent, "the topic '\(append.topic)' is compacted: its records need a key")
        }
        return layout
    }

    static func checkEntry(_ write: LogBatch.LedgerWrite) throws(ApusError) {
        guard (1...Limits.Log.ledgerKeyBytes).contains(write.key.count) else {
            throw ApusError(
                .invalidArgument,
                "a ledger key has \(write.key.count) bytes; 1 to \(Limits.Log.ledgerKeyBytes) are allowed")
        }
        if let value = write.value, value.count > Limits.Log.ledgerValueBytes {
            throw ApusError(
                .invalidArgument,
                "a ledger entry has \(value.count) bytes; at most \(Limits.Log.ledgerValueBytes) are allowed")
        }
    }

    // MARK: the transaction

    private func write(_ prepared: inout [PreparedBatch]) throws(LMDBFailure) {
        let time = self.stamp()
        do throws(LMDBFailure) {
            let transaction = try WriteTransaction(self.environment)
            for index in prepared.indices {
                try self.append(&prepared[index], time, transaction)
                for write in prepared[index].submission.batch.ledger {
                    if let value = write.value {
                        try transaction.put(self.tables.ledger, write.key, value)
                    } else {
                        _ = try transaction.delete(self.tables.ledger, write.key)
                    }
                }
                try self.put(prepared[index], time, transaction)
            }
            try self.putStates(transaction)
            try transaction.commit()
        } catch {
            self.forgetTouched()
            throw error
        }
        self.publish(prepared, time)
    }

    private func append(_ batch: inout PreparedBatch, _ time: Timestamp, _ transaction: borrowing WriteTransaction)
        throws(LMDBFailure)
    {
        // Held here, so that the loop counts no references to them.
        let (targets, appends) = (batch.targets, batch.submission.batch.appends)
        for index in targets.indices {
            let partition = targets[index]
            self.touch(partition)
            let offset = partition.working.end
            let count = appends[index].block.count
            if partition.index != nil {
                try self.supersede(partition, appends[index].block, by: offset, time, transaction)
            }
            let place = try transaction.appendRecord(partition.records.handle, offset, count: count)
            appends[index].block.withUnsafeBytes {
                guard let base = $0.baseAddress else { return }
                place.copyMemory(from: base, byteCount: count)
            }
            // An event block begins with its time.
            place.storeBytes(of: time.microseconds.littleEndian, as: Int64.self)
            partition.working.end = offset + 1
            partition.working.bytes += Int64(count)
            partition.workingBytes += Int64(count)
            partition.working.lastTimestamp = time.microseconds
            if partition.oldest == nil, partition.working.start == offset { partition.oldest = time.microseconds }
            batch.places[index].offset = offset
        }
    }

    /// Removes the record that had this key, and notes where its newest is.
    private func supersede(
        _ partition: Partition, _ block: [UInt8], by offset: Offset, _ time: Timestamp,
        _ transaction: borrowing WriteTransaction
    ) throws(LMDBFailure) {
        // The block was parsed before it got here; a record without a key never does.
        guard let index = partition.index, let layout = try? EventLayout(parsing: block.span.bytes),
            let key = layout.key
        else { return }
        let digest = block.withUnsafeBytes { KeyDigest.of(UnsafeRawBufferPointer(rebasing: $0[key])) }
        if let known = try transaction.get(index.handle, digest), known.count == 8 {
            let predecessor = Int64(littleEndian: known.loadUnaligned(as: Int64.self))
            try self.dismiss(predecessor, of: partition, transaction)
        }
        var place: [UInt8] = []
        place.appendLittleEndian(offset)
        try transaction.put(index.handle, digest, place)
        if layout.isNull {
            let note = Tombstone(time: time.microseconds, table: partition.records.identifier, offset: offset)
            try transaction.put(self.tables.tombstones, note.encoded, digest)
            self.maintenance.note(note)
        }
    }

    /// The transaction is durable: tell readers, then submitters, then followers.
    private func publish(_ prepared: [PreparedBatch], _ time: Timestamp) {
        var grown: [Partition] = []
        for partition in self.touched {
            if partition.working.end > partition.committed.end { grown.append(partition) }
            partition.publish()
        }
        self.touched.removeAll(keepingCapacity: true)
        self.committed(records: prepared.reduce(0) { $0 + $1.places.count })
        for batch in prepared {
            batch.submission.completion(.success(LogReceipt(places: batch.places, timestamp: time)))
        }
        for partition in grown {
            self.followers.notify(partition.topic, partition: partition.number, end: partition.committed.end)
            self.noteGrowth(of: partition.topic)
        }
    }
}
