internal import ApusCore
internal import Synchronization

/// One partition as this node knows it: what is durable, what is in memory, who reads how far.
final class KafkaPartition: Sendable {
    let topic: TopicName
    let onKafka: String
    let number: Int
    /// On compacted topics: which record of a key is its newest.
    let compaction: CompactionIndex?
    /// Somebody who follows its topic needs it; looked at when reading begins.
    let isWanted = Atomic<Bool>(true)
    let appendedRecords = Atomic<Int64>(0)
    let appendedBytes = Atomic<Int64>(0)
    private let state = Mutex(State())
    private let sizes = Mutex(SizeSpans())

    /// Where the reading consumer stands.
    struct Reading {
        /// Where it goes on.
        var next: Offset
        /// As far as somebody has read.
        var furthest: Offset
        /// It was stopped because too much lies unread in memory.
        var isHeld = false
    }

    private struct State {
        var start: Offset = 0
        /// The end as far as this node knows it: what was acknowledged to it and what the cluster said.
        var end: Offset = 0
        var chunks = ChunkMap()
        /// Nil while nobody follows.
        var reading: Reading?
        /// Records on their way to the cluster.
        var inFlight = 0
        /// The end of a commit that followers have not heard of yet.
        var dueEnd: Offset?
        /// What followers heard last.
        var heard: Offset = 0

        var mayTell: Bool {
            guard let next = self.reading?.next, next > self.heard else { return false }
            if let due = self.dueEnd { return next >= due }
            return self.inFlight == 0
        }
    }

    init(_ topic: TopicName, _ onKafka: String, _ number: Int, isCompacted: Bool) {
        self.topic = topic
        self.onKafka = onKafka
        self.number = number
        self.compaction = isCompacted ? CompactionIndex() : nil
    }

    var place: TopicPartition { TopicPartition(self.topic, self.number) }

    // MARK: ends

    /// Nil when the cluster must be asked.
    var followedBounds: OffsetBounds? {
        self.state.withLock { state in
            guard let reading = state.reading, !reading.isHeld else { return nil }
            return OffsetBounds(start: state.start, end: max(state.start, state.end, reading.next))
        }
    }

    var knownEnd: Offset { self.state.withLock { max($0.end, $0.reading?.next ?? 0) } }

    /// What the cluster said of the partition's ends, with what this node knows better.
    func heard(_ bounds: OffsetBounds) -> OffsetBounds {
        self.state.withLock { state in
            state.start = max(state.start, bounds.start)
            state.end = max(state.end, bounds.end, state.start)
            return OffsetBounds(start: state.start, end: state.end)
        }
    }

    /// The cluster has less than this node was promised: what lies behind was lost with a broker.
    func truncated(to end: Offset) { self.state.withLock { $0.end = end } }

    // MARK: records in memory

    /// The chunk that covers an offset, or where the next one begins.
    func chunk(at offset: Offset) -> (chunk: RecordChunk?, start: Offset?) {
        self.state.withLock { ($0.chunks[covering: offset], $0.chunks.start(after: offset)) }
    }

    /// Whether reading on from an offset needs nothing but memory: of a partition that is followed, as far as followers may hear of it.
    func isInMemory(from offset: Offset) -> Bool {
        self.state.withLock { state in
            let read = state.reading?.next ?? 0
            let end = offset < read ? read : max(state.end, read)
            guard offset < end, self.compaction.map({ $0.next >= end }) ?? true else { return offset >= end }
            return state.chunks.covers(max(offset, state.start), upTo: end)
        }
    }

    /// Whether the reading consumer brings what lies at an offset in a moment.
    func isComing(_ offset: Offset) -> Bool {
        self.state.withLock { state in
            guard let reading = state.reading, !reading.isHeld else { return false }
            return offset >= reading.next
        }
    }

    /// What one record that is dispatched needs.
    enum AtHand {
        case chunk(RecordChunk)
        /// There is none, and there will be none.
        case nowhere
        /// It must be fetched.
        case missing
    }

    func atHand(_ offset: Offset) -> AtHand {
        self.state.withLock { state in
            if offset < state.start { return .nowhere }
            let end = max(state.end, state.reading?.next ?? 0)
            guard self.compaction.map({ $0.next >= end }) ?? true, let chunk = state.chunks[covering: offset] else {
                return .missing
            }
            return .chunk(chunk)
        }
    }

