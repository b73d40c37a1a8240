internal import ApusCore
internal import ApusEngine
internal import ApusTelemetry

/// An attempt's place in a trace that is recorded. Made only for such: other attempts have none.
final class AttemptTrace {
    /// The attempt's own span, which the function sees.
    let context: TraceContext
    /// The delivery's span, or that of the call.
    let parent: SpanID
    let state: String?
    /// The first traced attempt of the same batch, and how many events the batch has.
    var batch: (first: TraceContext, count: Int)?

    init(context: TraceContext, parent: SpanID, state: String?) {
        self.context = context
        self.parent = parent
        self.state = state
    }
}

/// A delivery whose trace is recorded, from its first attempt until it is settled.
struct DeliveryTrace {
    let trigger: TriggerState
    let delivery: Delivery
    let trace: TraceID
    /// Who published the event.
    let parent: SpanID
    /// Made of the delivery's identity: attempts before and after a restart have one parent.
    let span: SpanID
    let state: String?
    let arrivedAt: Timestamp
    let firstDispatchAt: Timestamp
    var attempts = 0
    var failure: Failure?

    var context: TraceContext { TraceContext(trace: self.trace, span: self.span, isSampled: true) }

    static func span(of invocation: InvocationID) -> SpanID {
        var bits = invocation.high ^ (invocation.low &* 0x9E37_79B9_7F4A_7C15)
        bits = (bits ^ bits >> 31) &* 0xD6E8_FEB8_6659_FD93
        return SpanID(rawValue: bits ^ bits >> 32)
    }
}

/// Something that the next durable write settles and that somebody wants to hear of.
struct Settlement {
    /// Whose write it is part of.
    var group: LedgerGroup
    var outcomeAt: Timestamp
    var trace: DeliveryTrace?
    /// The number of its note.
    var note: UInt64?
}
