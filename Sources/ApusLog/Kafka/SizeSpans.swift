internal import ApusCore

/// How much this node appended to a partition, by offset: what retention by size goes by. What others appended is not here, so that
/// nothing is taken too early; Kafka's own retention sees to the rest.
struct SizeSpans {
    struct Span {
        var next: Offset
        var bytes: Int64
        var time: Timestamp
    }

    private(set) var spans: Deque<Span> = Deque()
    private(set) var bytes: Int64 = 0

    mutating func add(next: Offset, bytes: Int, time: Timestamp) {
        self.bytes += Int64(bytes)
        self.spans.append(Span(next: next, bytes: Int64(bytes), time: time))
        guard self.spans.count > Limits.Kafka.sizeSpans else { return }
        var joined: Deque<Span> = Deque()
        while let first = self.spans.popFirst() {
            let second = self.spans.popFirst()
            joined.append(
                Span(
                    next: second?.next ?? first.next, bytes: first.bytes + (second?.bytes ?? 0),
                    time: second?.time ?? first.time))
        }
        self.spans = joined
    }

    mutating func dropFirst() -> Span? {
        guard let first = self.spans.popFirst() else { return nil }
        self.bytes -= first.bytes
        return first
    }

    /// Retention by time took what lies before.
    mutating func drop(before offset: Offset) {
        while let first = self.spans.first, first.next <= offset { _ = self.dropFirst() }
    }
}
