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
    var outcomeAt: Timestamp
    var trace: DeliveryTrace?
    /// The number of its note.
    var note: UInt64?
}

/// An event's trace as its record says it.
struct EventTrace {
    var context: TraceContext
    var state: String?

    /// The last hop, which is a header; of events that have none, the attribute in which their producer says where their
    /// trace began. Nil for an event that is part of no valid trace.
    init?(_ block: UnsafeRawBufferPointer) {
        var hop: TraceContext?
        var origin: TraceContext?
        var state: String?
        let isWhole = (try? EventLayout(parsing: block.bytes).forEachAttribute(in: block.bytes) { name, kind, value in
            let isHeader = kind == Attribute.Kind.header.rawValue
            if name.count == 11, block[name].elementsEqual(SourceContext.traceparentName) {
                if isHeader { hop = TraceContext(block[value]) } else { origin = TraceContext(block[value]) }
            } else if isHeader, name.count == 10, block[name].elementsEqual(SourceContext.stateName) {
                state = TraceState.checked(String(decoding: block[value], as: UTF8.self))
            }
            return true
        }) != nil
        guard isWhole, let context = hop ?? origin else { return nil }
        self.context = context
        self.state = state
    }

    /// The same event for a worker: the header names its attempt, and nothing says that it is sampled but that.
    /// - Parameter context: nil leaves the headers as they are.
    static func rewritten(_ block: UnsafeRawBufferPointer, _ context: TraceContext?) -> [UInt8] {
        guard let context, let layout = try? EventLayout(parsing: block.bytes) else {
            var copy = Array(block)
            let flags = block.bytes.littleEndian(at: 20, as: UInt32.self) & ~EventBlock.sampledFlag
            copy.withUnsafeMutableBytes { $0.storeBytes(of: flags.littleEndian, toByteOffset: 20, as: UInt32.self) }
            return copy
        }
        var attributes: [UInt8] = []
        attributes.reserveCapacity(layout.attributes.count + 80)
        try? layout.forEachAttribute(in: block.bytes) { name, kind, value in
            let isOld =
                kind == Attribute.Kind.header.rawValue && block[name].elementsEqual(SourceContext.traceparentName)
            if !isOld { attributes += block[name.lowerBound - 4..<value.upperBound] }
            return true
        }
        OutputRecord.append(
            name: SourceContext.traceparentName, kind: .header, value: context.bytes, to: &attributes)
        // An event with no room for one header more goes as it is.
        guard attributes.count <= Limits.attributesBytes else { return Self.rewritten(block, nil) }
        let size = EventBlock.headBytes + (layout.key?.count ?? 0) + attributes.count + layout.data.count
        return [UInt8](unsafeUninitializedCapacity: size) { target, count in
            let target = UnsafeMutableRawBufferPointer(target)
            var writer = BlockWriter(target)
            writer.head(
                keyCount: layout.key?.count, attributes: attributes.count, data: layout.data.count,
                isNull: layout.isNull)
            // The time that the log stamped.
            target.copyBytes(from: block[..<8])
            if let key = layout.key { writer.append(block, key) }
            writer.append(attributes)
            writer.append(block, layout.data)
            count = writer.count
        }
    }
}
