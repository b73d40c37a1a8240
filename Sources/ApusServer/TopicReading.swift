internal import ApusCore
internal import ApusStore

/// What a caller wants to read of a topic, and one step of reading it.
struct TopicReading: Sendable {
    enum From: Sendable {
        case position(StartPosition)
        /// An offset per partition: `0:17,1:4`, or one for all.
        case offsets([Int: Offset])
        case offset(Offset)

        /// `earliest`, `latest`, an RFC 3339 time, an offset, or `partition:offset` pairs with commas between them.
        init(_ text: String) throws(ApusError) {
            if text == "earliest" {
                self = .position(.earliest)
            } else if text == "latest" {
                self = .position(.latest)
            } else if let offset = Offset(text), offset >= 0 {
                self = .offset(offset)
            } else if let time = RFC3339.parse(text) {
                self = .position(.timestamp(time))
            } else {
                var offsets: [Int: Offset] = [:]
                for pair in text.split(separator: ",", omittingEmptySubsequences: false) {
                    let parts = pair.split(separator: ":", omittingEmptySubsequences: false)
                    guard parts.count == 2, let partition = Int(parts[0]), partition >= 0,
                        let offset = Offset(parts[1]), offset >= 0,
                        offsets[partition] == nil
                    else {
                        throw ApusError(
                            .invalidArgument,
                            "from=\(text.prefix(64)): earliest, latest, a time (2026-01-31T12:00:00Z) or an offset is expected"
                        )
                    }
                    offsets[partition] = offset
                }
                self = .offsets(offsets)
            }
        }

        /// - Throws: `invalid_argument` for a partition that the topic does not have.
        func check(partitions: Int) throws(ApusError) {
            guard case .offsets(let offsets) = self, let unknown = offsets.keys.filter({ $0 >= partitions }).min()
            else { return }
            throw ApusError(.invalidArgument, "from=\(unknown):…: the topic's partitions are 0 to \(partitions - 1)")
        }
    }

    typealias PageEvent = (timestamp: Timestamp, json: [UInt8], partition: Int, offset: Offset)

    struct Page: Sendable {
        var events: [PageEvent] = []
        /// Where each partition goes on.
        var next: [Int: Offset] = [:]
        var isAtEnd = true
    }

    var topic: TopicName
    var partitions: [Int]
    var from: From
    var limit: Int
    var headers: Bool

    /// Reads up to ``limit`` records and ``Limits/Server/pageBytes``, oldest first over the partitions. On a thread that may wait
    /// for pages.
    func read(_ log: any EventLog) throws(ApusError) -> Page {
        var page = Page()
        var found: [Found] = []
        // What is wanted is chosen by its time and size first; only what goes into the page is taken out of the log.
        let budget = max(1, Limits.Server.pageBytes / max(1, self.partitions.count))
        for partition in self.partitions {
            let place = TopicPartition(self.topic, partition)
            let start = try self.start(of: place, log)
            page.next[partition] = try log.read(place, from: start, maxRecords: self.limit, maxBytes: budget) {
                offset, block in
                // Every record was checked when it was appended.
                if let layout = try? EventLayout(parsing: block.bytes) {
                    found.append(
                        Found(timestamp: layout.timestamp, partition: partition, offset: offset, bytes: block.count))
                }
                return true
            }
        }
        found.sort { ($0.timestamp, $0.partition, $0.offset) < ($1.timestamp, $1.partition, $1.offset) }
        let fitting = Self.count(of: found.prefix(self.limit).lazy.map(\.bytes))
        var events = try self.events(found.prefix(fitting), log)
        // As JSON an event may be several times as large.
        let taken = Self.count(of: events.lazy.map { $0?.json.count ?? 0 })
        events.removeLast(events.count - taken)
        // What does not fit is read again by the next call: each partition goes on at its first event left out.
        for left in found[taken...].reversed() { page.next[left.partition] = left.offset }
        page.events = events.compactMap { $0 }
        for (partition, next) in page.next where try next < log.bounds(of: TopicPartition(self.topic, partition)).end {
            page.isAtEnd = false
        }
        return page
    }

    /// A record that a page could hold.
    private struct Found {
        var timestamp: Timestamp
        var partition: Int
        var offset: Offset
        var bytes: Int
    }

    /// How many of these sizes fit into a page: one at least.
    private static func count(of sizes: some Collection<Int>) -> Int {
        var total = 0
        var count = 0
        for size in sizes {
            total += size
            if count > 0, total > Limits.Server.pageBytes { break }
            count += 1
        }
        return count
    }

    /// The records as JSON; nil where retention or compaction was faster.
    private func events(_ found: ArraySlice<Found>, _ log: any EventLog) throws(ApusError) -> [PageEvent?] {
        let found = Array(found)
        var events = [PageEvent?](repeating: nil, count: found.count)
        let places = found.map { RecordPlace(TopicPartition(self.topic, $0.partition), $0.offset) }
        try log.records(at: places) { index, block in
            guard let block, let event = try? EventBlock.decode(block.bytes) else { return }
            let (partition, offset) = (found[index].partition, found[index].offset)
            let json = CloudEventEncoder.json(event, partition: partition, offset: offset, headers: self.headers)
            events[index] = (event.timestamp, json, partition, offset)
        }
        return events
    }

    /// Where each partition starts now. On a thread that may wait for pages.
    func starts(_ log: any EventLog) throws(ApusError) -> [Int: Offset] {
        var starts: [Int: Offset] = [:]
        for partition in self.partitions {
            starts[partition] = try self.start(of: TopicPartition(self.topic, partition), log)
        }
        return starts
    }

    private func start(of place: TopicPartition, _ log: any EventLog) throws(ApusError) -> Offset {
        let bounds = try log.bounds(of: place)
        switch self.from {
        case .position(.earliest): return bounds.start
        case .position(.latest): return bounds.end
        case .position(.timestamp(let time)): return try log.offset(of: place, at: time)
        case .offset(let offset): return max(offset, bounds.start)
        case .offsets(let offsets): return max(offsets[place.partition] ?? bounds.start, bounds.start)
        }
    }
}
