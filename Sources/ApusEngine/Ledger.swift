internal import ApusCore

/// What became of the records of one trigger's partition, in memory.
///
/// It holds one entry per unsettled delivery and the position up to which records were read; every offset below the
/// position that has no entry is settled. So settling is the removal of an entry, a gap that compaction left and a run
/// of records that a filter skipped cost nothing, and the watermark is the offset of the first entry. Every operation
/// is O(1); only the state for a write walks the entries, up to the last one that a restart must know of.
///
/// Entries lie in flat arrays and are linked in the order of their offsets. An entry is in at most one further list, by
/// its state.
struct Ledger {
    static let none: Int32 = -1

    enum State: UInt8 {
        /// Not in use. Next: `held`.
        case free
        /// Behind another delivery of its key. Next: `ready`, `waiting`.
        case held
        /// May be dispatched. Next: `running`, `finished`.
        case ready
        /// An attempt is under way. Next: `waiting`, `finished`, `written`, `free`.
        case running
        /// Until its next attempt is due. Next: `ready`, `finished`.
        case waiting
        /// The outcome is known and its outputs are on the way to the pending write. Next: `written`.
        case finished
        /// Its outputs are in the pending write, or in the one under way. Next: `free`.
        case written
    }

    struct Entry {
        var offset: Offset = 0
        var orderKey: UInt64 = 0
        /// When the next attempt may start; zero before the first failure.
        var due = Timestamp.zero
        var bytes: Int32 = 0
        /// Failed attempts so far.
        var attempts: Int32 = 0
        /// The growth of the function's tables at its arrival: see ``TableFeed``.
        var tableMark: UInt64 = 0
        /// When the log took the event; zero when that is not known.
        var appended = Timestamp.zero
        /// It is not to run from then on.
        var expires = Timestamp.distantFuture
        /// No handler can be given it.
        var isPoison = false
        /// Its first attempt that fails is its last.
        var isOnce = false
        /// Events of a batch that it may run in: a batch that failed as a whole lets its events run in half of one.
        var batchMax = Int32.max
        var before = Ledger.none
        var after = Ledger.none
        /// The list of its state.
        var next = Ledger.none
        var state = State.free
        /// Something was settled between the entry before it, or what was before the first, and it: where nothing was, as in a gap that
        /// compaction left, there is nothing to tell a restart.
        var followsSettled = false
        /// Its attempts are used up, and its trigger keeps it nevertheless.
        var isBlocked = false
    }

    struct List {
        var first = Ledger.none
        var last = Ledger.none
        var count = 0

        fileprivate mutating func append(_ slot: Int32, _ entries: inout [Entry]) {
            entries[Int(slot)].next = Ledger.none
            if self.last == Ledger.none { self.first = slot } else { entries[Int(self.last)].next = slot }
            self.last = slot
            self.count += 1
        }

        fileprivate mutating func prepend(_ slot: Int32, _ entries: inout [Entry]) {
            entries[Int(slot)].next = self.first
            if self.first == Ledger.none { self.last = slot }
            self.first = slot
            self.count += 1
        }
    }

    private(set) var entries: [Entry] = []
    /// Where the next record is read.
    private(set) var position: Offset
    private(set) var unsettled = 0
    private(set) var ready = List()
    private(set) var readyBytes = 0
    /// Entries by their state.
    private(set) var counts = StateCounts()
    /// Entries whose attempts are used up and which stay.
    private(set) var blocked = 0
    /// Something was settled between the last entry and the position.
    private var endsSettled = false
    private var firstFree = Ledger.none
    private var first = Ledger.none
    private var last = Ledger.none
    private var offsets = IndexTable()
    /// Settled by outcome since the last write, and in the write under way.
    private var written = List()
    private var committing = List()
    /// The highest offset that was settled by an outcome: what lies above need not be in the durable state.
    private var settledEdge: Offset
    /// Unsettled entries that failed before.
    private var failed = 0
    private let fault: LedgerFault
    /// What a restart brought and reading has not reached yet.
    private var restored: RestoredLedger

    /// - Parameter start: the first record that is there; what the state leaves unsettled below it is lost.
    init(_ state: LedgerState, start: Offset, fault: LedgerFault = .none) {
        self.restored = RestoredLedger(state, start: start)
        self.position = self.restored.skip(from: max(state.watermark, start))
        // All that the restart brought as settled must be written again.
        self.settledEdge = max(self.position, state.settled.last?.upperBound ?? 0)
        self.fault = fault
    }

    /// Unsettled offsets below the first record there is, and those of them that had failed before.
    var lost: (count: Int64, pending: [LedgerState.Pending]) { (self.restored.lostCount, self.restored.lostPending) }