    func insert(_ chunk: RecordChunk) -> ChunkMap.Change { self.state.withLock { $0.chunks.insert(chunk) } }
    func forgetFirst() -> RecordChunk? { self.state.withLock { $0.chunks.removeFirst() } }
    func forgetAll() -> ChunkMap.Change {
        self.state.withLock { state in
            state.reading = nil
            return ChunkMap.Change(removed: state.chunks.removeAll())
        }
    }

    // MARK: the reading consumer

    var isFollowed: Bool { self.state.withLock { $0.reading != nil } }

    /// The consumer begins at the end as it is now.
    func begin(at bounds: OffsetBounds) {
        self.state.withLock { state in
            state.start = max(state.start, bounds.start)
            state.reading = Reading(next: bounds.end, furthest: bounds.end)
        }
    }

    func endReading() { self.state.withLock { $0.reading = nil } }
    func hold() { self.state.withLock { $0.reading?.isHeld = true } }
    /// - Returns: where the consumer goes on; nil when nobody follows any more.
    func goOn() -> Offset? {
        self.state.withLock { state in
            state.reading?.isHeld = false
            return state.reading?.next
        }
    }
    /// Where the consumer stands; what lies before it is a repetition. Nil when what arrives is not wanted.
    var readingNext: Offset? { self.state.withLock { $0.reading.flatMap { $0.isHeld ? nil : $0.next } } }

    /// The consumer has read on.
    /// - Returns: what changed in memory, and what lies unread there.
    func took(_ chunk: RecordChunk) -> (change: ChunkMap.Change, unread: (records: Int, bytes: Int)) {
        self.state.withLock { state in
            guard let reading = state.reading, chunk.first == reading.next else { return (ChunkMap.Change(), (0, 0)) }
            state.reading?.next = chunk.next
            let change = state.chunks.insert(chunk)
            return (change, state.chunks.rest(from: reading.furthest))
        }
    }

    /// Somebody has read up to `offset`.
    /// - Returns: what is left unread where the consumer was held; nil where it was not.
    func wasRead(to offset: Offset) -> (records: Int, bytes: Int)? {
        self.state.withLock { state in
            guard let reading = state.reading else { return nil }
            if offset > reading.furthest { state.reading?.furthest = offset }
            return reading.isHeld ? state.chunks.rest(from: max(offset, reading.furthest)) : nil
        }
    }

    // MARK: commits and what followers hear of them

    func takesOff(_ records: Int) { self.state.withLock { $0.inFlight += records } }

    /// Records that were on their way have arrived, or never will.
    /// - Parameter end: behind the last that arrived.
    /// - Returns: whether followers are to hear of it now.
    func landed(_ records: Int, end: Offset?) -> Bool {
        self.state.withLock { state in
            state.inFlight -= records
            if let end {
                state.end = max(state.end, end)
                state.dueEnd = state.dueEnd ?? end
            }
            return state.mayTell
        }
    }

    /// The end that followers are to hear of now: once for each commit of this node, whatever the consumer gets it in.
    func growth() -> Offset? {
        self.state.withLock { state in
            guard state.mayTell, let end = state.reading?.next else { return nil }
            state.dueEnd = nil
            state.heard = end
            return end
        }
    }

    // MARK: retention by size

    func noteSize(next: Offset, bytes: Int, time: Timestamp) {
        self.sizes.withLock { $0.add(next: next, bytes: bytes, time: time) }
    }

    var knownBytes: Int64 { self.sizes.withLock { $0.bytes } }
    var oldestSpan: SizeSpans.Span? { self.sizes.withLock { $0.spans.first } }
    /// - Returns: behind the records that may go.
    func dropOldestSpan() -> Offset? { self.sizes.withLock { $0.dropFirst()?.next } }
    func dropSpans(before offset: Offset) { self.sizes.withLock { $0.drop(before: offset) } }

    // MARK: the start

    var knownStart: Offset { self.state.withLock { $0.start } }
    /// What lies before was deleted.
    func starts(at offset: Offset) {
        self.state.withLock { state in
            state.start = max(state.start, offset)
            state.end = max(state.end, state.start)
        }
    }
}
