internal import ApusCore
internal import ApusEngine
internal import ApusLoop

extension Shard {
    /// Answers the engine's question for records: on the loop when they are young and therefore in memory, else on the
    /// reader's thread, which may wait for their pages.
    func fetch(_ trigger: TriggerID, partition: Int, from: Offset, maxRecords: Int, now: Timestamp) {
        guard let state = self.triggers[trigger], partition < state.ends.count else { return }
        let reading = FetchReading(
            log: self.log, place: TopicPartition(state.trigger.topic, partition), from: from, maxRecords: maxRecords,
            filter: state.isTable ? nil : state.trigger.filter, path: state.path)
        let isRecent =
            state.ends[partition] - from <= Limits.Host.recentRecords
            && self.log.isInMemory(reading.place, from: from)
        guard !isRecent, let readAhead = self.configuration.readAhead else {
            self.fetched(reading.run(), trigger, partition, now: now)
            return
        }
        readAhead { [loop = self.loop, weak self] in
            let result = reading.run()
            loop.post { [weak self] in
                guard let self, !self.isClosed else { return }
                self.fetched(result, trigger, partition, now: self.now)
                self.requestTurn()
            }
        }
    }

    private func fetched(_ result: FetchReading.Answer?, _ trigger: TriggerID, _ partition: Int, now: Timestamp) {
        guard let result else {
            self.engine.fetchFailed(trigger, partition: partition, now: now)
            return
        }
        self.engine.fetched(trigger, partition: partition, records: result.records, next: result.next, now: now)
        self.cancelFetched(trigger, result.records, now: now)
    }
}

/// One fetch, runnable on any thread.
struct FetchReading: Sendable {
    struct Answer: Sendable {
        var records: [RecordSummary]
        var next: Offset
    }

    let log: any EventLog
    let place: TopicPartition
    let from: Offset
    let maxRecords: Int
    /// Nil lets every record match.
    let filter: SubscriptionFilter?
    /// The trigger as a redriven event names the one that may take it.
    let path: [UInt8]

    /// What an item of a BATCH takes beside its block: summaries count it, so that a batch of the engine's choice fits
    /// its frame.
    static let itemBytes = BatchPayload.itemHeadBytes + InvokeHead.byteCount

    /// - Returns: nil when the log could not be read.
    func run() -> Answer? {
        var records: [RecordSummary] = []
        records.reserveCapacity(min(self.maxRecords, 1_024))
        do {
            let next = try self.log.read(
                self.place, from: self.from, maxRecords: self.maxRecords, maxBytes: Limits.Host.fetchBytes
            ) { offset, block in
                records.append(self.summary(offset, block))
                return true
            }
            return Answer(records: records, next: next)
        } catch {
            return nil
        }
    }

    private func summary(_ offset: Offset, _ block: UnsafeRawBufferPointer) -> RecordSummary {
        var summary = RecordSummary(offset: offset, keyHash: 0, bytes: block.count + Self.itemBytes)
        // A record that cannot be read is delivered: its attempt fails, and what it was ends in a dead letter.
        guard let layout = try? EventLayout(parsing: block.bytes) else { return summary }
        // Brought for its worker it is as large as it was, and goes alone.
        if layout.dataCount == 0, let reference = BlobReference(block) { summary.bytes += reference.size }
        if let key = layout.key { summary.keyHash = KeyHash.hash(UnsafeRawBufferPointer(rebasing: block[key])) }
        if let filter = self.filter, !filter.isEmpty {
            summary.isMatch = (try? filter.matches(layout, in: block.bytes)) ?? true
        }
        if summary.isMatch { summary.isMatch = self.mayTake(layout, block) }
        return summary
    }

    /// False for an event that was redriven for another trigger of the topic.
    private func mayTake(_ layout: EventLayout, _ block: UnsafeRawBufferPointer) -> Bool {
        var mayTake = true
        let name = Self.redriveName
        // An attribute list that cannot be walked is no reason to pass the event over.
        try? layout.forEachAttribute(in: block.bytes) { nameRange, kind, value in
            guard nameRange.count == name.count, kind == Attribute.Kind.header.rawValue,
                UnsafeRawBufferPointer(rebasing: block[nameRange]).elementsEqual(name)
            else { return true }
            mayTake = UnsafeRawBufferPointer(rebasing: block[value]).elementsEqual(self.path)
            return false
        }
        return mayTake
    }

    private static let redriveName = Array(InternalHeader.redrive.utf8)
}