    /// Every offset below it is settled, in memory; the durable one follows with the ledger's writes.
    var watermark: Offset { self.first == Self.none ? self.position : self.entries[Int(self.first)].offset }

    subscript(slot: Int32) -> Entry { self.entries[Int(slot)] }

    /// The unsettled delivery of the lowest offset.
    var oldest: Entry? { self.first == Self.none ? nil : self.entries[Int(self.first)] }

    /// The first entry in the order of offsets that is meant. Walks those before it, so it is for rare questions.
    func first(where isMeant: (Entry) -> Bool) -> Entry? {
        var slot = self.first
        while slot != Self.none {
            if isMeant(self.entries[Int(slot)]) { return self.entries[Int(slot)] }
            slot = self.entries[Int(slot)].after
        }
        return nil
    }

    /// Whether a delivery is yet to be read.
    func isAhead(_ offset: Offset) -> Bool { offset >= self.position && !self.restored.holdsSettled(offset) }

    // In place: called out of line, what is asked for each event would be asked of a copy.
    @inline(__always)
    func find(_ offset: Offset) -> Int32? { self.offsets[UInt64(bitPattern: offset)] }

    /// Whether a slot holds a delivery whose next attempt is due.
    func isWaiting(_ slot: Int32, until now: Timestamp) -> Bool {
        guard Int(slot) < self.entries.count else { return false }
        return self.entries[Int(slot)].state == .waiting && self.entries[Int(slot)].due <= now
    }

    // MARK: arrival

    /// Takes in a record read at or after the position.
    /// - Returns: its entry, or nil when it needs none: it was settled before a restart.
    mutating func admit(
        _ offset: Offset, orderKey: UInt64, bytes: Int, tableMark: UInt64, appended: Timestamp = .zero,
        expires: Timestamp = .distantFuture, isPoison: Bool = false, isOnce: Bool = false, due: Timestamp = .zero
    ) -> Int32? {
        self.position = offset + 1
        let passed = self.restored.nextSettled
        let isSettled = self.restored.isSettled(offset)
        if isSettled || self.restored.nextSettled > passed { self.endsSettled = true }
        if isSettled { return nil }
        let slot = self.allocate()
        var entry = Entry()
        entry.followsSettled = self.endsSettled
        self.endsSettled = false
        entry.offset = offset
        entry.orderKey = orderKey
        entry.bytes = Int32(clamping: bytes)
        entry.tableMark = tableMark
        entry.appended = appended
        entry.expires = expires
        entry.isPoison = isPoison
        entry.isOnce = isOnce
        entry.due = due
        entry.state = .held
        self.counts[.held] += 1
        entry.before = self.last
        if let pending = self.restored.pending(offset) {
            entry.attempts = Int32(clamping: pending.attempts)
            entry.due = pending.nextDue
            self.failed += 1
        }
        if self.last == Self.none { self.first = slot } else { self.entries[Int(self.last)].after = slot }
        self.last = slot
        self.entries[Int(slot)] = entry
        self.offsets.set(UInt64(bitPattern: offset), slot)
        self.unsettled += 1
        return slot
    }

    /// Takes in a delivery that failed before a restart and whose record is gone since: it lies below the position.
    /// - Precondition: called in ascending order, before the first ``admit(_:orderKey:bytes:tableMark:)``.
    mutating func admitExpired(_ pending: LedgerState.Pending) {
        let position = self.position
        // Whatever lies around it was settled or lost before the restart.
        self.endsSettled = true
        guard pending.offset < position, let slot = self.admit(pending.offset, orderKey: 0, bytes: 0, tableMark: 0)
        else { return }
        self.endsSettled = true
        self.position = position
        self.entries[Int(slot)].attempts = Int32(clamping: pending.attempts)
        self.set(slot, .running)
        self.failed += pending.attempts > 0 ? 1 : 0
    }

    /// The first offset at or after the position and below `end` that failed before a restart.
    mutating func missing(before end: Offset) -> Offset? {
        guard let pending = self.restored.nextPending(from: self.position), pending.offset < end else { return nil }
        return pending.offset
    }

    /// Everything below `next` was read. Ranges that were settled before a restart are passed over.
    mutating func pass(to next: Offset) {
        // What is passed may have been looked at, as by a filter.
        if next > self.position { self.endsSettled = true }
        let before = self.position
        defer { if self.position > max(before, next) { self.endsSettled = true } }
        self.position = self.restored.skip(from: max(self.position, next))
    }

