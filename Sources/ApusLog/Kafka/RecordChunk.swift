internal import ApusCore

/// Records of one partition in memory: all that there are from `first` up to `next`, so that an offset in between that is not here is
/// nowhere. Never changes.
final class RecordChunk: Sendable {
    let first: Offset
    let next: Offset
    private let offsets: [Offset]
    /// Where each record ends in `bytes`.
    private let ends: [Int]
    private let memory: ChunkMemory

    init(first: Offset, next: Offset, offsets: [Offset], ends: [Int], memory: ChunkMemory) {
        self.first = first
        self.next = next
        self.offsets = offsets
        self.ends = ends
        self.memory = memory
    }

    var count: Int { self.offsets.count }
    var byteCount: Int { self.memory.count }
    func offset(_ index: Int) -> Offset { self.offsets[index] }
    func size(_ index: Int) -> Int { self.ends[index] - (index == 0 ? 0 : self.ends[index - 1]) }

    /// The first record whose offset is not before `offset`.
    func index(from offset: Offset) -> Int {
        var (low, high) = (0, self.offsets.count)
        while low < high {
            let middle = (low + high) / 2
            if self.offsets[middle] < offset { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func index(of offset: Offset) -> Int? {
        let index = self.index(from: offset)
        return index < self.offsets.count && self.offsets[index] == offset ? index : nil
    }

    func lend<Result>(_ index: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let start = index == 0 ? 0 : self.ends[index - 1]
        // The memory lives as long as this.
        return withExtendedLifetime(self) { body(self.memory[start..<self.ends[index]]) }
    }

    /// How much of it lies at or behind an offset.
    func rest(from offset: Offset) -> (records: Int, bytes: Int) {
        let index = self.index(from: offset)
        return (self.count - index, self.byteCount - (index == 0 ? 0 : self.ends[index - 1]))
    }

    /// Both as one; `other` begins where this ends.
    func joined(_ other: RecordChunk) -> RecordChunk {
        let shift = self.byteCount
        let memory = ChunkMemory()
        _ = memory.room(for: shift + other.byteCount)
        memory.append(self.memory[0..<shift])
        memory.append(other.memory[0..<other.byteCount])
        return RecordChunk(
            first: self.first, next: other.next, offsets: self.offsets + other.offsets,
            ends: self.ends + other.ends.map { $0 + shift }, memory: memory)
    }
}

/// A chunk being filled.
struct ChunkBuilder {
    let first: Offset
    private(set) var next: Offset
    private var offsets: [Offset] = []
    private var ends: [Int] = []
    private let memory = ChunkMemory()

    /// - Parameter expected: about how many records will come.
    init(first: Offset, expected: Int = 0) {
        self.first = first
        self.next = first
        self.offsets.reserveCapacity(expected)
        self.ends.reserveCapacity(expected)
    }

    var count: Int { self.offsets.count }
    var byteCount: Int { self.memory.count }

    /// - Parameter write: appends the record's block.
    mutating func append(_ offset: Offset, _ write: (ChunkMemory) -> Void) {
        write(self.memory)
        self.offsets.append(offset)
        self.ends.append(self.memory.count)
        self.next = offset + 1
    }

    /// There is nothing more before `offset`.
    mutating func pass(to offset: Offset) { self.next = max(self.next, offset) }

    func finish() -> RecordChunk {
        self.memory.trim()
        return RecordChunk(
            first: self.first, next: self.next, offsets: self.offsets, ends: self.ends, memory: self.memory)
    }
}

/// The chunks of a partition, in order, none overlapping another.
struct ChunkMap {
    private var chunks: [RecordChunk] = []

    /// What became of the chunks: bytes are counted by who holds the map.
    struct Change {
        var added: RecordChunk?
        var removed: [RecordChunk] = []
    }

    /// The chunk that covers `offset`.
    subscript(covering offset: Offset) -> RecordChunk? {
        let index = self.index(endingAfter: offset)
        return index < self.chunks.count && self.chunks[index].first <= offset ? self.chunks[index] : nil
    }

    /// Whether everything from `offset` up to `end` is here.
    func covers(_ offset: Offset, upTo end: Offset) -> Bool {
        var next = offset
        var index = self.index(endingAfter: offset)
        while next < end {
            guard index < self.chunks.count, self.chunks[index].first <= next else { return false }
            next = self.chunks[index].next
            index += 1
        }
        return true
    }

    /// Where the first chunk behind `offset` begins.
    func start(after offset: Offset) -> Offset? {
        let index = self.index(endingAfter: offset)
        return index < self.chunks.count ? self.chunks[index].first : nil
    }

    /// Records and bytes at or behind an offset.
    func rest(from offset: Offset) -> (records: Int, bytes: Int) {
        var sum = (records: 0, bytes: 0)
        for index in self.index(endingAfter: offset)..<self.chunks.count {
            let rest = self.chunks[index].rest(from: offset)
            sum.records += rest.records
            sum.bytes += rest.bytes
        }
        return sum
    }

    /// Adds a chunk unless something of it is here already; small neighbours become one.
    mutating func insert(_ chunk: RecordChunk) -> Change {
        guard chunk.next > chunk.first else { return Change() }
        let index = self.index(endingAfter: chunk.first)
        guard index == self.chunks.count || self.chunks[index].first >= chunk.next else { return Change() }
        if index > 0 {
            let before = self.chunks[index - 1]
            if before.next == chunk.first, before.byteCount + chunk.byteCount <= Limits.Kafka.chunkBytes {
                let joined = before.joined(chunk)
                self.chunks[index - 1] = joined
                return Change(added: joined, removed: [before])
            }
        }
        self.chunks.insert(chunk, at: index)
        return Change(added: chunk)
    }

    mutating func removeFirst() -> RecordChunk? { self.chunks.isEmpty ? nil : self.chunks.removeFirst() }

    mutating func removeAll() -> [RecordChunk] {
        defer { self.chunks = [] }
        return self.chunks
    }

    private func index(endingAfter offset: Offset) -> Int {
        var (low, high) = (0, self.chunks.count)
        while low < high {
            let middle = (low + high) / 2
            if self.chunks[middle].next <= offset { low = middle + 1 } else { high = middle }
        }
        return low
    }
}
