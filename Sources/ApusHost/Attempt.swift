internal import ApusCore
internal import ApusEngine

/// One attempt under way at a worker: what the host must know when its outcome comes.
struct Attempt {
    var stream: UInt64
    var work: Work
    var number: Int
    var dispatchedAt: Timestamp
    /// When what it runs came to be: its record was appended, or its caller called.
    var arrivedAt: Timestamp
    /// One of a BATCH: answered by ITEM_RESULT instead of RESULT or ERROR.
    var isItem: Bool
    /// The trigger of a delivery; nil for a direct invocation.
    var trigger: TriggerState?
    /// What outputs take over from the source event; nil when the trigger has none.
    var source: SourceContext?
    /// What only some attempts need; made when one does.
    var extras: AttemptExtras?

    var hasExtras: Bool { self.extras != nil }

    /// A slot of the table without an attempt.
    static var none: Attempt {
        Attempt(
            stream: 0, work: .request(RequestID(rawValue: 0)), number: 0, dispatchedAt: .zero, arrivedAt: .zero,
            isItem: false,
            trigger: nil,
            source: nil)
    }
}

/// What an attempt gathered before its outcome.
final class AttemptExtras {
    /// Where DATA frames of the stream go, those of an unfinished EMIT aside.
    enum Open {
        case none
        /// They complete the block of a RESULT or ITEM_RESULT.
        case result
        /// They are the parts of a streamed result.
        case parts
        /// They complete a RESULT that its caller takes in parts.
        case large
        /// They belong to a result that was refused already.
        case refused
        /// There may be none: the result is whole, and its data is being written beside its topic. Next: `claimed`.
        case claiming
        /// There may be none: the reply refers to its data.
        case claimed
    }

    var open = Open.none
    /// The result's block as far as it came; of a streamed one for a delivery, its parts follow one another in its
    /// data.
    var result: [UInt8] = []
    /// The length the block will have when it is whole.
    var expectedBytes = 0
    /// The parts of a streamed result become lines of JSON.
    var isLines = false
    /// Data of a streamed result so far.
    var partBytes = 0
    /// Of a result that is taken in parts: what waits on its way.
    var flow: PartFlow?
    /// The records of emitted events.
    var emits: [LogBatch.Append] = []
    /// Emitted events, refused ones included.
    var emitCount = 0
    var emitBytes = 0
    /// An EMIT whose data goes on in DATA frames.
    var openEmit: OpenEmit?
    /// The number of the last tool it called, 0 for none.
    var lastCall: UInt32 = 0
    /// The attempt's outcome whatever its final frame says: a bound was passed, or something was asked for that cannot
    /// be given.
    var override: Failure?
    /// The attempt's place in a trace that is recorded.
    var trace: AttemptTrace?
    /// Its worker sent what the attempt printed on standard error, line by line: the detail of its failure says no more.
    var hasLoggedErrors = false
    /// What its worker was denied while it ran alone.
    var denials: [Denial] = []

    struct OpenEmit {
        /// Nil when it was refused.
        var topic: TopicName?
        var block: [UInt8]
        var expectedBytes: Int
    }
}

/// What the outputs of a delivery take over from its event.
struct SourceContext {
    private(set) var key: [UInt8]?
    private(set) var hops = 0
    /// Nil for an event that is in no trace, as most are.
    private(set) var trace: SourceTrace?

    static let traceparentName = Array("traceparent".utf8)
    static let stateName = Array("tracestate".utf8)
    static let hopsName = Array(InternalHeader.hops.utf8)

    /// Reads what outputs need from an ``EventBlock``; a block that cannot be read gives nothing, and its attempt
    /// tells.
    init(_ block: UnsafeRawBufferPointer) {
        guard let layout = try? EventLayout(parsing: block.bytes) else { return }
        self.key = layout.key.map { Array(block[$0]) }
        try? layout.forEachAttribute(in: block.bytes) { name, kind, value in
            let isHeader = kind == Attribute.Kind.header.rawValue
            if name.count == Self.traceparentName.count, block[name].elementsEqual(Self.traceparentName) {
                let bytes = Array(block[value])
                self.inTrace { if isHeader { $0.hop = bytes } else { $0.traceparent = bytes } }
            } else if isHeader, block[name].elementsEqual(Self.hopsName) {
                self.hops = decimal(block[value]) ?? Limits.hops
            } else if isHeader, block[name].elementsEqual(Self.stateName) {
                let bytes = Array(block[value])
                self.inTrace { $0.state = bytes }
            }
            return true
        }
    }

    /// A traced attempt puts itself into the trace as its last hop.
    mutating func hop(_ hop: [UInt8]) { self.inTrace { $0.hop = hop } }

    private mutating func inTrace(_ change: (SourceTrace) -> Void) {
        let trace = self.trace ?? SourceTrace()
        self.trace = trace
        change(trace)
    }
}

/// Where an event is in a trace. One for each attempt, never shared by two.
final class SourceTrace {
    /// The attribute: where the event's trace began. It goes from event to event unchanged.
    fileprivate(set) var traceparent: [UInt8]?
    /// The header: the last hop of the trace.
    fileprivate(set) var hop: [UInt8]?
    fileprivate(set) var state: [UInt8]?
}

/// The value of decimal digits; nil when there are none or too many.
func decimal(_ digits: Slice<UnsafeRawBufferPointer>) -> Int? {
    guard (1...18).contains(digits.count) else { return nil }
    var value = 0
    for digit in digits {
        guard digit >= UInt8(ascii: "0"), digit <= UInt8(ascii: "9") else { return nil }
        value = value * 10 + Int(digit - UInt8(ascii: "0"))
    }
    return value
}