    private mutating func allocate() -> Int32 {
        guard self.firstFree != Self.none else {
            self.entries.append(Entry())
            return Int32(self.entries.count - 1)
        }
        let slot = self.firstFree
        self.firstFree = self.entries[Int(slot)].next
        return slot
    }

    // MARK: the way of one entry

    mutating func makeReady(_ slot: Int32) {
        self.set(slot, .ready)
        self.readyBytes += Int(self.entries[Int(slot)].bytes)
        self.ready.append(slot, &self.entries)
    }

    /// Its attempt did not begin after all: it is the next again.
    mutating func makeReadyAgain(_ slot: Int32) {
        self.entries[Int(slot)].state = .ready
        self.readyBytes += Int(self.entries[Int(slot)].bytes)
        self.ready.prepend(slot, &self.entries)
    }

    /// It failed with others and nobody knows which of them is to blame: it may run again in a batch of at most so many.
    mutating func split(_ slot: Int32, batchMax: Int) {
        self.entries[Int(slot)].batchMax = min(self.entries[Int(slot)].batchMax, Int32(clamping: batchMax))
        self.makeReady(slot)
    }

    /// The ready delivery that has waited longest; its attempt starts.
    mutating func takeReady() -> Int32? {
        let slot = self.ready.first
        guard slot != Self.none else { return nil }
        self.ready.first = self.entries[Int(slot)].next
        if self.ready.first == Self.none { self.ready.last = Self.none }
        self.ready.count -= 1
        self.readyBytes -= Int(self.entries[Int(slot)].bytes)
        self.set(slot, .running)
        return slot
    }

    /// A ready delivery shall not run after all. Walks those that are ready before it, so it is for rare events.
    mutating func withdraw(_ slot: Int32) {
        guard self.entries[Int(slot)].state == .ready else { return }
        var before = Self.none
        var at = self.ready.first
        while at != slot, at != Self.none {
            before = at
            at = self.entries[Int(at)].next
        }
        let after = self.entries[Int(slot)].next
        if before == Self.none { self.ready.first = after } else { self.entries[Int(before)].next = after }
        if after == Self.none { self.ready.last = before }
        self.ready.count -= 1
        self.readyBytes -= Int(self.entries[Int(slot)].bytes)
        self.set(slot, .running)
    }

    /// An attempt failed; `due` is when the next may start.
    mutating func fail(_ slot: Int32, due: Timestamp) {
        if self.entries[Int(slot)].attempts == 0 { self.failed += 1 }
        self.entries[Int(slot)].attempts = min(
            self.entries[Int(slot)].attempts + 1, Int32(Limits.Engine.countedAttempts))
        self.wait(slot)
        self.entries[Int(slot)].due = due
    }

    /// It may run, but not before its due time.
    mutating func wait(_ slot: Int32) { self.set(slot, .waiting) }

    /// Its next attempt is due earlier than was said.
    mutating func hurry(_ slot: Int32, due: Timestamp) { self.entries[Int(slot)].due = due }

    /// Its attempts are used up, and it stays until one more succeeds.
    mutating func block(_ slot: Int32) {
        if !self.entries[Int(slot)].isBlocked { self.blocked += 1 }
        self.entries[Int(slot)].isBlocked = true
    }

    private mutating func set(_ slot: Int32, _ state: State) {
        self.counts[self.entries[Int(slot)].state] -= 1
        self.counts[state] += 1
        self.entries[Int(slot)].state = state
    }

    /// The outcome is known; the entry stays until its outputs are durable.
    mutating func finish(_ slot: Int32) { self.set(slot, .finished) }

    /// The next write settles the delivery of that offset. False when it is not there, is not finished, or was written before.
    mutating func write(at offset: Offset) -> Bool { self.find(offset).map { self.write($0) } ?? false }

    /// The next write settles it. False when it is not finished, or was written before.
    mutating func write(_ slot: Int32) -> Bool {
        guard self.entries[Int(slot)].state == .finished else { return false }
        self.set(slot, .written)
        self.settledEdge = max(self.settledEdge, self.entries[Int(slot)].offset)
        if self.entries[Int(slot)].attempts > 0 { self.failed -= 1 }
        self.written.append(slot, &self.entries)
        return true
    }

    /// The next write does not settle it after all. Walks what is written before it, so it is for rare events.
    mutating func unwrite(_ slot: Int32) -> Bool {
        guard self.entries[Int(slot)].state == .written else { return false }
        var before = Self.none
        var at = self.written.first
        while at != slot {
            // It is in the write under way.
            guard at != Self.none else { return false }
            before = at
            at = self.entries[Int(at)].next
        }
        let after = self.entries[Int(slot)].next
        if before == Self.none { self.written.first = after } else { self.entries[Int(before)].next = after }
        if after == Self.none { self.written.last = before }
        self.written.count -= 1
        self.set(slot, .finished)
        if self.entries[Int(slot)].attempts > 0 { self.failed += 1 }
        return true
    }

