internal import ApusCore
internal import ApusEngine

/// One record of the simulated log.
struct SimulatedRecord {
    var offset: Offset
    var key: UInt64
    var bytes: Int
    /// Decides whether a filter matches.
    var kind: Int
    /// Fails every attempt while faults last.
    var isPoison: Bool
    /// Which event it is: some are sent more than once.
    var event: Int
    var appended: Timestamp
    /// Retention or compaction took it.
    var isGone = false

    var identity: EventIdentity? {
        EventIdentity(Array(repeating: UInt8(truncatingIfNeeded: self.event), count: EventIdentity.byteCount))
    }
}

struct SimulatedPartition {
    var records: [SimulatedRecord] = []
    var start: Offset = 0
    var end: Offset = 0

    var bounds: OffsetBounds { OffsetBounds(start: self.start, end: self.end) }

    func record(_ offset: Offset) -> SimulatedRecord? {
        guard let index = self.index(offset) else { return nil }
        return self.records[index]
    }

    func index(_ offset: Offset) -> Int? {
        var (low, high) = (0, self.records.count)
        while low < high {
            let middle = (low + high) / 2
            if self.records[middle].offset < offset { low = middle + 1 } else { high = middle }
        }
        return low < self.records.count && self.records[low].offset == offset ? low : nil
    }

    mutating func append(
        key: UInt64, bytes: Int, kind: Int, isPoison: Bool, event: Int, appended: Timestamp, gap: Int64,
        isCompacted: Bool
    ) {
        self.end += gap
        if isCompacted { self.compact(key: key) }
        self.records.append(
            SimulatedRecord(
                offset: self.end, key: key, bytes: bytes, kind: kind, isPoison: isPoison, event: event,
                appended: appended))
        self.end += 1
    }

    /// A newer record of the key takes the place of the older one.
    private mutating func compact(key: UInt64) {
        for index in self.records.indices where self.records[index].key == key { self.records[index].isGone = true }
    }

    mutating func retain(from start: Offset) {
        self.start = max(self.start, min(start, self.end))
        for index in self.records.indices where self.records[index].offset < self.start {
            self.records[index].isGone = true
        }
    }

    /// What a read brings: the records that are there, and where to go on.
    func read(from start: Offset, maxRecords: Int) -> (records: [SimulatedRecord], next: Offset) {
        var records: [SimulatedRecord] = []
        for record in self.records where record.offset >= start && !record.isGone {
            if records.count == maxRecords { return (records, record.offset) }
            records.append(record)
        }
        return (records, max(start, self.end))
    }
}

/// What survives a restart: records, ledger entries, and the outputs that were appended with them.
struct SimulatedLog {
    var topics: [[SimulatedPartition]] = []
    /// The encoded state by lane.
    var ledger: [Int: [UInt8]] = [:]
    /// What it remembers of settled events, by lane.
    var remembered: [Int: [EventIdentity: RememberedEvent]] = [:]

    func isRemembered(_ record: SimulatedRecord, _ lane: Int) -> Bool {
        guard let identity = record.identity, let known = self.remembered[lane]?[identity] else { return false }
        return known.offset < record.offset && record.appended <= known.appended + known.window
    }
}
