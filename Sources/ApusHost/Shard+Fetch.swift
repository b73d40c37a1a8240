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
            filter: state.isTable ? nil : state.trigger.filter, path: state.path,
            dedup: state.dedup(partition: partition))
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
    /// Nil lets every event run.
    let dedup: Deduplication?

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
            try self.dedup?.mark(&records, self.log)
            return Answer(records: records, next: next)
        } catch {
            return nil
        }
    }

    private func summary(_ offset: Offset, _ block: UnsafeRawBufferPointer) -> RecordSummary {
        var summary = RecordSummary(offset: offset, keyHash: 0, bytes: block.count + Self.itemBytes)
        guard let layout = try? EventLayout(parsing: block.bytes) else {
            summary.isPoison = true
            return summary
        }
        summary.appended = layout.timestamp
        if let key = layout.key { summary.keyHash = KeyHash.hash(UnsafeRawBufferPointer(rebasing: block[key])) }
        if let filter = self.filter, !filter.isEmpty {
            summary.isMatch = (try? filter.matches(layout, in: block.bytes)) ?? true
        }
        if summary.isMatch { self.look(at: layout, block, &summary) }
        return summary
    }

    /// What its attributes say of its delivery.
    private func look(at layout: EventLayout, _ block: UnsafeRawBufferPointer, _ summary: inout RecordSummary) {
        var identity = Deduplication.Place()
        var isRedriven = false
        // An attribute list that cannot be walked is no reason to pass the event over.
        try? layout.forEachAttribute(in: block.bytes) { nameRange, kind, value in
            let name = UnsafeRawBufferPointer(rebasing: block[nameRange])
            let isHeader = kind == Attribute.Kind.header.rawValue
            switch nameRange.count {
            case 2 where !isHeader && name.elementsEqual(Self.idName): identity.id = value
            case 6 where !isHeader && name.elementsEqual(Self.sourceName): identity.source = value
            case 10 where !isHeader && name.elementsEqual(Self.expiryName):
                // What is no moment never passes.
                let text = String(decoding: block[value], as: UTF8.self)
                summary.expires = RFC3339.parse(text) ?? .distantFuture
            case Self.poisonName.count where isHeader && name.elementsEqual(Self.poisonName): summary.isPoison = true
            case Self.redriveName.count where isHeader && name.elementsEqual(Self.redriveName):
                isRedriven = true
                summary.isMatch = UnsafeRawBufferPointer(rebasing: block[value]).elementsEqual(self.path)
            default: break
            }
            return true
        }
        // What somebody had delivered again is no repetition.
        guard let dedup = self.dedup, !isRedriven else { return }
        summary.identity = dedup.identity(identity, in: block)
    }

    private static let idName = Array("id".utf8)
    private static let sourceName = Array("source".utf8)
    private static let expiryName = Array("expirytime".utf8)
    private static let poisonName = Array(InternalHeader.poison.utf8)
    private static let redriveName = Array(InternalHeader.redrive.utf8)
}