    /// Settles at once what needs no output.
    mutating func settle(_ slot: Int32) {
        self.settledEdge = max(self.settledEdge, self.entries[Int(slot)].offset)
        if self.entries[Int(slot)].attempts > 0, self.entries[Int(slot)].state != .written { self.failed -= 1 }
        self.remove(slot)
    }

    private mutating func remove(_ slot: Int32) {
        let entry = self.entries[Int(slot)]
        if entry.before == Self.none {
            self.first = entry.after
        } else {
            self.entries[Int(entry.before)].after = entry.after
        }
        if entry.after == Self.none {
            self.last = entry.before
            self.endsSettled = true
        } else {
            self.entries[Int(entry.after)].before = entry.before
            self.entries[Int(entry.after)].followsSettled = true
        }
        self.offsets.remove(UInt64(bitPattern: entry.offset))
        self.counts[entry.state] -= 1
        if entry.isBlocked { self.blocked -= 1 }
        self.entries[Int(slot)].state = .free
        self.entries[Int(slot)].isBlocked = false
        self.entries[Int(slot)].next = self.firstFree
        self.firstFree = slot
        self.unsettled -= 1
    }

    /// Gives back what a burst took, when nothing is left of it.
    mutating func trim() {
        guard self.unsettled == 0 else { return }
        self.entries = []
        self.firstFree = Self.none
        self.offsets = IndexTable()
    }

    // MARK: durable state

    /// The state to write now. What is written counts as settled in it; ``commitWrite()`` or ``abortWrite()`` follows.
    mutating func beginWrite() -> LedgerState {
        precondition(self.committing.count == 0, "one write is under way at most")
        self.committing = self.written
        self.written = List()
        return self.state
    }

    /// The entries that the write under way settles.
    var committingSlots: [Int32] {
        var slots: [Int32] = []
        slots.reserveCapacity(self.committing.count)
        var slot = self.committing.first
        while slot != Self.none {
            slots.append(slot)
            slot = self.entries[Int(slot)].next
        }
        return slots
    }

    /// The write is durable: its entries leave.
    /// - Returns: how many.
    mutating func commitWrite() -> Int {
        let count = self.committing.count
        var slot = self.committing.first
        self.committing = List()
        while slot != Self.none {
            let next = self.entries[Int(slot)].next
            self.remove(slot)
            slot = next
        }
        return count
    }

    /// The write did not happen: its entries are part of the next one.
    mutating func abortWrite() {
        guard self.committing.count > 0 else { return }
        if self.written.count == 0 {
            self.written = self.committing
        } else {
            self.entries[Int(self.committing.last)].next = self.written.first
            self.written = List(
                first: self.committing.first, last: self.written.last, count: self.committing.count + self.written.count
            )
        }
        self.committing = List()
    }

    /// What a restart needs to know, with all that is written counted as settled.
    var state: LedgerState {
        var builder = LedgerStateBuilder()
        var slot = self.first
        var failed = self.failed
        var isAfterSettled = false
        while slot != Self.none {
            let entry = self.entries[Int(slot)]
            slot = entry.after
            isAfterSettled = isAfterSettled || entry.followsSettled
            guard entry.state != .written else {
                isAfterSettled = true
                continue
            }
            defer { isAfterSettled = false }
            // Nothing above was settled by an outcome and nothing above failed: a restart may read it all again.
            if entry.offset > self.settledEdge && failed == 0 {
                builder.unsettled(entry.offset, afterSettled: isAfterSettled)
                return self.finish(builder, isCut: true)
            }
            builder.unsettled(entry.offset, afterSettled: isAfterSettled)
            if entry.attempts > 0 {
                failed -= 1
                builder.pending(
                    LedgerState.Pending(offset: entry.offset, attempts: Int(entry.attempts), nextDue: entry.due))
            }
        }
        return self.finish(builder, isCut: !isAfterSettled && !self.endsSettled)
    }

    private func finish(_ builder: LedgerStateBuilder, isCut: Bool) -> LedgerState {
        var state = builder.state(position: self.position, isCut: isCut)
        self.restored.appendRest(to: &state, position: self.position)
        switch self.fault {
        case .commitsPastUnfinished: state = LedgerState(watermark: state.settled.last?.upperBound ?? state.watermark)
        case .forgetsSettledRanges: state.settled = []
        case .losesAttempts: state.pending = []
        case .none, .ignoresKeyOrder: break
        }
        return state
    }
}
