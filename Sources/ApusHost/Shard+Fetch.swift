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
            end: state.replay?.ends[partition], filter: state.isTable ? nil : state.trigger.filter, path: state.path,
            dedup: state.dedup(partition: partition))
        // The end of a replay is not that of the log.
        let isRecent =
            state.replay == nil && state.ends[partition] - from <= Limits.Host.recentRecords
            && self.log.isInMemory(reading.place, from: from)
        guard !isRecent, let readAhead = self.configuration.readAhead else {
            self.fetched(reading.run(), trigger, partition, from: from, now: now)
            return
        }
        let isTaken = readAhead { [loop = self.loop, weak self] in
            let result = reading.run()
            loop.post { [weak self] in
                guard let self, !self.isClosed else { return }
                self.fetched(result, trigger, partition, from: from, now: self.now)
                self.requestTurn()
            }
        }
        // The engine asks again after a moment.
        if !isTaken { self.engine.fetchFailed(trigger, partition: partition, now: now) }
    }

    private func fetched(
        _ result: FetchReading.Answer?, _ trigger: TriggerID, _ partition: Int, from: Offset, now: Timestamp
    ) {
        guard let result else {
            self.engine.fetchFailed(trigger, partition: partition, now: now)
            return
        }
        self.statistics.filtered += result.filtered
        self.statistics.filterErrors += result.filterErrors
        self.engine.fetched(
            trigger, partition: partition, from: from, records: result.records, next: result.next, lost: result.lost,
            now: now)
        self.holdFetched(trigger, result.held, now: now)
        self.cancelFetched(trigger, result.records, now: now)
    }
}

/// One fetch, runnable on any thread.
struct FetchReading: Sendable {
    struct Answer: Sendable {
        var records: [RecordSummary]
        var next: Offset
        /// Those that wait for an answer before they begin.
        var held: [HeldRecord] = []
        /// What retention took of the offsets that were asked for.
        var lost: Int64 = 0
        /// Records that the filter did not take.
        var filtered: UInt64 = 0
        /// Records for which an expression of the filter failed.
        var filterErrors: UInt64 = 0
    }

    /// An invocation that waits for an answer before it begins.
    struct HeldRecord: Sendable {
        var offset: Offset
        /// Its event, whole.
        var block: [UInt8]
    }

    let log: any EventLog
    let place: TopicPartition
    let from: Offset
    let maxRecords: Int
    /// What lies from there on is not read; nil reads to the end.
    let end: Offset?
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
        var answer = Answer(records: [], next: self.from)
        answer.records.reserveCapacity(min(self.maxRecords, 1_024))
        do {
            answer.next = try self.log.read(
                self.place, from: self.from, maxRecords: self.maxRecords, maxBytes: Limits.Host.fetchBytes
            ) { offset, block in
                guard offset < self.end ?? .max else { return false }
                let summary = self.summary(offset, block, &answer)
                answer.records.append(summary)
                if summary.notBefore > .zero { answer.held.append(HeldRecord(offset: offset, block: Array(block))) }
                return true
            }
            answer.next = min(answer.next, self.end ?? .max)
            answer.lost = try self.lost(answer.records.first?.offset ?? answer.next)
            try self.dedup?.mark(&answer.records, self.log)
            return answer
        } catch {
            return nil
        }
    }

    /// How many of the offsets asked for lie before the first record there is. Compaction leaves gaps too: those are no loss.
    private func lost(_ first: Offset) throws(ApusError) -> Int64 {
        guard first > self.from, self.filter != nil else { return 0 }
        return max(0, min(try self.log.bounds(of: self.place).start, first) - self.from)
    }

    private func summary(_ offset: Offset, _ block: UnsafeRawBufferPointer, _ answer: inout Answer) -> RecordSummary {
        var summary = RecordSummary(
            offset: offset, keyHash: 0, bytes: block.count + Self.itemBytes, appended: Shard.appendedAt(block))
        guard let layout = try? EventLayout(parsing: block.bytes) else {
            summary.isPoison = true
            return summary
        }
        summary.isPoison = EventBlock.isInvalid(block)
        // Brought for its worker it is as large as it was, and goes alone.
        if layout.dataCount == 0, let reference = BlobReference(block) { summary.bytes += reference.size }
        if let key = layout.key { summary.keyHash = KeyHash.hash(UnsafeRawBufferPointer(rebasing: block[key])) }
        // What is no valid event is nobody's to pass over: it becomes a dead letter.
        if let filter = self.filter, !filter.isEmpty, !summary.isPoison {
            summary.isMatch = self.passes(filter, layout, block, &answer)
        }
        if summary.isMatch { self.look(at: layout, block, &summary) }
        return summary
    }

    /// An attribute list that cannot be walked is no reason to pass the event over.
    private func passes(
        _ filter: SubscriptionFilter, _ layout: EventLayout, _ block: UnsafeRawBufferPointer, _ answer: inout Answer
    ) -> Bool {
        guard let outcome = try? filter.evaluate(layout, in: block.bytes, data: FilterData.read) else { return true }
        if !outcome.isMatch { answer.filtered += 1 }
        if outcome.error != nil { answer.filterErrors += 1 }
        return outcome.isMatch
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
            case Self.redriveName.count where isHeader && name.elementsEqual(Self.redriveName):
                isRedriven = true
                summary.isMatch = UnsafeRawBufferPointer(rebasing: block[value]).elementsEqual(self.path)
            // What only Apus writes, where only Apus writes: to other topics anybody may write such headers.
            case Self.onceName.count where isHeader && name.elementsEqual(Self.onceName) && self.isQueue:
                summary.isOnce = true
            case Self.holdName.count where isHeader && name.elementsEqual(Self.holdName) && self.isQueue:
                summary.notBefore = summary.appended + .seconds(Limits.Invocations.questionSeconds)
            default: break
            }
            return true
        }
        // What somebody had delivered again is no repetition.
        guard let dedup = self.dedup, !isRedriven else { return }
        summary.identity = dedup.identity(identity, in: block)
    }

    /// Whether accepted invocations lie there.
    private var isQueue: Bool { self.place.topic.invokedFunction != nil }

    private static let idName = Array("id".utf8)
    private static let sourceName = Array("source".utf8)
    private static let expiryName = Array("expirytime".utf8)
    private static let redriveName = Array(InternalHeader.redrive.utf8)
    private static let onceName = Array(InvocationHeader.once.utf8)
    private static let holdName = Array(InvocationHeader.hold.utf8)
}
