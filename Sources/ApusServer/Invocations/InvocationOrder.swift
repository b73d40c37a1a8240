internal import ApusCore
internal import ApusHost
internal import ApusStore

/// An event that was accepted as an asynchronous invocation, as it goes to its function's queue.
struct InvocationOrder: Sendable {
    private let event: Event

    /// - Throws: `event_too_large`, `invalid_event` for an `expirytime` that is none, `expired` for one that has passed.
    init(_ event: Event, principal: String, told: [Attribute] = [], now: Timestamp) throws(ApusError) {
        var event = event
        // What Apus says of an event is said anew.
        event.attributes.removeAll { $0.kind == .header && $0.name.hasPrefix(InternalHeader.prefix) }
        event.attributes += told
        event.attributes.append(Attribute(InvocationHeader.principal, String(principal.prefix(256)), kind: .header))
        if let text = event["expirytime"] {
            guard let expires = RFC3339.parse(text) else {
                throw ApusError(
                    .invalidEvent, "the expirytime '\(text.prefix(64))' is no time: write it as 2026-01-31T12:00:00Z")
            }
            guard expires > now else { throw ApusError(.expired, "the invocation's expirytime has passed already") }
            event.attributes.append(
                Attribute(InvocationHeader.expires, "\(max(0, expires.microseconds))", kind: .header))
        }
        event.timestamp = .zero
        try EventBlock.check(event)
        self.event = event
    }

    /// - Parameter lane: the upper half of the invocation's id.
    func block(lane: UInt64) -> [UInt8] {
        var event = self.event
        event.attributes.append(Attribute(InvocationHeader.lane, hexadecimal(lane), kind: .header))
        return EventBlock.encode(event)
    }
}
