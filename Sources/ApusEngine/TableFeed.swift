internal import ApusCore

struct TableFeed {
    var mark: UInt64 = 0
}
struct WorkerFeed {
    var mark: UInt64 = 0
}
extension Engine {
    mutating func openTable(_ trigger: Int32, partition: Int, bounds: OffsetBounds, now: Timestamp) {}
    mutating func tableGrew(_ function: Int32, table: Int32, end: Offset, now: Timestamp) {}
    mutating func tableFetched(_ function: Int32, table: Int32, records: [RecordSummary], next: Offset, now: Timestamp) {}
    mutating func tableFetchFailed(_ function: Int32, table: Int32, now: Timestamp) {}
    mutating func tableFetchRested(_ function: Int32, table: Int32, now: Timestamp) {}
    mutating func tableRecordDone(_ function: Int32, worker: Int32, table: Int32, offset: Offset, now: Timestamp) {}
    mutating func beginFeed(_ worker: Int32, now: Timestamp) {}
}
