internal import ApusCore

/// The tables of one function: how far each reaches, and in which order it grew.
///
/// Work carries the number of growths at its arrival, its mark. A worker may run it once it was fed as far as all
/// growths up to that mark: waiting for the present ends instead would let a table that never stops growing hold work
/// back for ever.
struct TableFeed {
    struct Table {
        var trigger: TriggerID
        var partition: Int
        var start: Offset
        var end: Offset
        var fetch = Lane.Fetch.idle
        /// Where the read under way began.
        var fetchFrom: Offset = 0
        /// False once its trigger is gone; nobody waits for it then.
        var isOpen = true
    }

    private struct Growth {
        var table: Int32
        var end: Offset
    }

    var tables: [Table] = []
    /// Growths so far.
    private(set) var mark: UInt64 = 0
    /// The growths after `base`; those before are folded into `baseEnds`.
    private var growths: [Growth] = []
    private var base: UInt64 = 0
    private var baseEnds: [Offset] = []

    /// - Returns: its place.
    mutating func open(_ trigger: TriggerID, partition: Int, bounds: OffsetBounds, hasWorkers: Bool) -> Int32 {
        self.tables.append(Table(trigger: trigger, partition: partition, start: bounds.start, end: bounds.start))
        self.baseEnds.append(bounds.start)
        let place = Int32(self.tables.count - 1)
        self.grew(place, end: bounds.end, hasWorkers: hasWorkers)
        return place
    }

    mutating func close(_ trigger: TriggerID) {
        for place in self.tables.indices where self.tables[place].trigger == trigger {
            self.tables[place].isOpen = false
        }
    }

    mutating func grew(_ table: Int32, end: Offset, hasWorkers: Bool) {
        guard end > self.tables[Int(table)].end else { return }
        self.tables[Int(table)].end = end
        self.mark += 1
        self.growths.append(Growth(table: table, end: end))
        // Without workers nobody needs to tell the growths apart, and with too many of them waiting a little longer is
        // cheaper.
        guard !hasWorkers || self.growths.count > Limits.Engine.tableGrowths else { return }
        self.base = self.mark
        self.baseEnds = self.tables.map(\.end)
        self.growths.removeAll(keepingCapacity: true)
    }

    /// How far a worker was fed, as a mark.
    func mark(of feed: WorkerFeed) -> UInt64 {
        var mark = feed.mark
        if mark < self.base {
            for place in self.tables.indices where !self.isFed(feed, Int32(place), to: self.baseEnds[place]) {
                return mark
            }
            mark = self.base
        }
        while mark < self.mark {
            let growth = self.growths[Int(mark - self.base)]
            guard self.isFed(feed, growth.table, to: growth.end) else { return mark }
            mark += 1
        }
        return mark
    }

    private func isFed(_ feed: WorkerFeed, _ table: Int32, to end: Offset) -> Bool {
        guard self.tables[Int(table)].isOpen, end > self.tables[Int(table)].start else { return true }
        return Int(table) < feed.cursors.count && feed.cursors[Int(table)].fed >= end
    }
}

/// How far one worker was fed its function's tables.
struct WorkerFeed {
    struct Cursor {
        /// The first record it was not given.
        var next: Offset
        /// Everything below it was taken in.
        var fed: Offset
        /// What it was given and has not taken in, in order.
        var underWay = Deque<Given>()
    }

    struct Given {
        var offset: Offset
        var isDone = false
    }

    private(set) var cursors: [Cursor] = []
    /// Records under way, of all tables together.
    private(set) var underWay = 0
    var mark: UInt64 = 0

    /// Begins the tables that are new at their first record.
    mutating func extend(to tables: [TableFeed.Table]) {
        for table in tables[self.cursors.count...] { self.cursors.append(Cursor(next: table.start, fed: table.start)) }
    }

    mutating func gave(_ table: Int32, offset: Offset) {
        self.cursors[Int(table)].underWay.append(Given(offset: offset))
        self.cursors[Int(table)].next = offset + 1
        self.underWay += 1
    }

    /// There are no records up to `next` that it was not given.
    mutating func pass(_ table: Int32, to next: Offset) {
        self.cursors[Int(table)].next = max(self.cursors[Int(table)].next, next)
        self.settle(Int(table))
    }

    mutating func took(_ table: Int32, offset: Offset) {
        let place = Int(table)
        for index in 0..<self.cursors[place].underWay.count where self.cursors[place].underWay[index].offset == offset {
            self.cursors[place].underWay[index].isDone = true
            self.underWay -= 1
            break
        }
        self.settle(place)
    }

    private mutating func settle(_ place: Int) {
        while let first = self.cursors[place].underWay.first, first.isDone { self.cursors[place].underWay.popFirst() }
        self.cursors[place].fed = self.cursors[place].underWay.first?.offset ?? self.cursors[place].next
    }
}
