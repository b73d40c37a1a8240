internal import ApusCore

/// Reads `text/event-stream`: the data of each event, its lines joined.
struct EventStreamReader {
    private var lines: LineSplitter
    private var data: [UInt8]?

    init(lineBytes: Int) { self.lines = LineSplitter(lineBytes: lineBytes) }

    /// - Returns: the data of the events that are whole now.
    mutating func take(_ bytes: [UInt8]) throws(ApusError) -> [[UInt8]] {
        var events: [[UInt8]] = []
        for line in try self.lines.take(bytes) {
            if line.isEmpty {
                if let data = self.data { events.append(data) }
                self.data = nil
            } else if line.starts(with: "data:".utf8) {
                var value = line.dropFirst(5)
                if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
                self.data = self.data.map { $0 + [0x0A] + value } ?? Array(value)
                guard self.data?.count ?? 0 <= self.lines.lineBytes else {
                    throw ApusError(.bodyTooLarge, "an event of the stream has more than \(self.lines.lineBytes) bytes")
                }
            }
        }
        return events
    }
}
