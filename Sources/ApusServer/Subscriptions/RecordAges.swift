internal import ApusCore
internal import ApusEngine
internal import ApusStore

/// How old what is not settled is. What was read says it of itself; of a partition that nothing was read of, its first record is
/// looked at, so many for one answer. On a thread that may wait for pages.
struct RecordAges {
    let log: any EventLog
    let now: Timestamp
    /// What would have to be waited for stays open.
    private let readsMemoryOnly: Bool
    private var looks = 0
    private var seen: [RecordPlace: Timestamp] = [:]

    init(log: any EventLog, now: Timestamp, readsMemoryOnly: Bool = false) {
        self.readsMemoryOnly = readsMemoryOnly
        self.log = log
        self.now = now
    }

    /// When the log took the oldest record that is not settled; nil when there is none, or nobody can say.
    mutating func oldest(of partition: PartitionStatus, _ topic: TopicName) -> Timestamp? {
        if let oldest = partition.oldest { return oldest }
        guard partition.lag > 0 else { return nil }
        return self.first(at: RecordPlace(TopicPartition(topic, partition.partition), partition.position))
    }

    /// When the log took the first record from there on.
    mutating func first(at place: RecordPlace) -> Timestamp? {
        if let known = self.seen[place] { return known }
        guard self.looks < Limits.Server.agesPerRead else { return nil }
        if self.readsMemoryOnly, !self.log.isInMemory(place.partition, from: place.offset) { return nil }
        self.looks += 1
        var found: Timestamp?
        // A partition that cannot be read says so elsewhere; here its age stays open.
        _ = try? self.log.read(place.partition, from: place.offset, maxRecords: 1, maxBytes: 1) { _, block in
            found = (try? EventLayout(parsing: block.bytes))?.timestamp
            return false
        }
        self.seen[place] = found
        return found
    }

    func seconds(since time: Timestamp) -> Double { Double(max(0, (self.now - time).milliseconds)) / 1_000 }
}
