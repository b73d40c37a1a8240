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
                for pair in text.split(separator: ",") {
                    let parts = pair.split(separator: ":")
                    guard parts.count == 2, let partition = Int(parts[0]), let offset = Offset(parts[1]), offset >= 0 else {
                        throw ApusError(
                            .invalidArgument, "from=\(text.prefix(64)): earliest, latest, a time (2026-01-31T12:00:00Z) or an offset is expected")
                    }
                    offsets[partition] = offset
                }
                self = .offsets(offsets)
            }
        }
    }

    struct Page: Sendable {
        var events: [(timestamp: Timestamp, json: [UInt8], partition: Int, offset: Offset)] = []
        /// Where each partition goes on.
        var next: [Int: Offset] = [:]
        var isAtEnd = true
    }

    var topic: TopicName
    var partitions: [Int]
    var from: From
    var limit: Int
    var headers: Bool

    /// Reads up to ``limit`` records, oldest first over the partitions. On a thread that may wait for pages.
    func read(_ log: any EventLog) throws(ApusError) -> Page {
        var page = Page()
        for partition in self.partitions {
            let place = TopicPartition(self.topic, partition)
            let start = try self.start(of: place, log)
            var events: [(timestamp: Timestamp, json: [UInt8], partition: Int, offset: Offset)] = []
            let next = try log.read(place, from: start, maxRecords: self.limit, maxBytes: Limits.Server.bytesPerRead) { offset, block in
                // Every record was checked when it was appended.
                if let event = try? EventBlock.decode(block.bytes) {
                    let json = CloudEventEncoder.json(event, partition: partition, offset: offset, headers: self.headers)
                    events.append((event.timestamp, json, partition, offset))
                }
                return true
            }
            page.next[partition] = next
            page.events += events
        }
        page.events.sort { ($0.timestamp, $0.partition, $0.offset) < ($1.timestamp, $1.partition, $1.offset) }
        if page.events.count > self.limit {
            // What does not fit is read again by the next call: each partition goes on at its first event left out.
            for event in page.events[self.limit...].reversed() { page.next[event.partition] = event.offset }
            page.events.removeLast(page.events.count - self.limit)
        }
        for (partition, next) in page.next where try next < log.bounds(of: TopicPartition(self.topic, partition)).end { page.isAtEnd = false }
        return page
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
