internal import ApusCore

/// Events gathered for one request, bounded in number and bytes.
struct EventBatch {
    /// `[…]`, without its end.
    private var bytes: [UInt8] = []
    private(set) var count = 0
    /// Lines of the first and the last event.
    private(set) var firstLine = 0
    private(set) var lastLine = 0

    var isEmpty: Bool { self.count == 0 }

    /// Whether one more event belongs into the next request. A single event may be larger than the bound.
    func isFull(for event: [UInt8]) -> Bool {
        self.count > 0
            && (self.count >= Limits.Commands.batchEvents
                || self.bytes.count + event.count + 2 > Limits.Commands.batchBytes)
    }

    mutating func add(_ event: [UInt8], line: Int) {
        self.bytes.append(self.isEmpty ? UInt8(ascii: "[") : UInt8(ascii: ","))
        self.bytes += event
        if self.isEmpty { self.firstLine = line }
        self.lastLine = line
        self.count += 1
    }

    /// The request's body: `application/cloudevents-batch+json`.
    var body: [UInt8] { self.bytes + [UInt8(ascii: "]")] }
}
