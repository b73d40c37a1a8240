internal import ApusCore

/// How much may still be written, and by whom. The last used page is no measure of room: most of a long-lived file is
/// pages that wait to be used again.
struct RoomAccount: Equatable {
    /// Bytes that may still be written: reusable pages plus never-used ones that map size and disk floor still allow.
    private(set) var room: Int64 = 0
    private(set) var capacity: Int64 = 0
    /// The disk, not the map, is what ends first.
    private(set) var isDiskBound = false

    init() {}

    init(pageBytes: Int, mapBytes: Int, usedPages: Int, freePages: Int, diskAvailable: Int64, diskFloor: Int64) {
        let page = Int64(pageBytes)
        let used = Int64(usedPages) * page
        let neverUsed = max(0, Int64(mapBytes) - used)
        let disk = max(0, diskAvailable - diskFloor)
        self.isDiskBound = disk < neverUsed
        self.room = Int64(freePages) * page + min(neverUsed, disk)
        self.capacity = used + min(neverUsed, disk)
    }

    /// Producers are refused.
    var isShort: Bool { self.room < self.producerReserve }

    private var producerReserve: Int64 { self.capacity / 100 * Limits.Log.producerReservePercent }
    private var settlementReserve: Int64 { self.capacity / 100 * Limits.Log.settlementReservePercent }

    /// Whether a write of about `cost` bytes is allowed now. Ledger entries alone replace others and are always tried.
    func allows(_ urgency: LogBatch.Urgency, cost: Int64, hasAppends: Bool) -> Bool {
        switch urgency {
        case .producer: self.room - cost >= self.producerReserve
        case .settlement: !hasAppends || self.room - cost >= self.settlementReserve
        }
    }

    /// A write of about `cost` bytes was let through; the next measurement corrects the guess.
    mutating func spend(_ cost: Int64) { self.room = max(0, self.room - cost) }

    /// Near a bound a guess is not good enough: measure after each commit.
    var mustBeMeasured: Bool { self.room < self.capacity / 5 }

    var refusal: ApusError {
        self.isDiskBound
            ? ApusError(.diskFull, "the disk of the event log is nearly full: free space on it or shorten retention")
            : ApusError(.logFull, "the event log is nearly full: shorten retention, delete topics or raise its size")
    }

    /// What a record takes in pages, a little more rather than less: small ones share a leaf, large ones have pages of
    /// their own.
    static func cost(recordBytes: Int, pageBytes: Int) -> Int64 {
        guard recordBytes > pageBytes / 2 - 40 else { return Int64(recordBytes + 32) * 3 / 2 }
        return Int64((recordBytes + 16 + pageBytes - 1) / pageBytes * pageBytes + 64)
    }

    /// Pages that a commit rewrites whatever it holds: the path to each leaf it changes, in the table, the list of
    /// tables and the free list.
    static func commitCost(pageBytes: Int) -> Int64 { Int64(16 * pageBytes) }
}
