internal import ApusCore
internal import ApusEngine

/// Finds again on the log which events a lane has seen, in bounded steps, where a log says that what it remembers is this node's alone.
/// Runnable on any thread; each step is made where the one before ended.
struct KeyReading: Sendable {
    let log: any EventLog
    let place: TopicPartition
    let dedup: Deduplication
    let filter: SubscriptionFilter
    let path: [UInt8]
    let ledger: LedgerState
    let now: Timestamp
    /// Where it goes on; nil until the beginning of the window was looked for.
    var next: Offset?
    /// Records that were read.
    var read: Int64 = 0

    /// Behind the last record that is settled: what comes later is still to run, and says then what it is.
    private var end: Offset { max(self.ledger.watermark, self.ledger.settled.last?.upperBound ?? 0) }

    var isDone: Bool { self.next.map { $0 >= self.end } ?? false }

    /// - Returns: false when the log could not be read.
    mutating func step() -> Bool {
        do throws(ApusError) {
            let start = if let next = self.next { next } else { try self.start() }
            guard start < self.end else {
                self.next = start
                return true
            }
            guard let answer = self.reading(from: start, maxRecords: Limits.Host.keysPerStep, end: self.end).run(),
                answer.next > start
            else { return false }
            let found = self.settled(answer.records)
            // What is unsettled below may be settled by another node before this one reads here again.
            let through = min(answer.next, self.ledger.watermark)
            try self.log.remember(
                Deduplication.keys(found, now: self.now) + [self.dedup.mark(through, now: self.now)])
            self.read += answer.next - start
            self.next = answer.next
            return true
        } catch { return false }
    }

    func stepped() -> (KeyReading, isRead: Bool) {
        var next = self
        let isRead = next.step()
        return (next, isRead)
    }

    private func reading(from: Offset, maxRecords: Int, end: Offset?) -> FetchReading {
        FetchReading(
            log: self.log, place: self.place, from: from, maxRecords: maxRecords, end: end, filter: self.filter,
            path: self.path, dedup: self.dedup)
    }

    /// What lies a window before the first record that is still to run, unless this node has read it already.
    private func start() throws(ApusError) -> Offset {
        let bounds = try self.log.bounds(of: self.place)
        let known = try self.log.remembered([self.dedup.markKey])[0].flatMap(Deduplication.offset) ?? 0
        var first = self.now
        if self.ledger.watermark < bounds.end,
            let record = self.reading(from: max(bounds.start, self.ledger.watermark), maxRecords: 1, end: nil).run()?
                .records.first
        {
            first = min(first, record.appended)
        }
        let window = try self.log.offset(
            of: self.place, at: max(.zero, Timestamp(microseconds: first.microseconds - self.dedup.window.microseconds))
        )
        return max(known, window, bounds.start)
    }

    /// The first of each identity, by the rule of ``Deduplication/mark(_:_:)``.
    private func settled(_ records: [RecordSummary]) -> [RememberedEvent] {
        var found: [EventIdentity: RememberedEvent] = [:]
        for record in records where record.isMatch && !record.isDuplicate && self.isSettled(record.offset) {
            guard let identity = record.identity else { continue }
            if let known = found[identity], record.appended <= known.appended + self.dedup.window { continue }
            found[identity] = RememberedEvent(
                identity: identity, offset: record.offset, appended: record.appended, window: self.dedup.window)
        }
        return found.values.sorted { $0.offset < $1.offset }
    }

    private func isSettled(_ offset: Offset) -> Bool {
        offset < self.ledger.watermark || self.ledger.settled.contains { $0.contains(offset) }
    }
}
