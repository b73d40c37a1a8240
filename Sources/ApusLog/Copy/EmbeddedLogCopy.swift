public import ApusCore
internal import CLMDB
internal import Synchronization

/// A copy of the embedded log under way.
final class EmbeddedLogCopy: LogCopy, @unchecked Sendable {
    // SAFETY: everything is constant; what changes is in the hold, behind its lock.

    let identity: UInt64
    let topics: [LogCopyTopic]
    let entries: [LogCopyEntries]
    private let log: EmbeddedLog
    private let hold: CopyHold
    /// As in `topics`.
    private let tables: [[Table]]

    init(
        log: EmbeddedLog, hold: CopyHold, topics: [LogCopyTopic], tables: [[Table]], entries: [LogCopyEntries]
    ) {
        self.identity = log.identity
        self.log = log
        self.hold = hold
        self.topics = topics
        self.tables = tables
        self.entries = entries
    }

    deinit { self.end() }

    var failure: ApusError? { self.hold.failure }

    func end() {
        self.hold.end(nil)
        self.log.nudgeWriter()
    }

    func release(topic: Int, partition: Int) { self.hold.release(self.tables[topic][partition].identifier) }

    func read(
        topic: Int, partition: Int, from start: Offset, maxBytes: Int, _ body: (Offset, UnsafeRawBufferPointer) -> Void
    ) throws(ApusError) -> Offset {
        try self.checkUnderWay()
        self.hold.progressed(now: LogWriter.monotonicMilliseconds())
        let end = self.topics[topic].partitions[partition].bounds.end
        guard start < end else { return end }
        let reader = try self.log.takeReader()
        defer { self.log.give(reader) }
        var next = end
        do throws(LMDBFailure) {
            let table = self.tables[topic][partition].handle
            guard let first = try reader.firstRecord(table, from: start), first.offset < end else { return end }
            let cursor = try reader.cursor(table)
            var (offset, bytes) = first
            var total = 0
            while true {
                body(offset, bytes)
                total += bytes.count
                next = offset + 1
                if total >= maxBytes { break }
                var key = MDB_val()
                var value = MDB_val()
                let rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
                if rc != MDB_NOTFOUND { try check(rc, "copy records") }
                guard rc == MDB_SUCCESS, key.offset < end else {
                    next = end
                    break
                }
                offset = key.offset
                bytes = value.bytes
            }
        } catch {
            throw self.log.failure(error)
        }
        // What was read after the hold ended may have gaps.
        try self.checkUnderWay()
        return next
    }

    private func checkUnderWay() throws(ApusError) {
        if let failure = self.hold.failure { throw failure }
        if self.hold.isOver { throw ApusError(.cancelled, "the copy of the event log was ended") }
    }
}

extension EmbeddedLog: CopyableLog {
    public func beginCopy() throws(ApusError) -> any LogCopy {
        let begun = Monitor<Result<CopyStart, ApusError>?>(nil)
        // On the writer's thread nothing is committed meanwhile: ends, hold and snapshot are of one moment.
        let isQueued = self.perform { writer in
            let result: Result<CopyStart, ApusError>
            do throws(ApusError) {
                let start = try writer.beginCopy()
                do throws(ApusError) { result = .success(try start.reading(self.takeReader())) } catch {
                    start.hold.end(nil)
                    throw error
                }
            } catch { result = .failure(error) }
            begun.withLock { $0 = result }
            begun.signal()
        }
        guard isQueued, let answer = begun.take(within: nil, { $0 }) else {
            throw ApusError(.shuttingDown, "the event log is closing")
        }
        let start = try answer.get()
        guard let reader = start.reader else { throw ApusError(.internal, "a copy began without a snapshot") }
        defer { self.give(reader) }
        do throws(LMDBFailure) {
            let ledger = LogCopyEntries(table: "ledger", entries: try reader.entries(self.ledgerTable))
            return EmbeddedLogCopy(
                log: self, hold: start.hold, topics: start.topics, tables: start.tables, entries: [ledger])
        } catch {
            start.hold.end(nil)
            throw self.failure(error)
        }
    }
}

/// What the writer notes when a copy begins.
struct CopyStart: Sendable {
    var hold: CopyHold
    var topics: [LogCopyTopic]
    var tables: [[Table]]
    /// The snapshot of that moment.
    var reader: Reader?

    func reading(_ reader: Reader) -> CopyStart {
        var start = self
        start.reader = reader
        return start
    }
}

extension LogWriter {
    /// - Throws: `conflict` while another copy is under way.
    func beginCopy() throws(ApusError) -> CopyStart {
        if let hold = self.hold, !hold.isOver {
            throw ApusError(.conflict, "the event log is being copied already: wait until that is over")
        }
        let topics = self.directory.all.sorted { $0.name < $1.name }
        var ends: [UInt32: Offset] = [:]
        for topic in topics {
            for partition in topic.partitions { ends[partition.records.identifier] = partition.committed.end }
        }
        let hold = CopyHold(
            ends: ends, stallMilliseconds: self.configuration.copyStall.milliseconds,
            now: Self.monotonicMilliseconds())
        self.hold = hold
        self.maintenance.isHolding = true
        return CopyStart(
            hold: hold, topics: topics.map(\.copied), tables: topics.map { $0.partitions.map(\.records) })
    }

    /// Looks whether the copy under way is over, or must be; what waited for its end may go on then.
    /// - Parameter isShort: somebody was refused for want of room.
    func checkHold(isShort: Bool = false) {
        guard let hold = self.hold else { return }
        hold.check(now: Self.monotonicMilliseconds(), isShort: isShort || self.room.isShort)
        guard hold.isOver else { return }
        self.hold = nil
        self.maintenance.isHolding = false
        self.maintenance.areSupersededDue = true
    }

    /// Whether a copy needs something of a topic that retention would take.
    func isHeld(_ topic: Topic) -> Bool {
        guard let hold = self.hold else { return false }
        return topic.partitions.contains { hold.keeps($0.records.identifier) }
    }
}

extension Topic {
    fileprivate var copied: LogCopyTopic {
        LogCopyTopic(
            name: self.name, configuration: self.configuration,
            partitions: self.partitions.map { partition in
                LogCopyTopic.Partition(
                    bounds: OffsetBounds(start: partition.committed.start, end: partition.committed.end),
                    lastTimestamp: Timestamp(microseconds: partition.committed.lastTimestamp))
            })
    }
}
