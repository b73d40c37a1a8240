internal import ApusCore

/// An event's trace as its record says it.
///
/// The header `traceparent` (of the record, as Kafka's producers write it) is the last hop. The attribute of that name is where its
/// producer says that the trace began: it is never changed, and counts where there is no header.
public struct EventTrace: Sendable, Equatable {
    public var context: TraceContext
    /// Where the trace began, when the event says so beside the last hop.
    public var origin: TraceContext?
    public var state: String?

    static let parentName = Array(TraceContext.header.utf8)
    static let stateName = Array(TraceContext.stateHeader.utf8)

    /// - Returns: nil for an event that is part of no valid trace, and for bytes that are none.
    public init?(_ block: UnsafeRawBufferPointer) {
        var hop: TraceContext?
        var origin: TraceContext?
        var state: String?
        let isWhole =
            (try? EventLayout(parsing: block.bytes).forEachAttribute(in: block.bytes) { name, kind, value in
                let isHeader = kind == Attribute.Kind.header.rawValue
                if name.count == Self.parentName.count, block[name].elementsEqual(Self.parentName) {
                    if isHeader { hop = TraceContext(block[value]) } else { origin = TraceContext(block[value]) }
                } else if isHeader, name.count == Self.stateName.count, block[name].elementsEqual(Self.stateName) {
                    state = TraceState.checked(String(decoding: block[value], as: UTF8.self))
                }
                return true
            }) != nil
        guard isWhole, let context = hop ?? origin else { return nil }
        self.context = context
        self.origin = hop == nil ? nil : origin
        self.state = state
    }

    /// The same event with another last hop: for its record, or for a worker.
    /// - Parameters:
    ///   - context: nil leaves the headers as they are.
    ///   - state: for the header `tracestate`; nil leaves it as it is.
    ///   - isMarked: whether the block says that the event is sampled, as records do. Workers see no mark.
    public static func rewritten(
        _ block: UnsafeRawBufferPointer, _ context: TraceContext?, state: String? = nil, isMarked: Bool
    ) -> [UInt8] {
        guard let context, let layout = try? EventLayout(parsing: block.bytes) else {
            return isMarked ? Array(block) : Self.unmarked(block)
        }
        var attributes: [UInt8] = []
        attributes.reserveCapacity(layout.attributes.count + 80 + (state?.utf8.count ?? 0))
        var count = 0
        let isWhole =
            (try? layout.forEachAttribute(in: block.bytes) { name, kind, value in
                let isHeader = kind == Attribute.Kind.header.rawValue
                let isOld =
                    isHeader
                    && (block[name].elementsEqual(Self.parentName)
                        || (state != nil && block[name].elementsEqual(Self.stateName)))
                if !isOld {
                    attributes += block[name.lowerBound - EventBlock.attributeHeadBytes..<value.upperBound]
                    count += 1
                }
                return true
            }) != nil
        var added = [Attribute(TraceContext.header, bytes: context.bytes, kind: .header)]
        if let state { added.append(Attribute(TraceContext.stateHeader, state, kind: .header)) }
        EventBlock.append(added, to: &attributes)
        let size = EventBlock.headBytes + (layout.key?.count ?? 0) + attributes.count + layout.data.count
        // An event with no room for one header more goes as it is.
        guard isWhole, count + added.count <= Limits.attributesPerEvent, attributes.count <= Limits.attributesBytes,
            size <= Limits.recordBytes
        else { return isMarked ? Array(block) : Self.unmarked(block) }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(size)
        EventBlock.appendHead(
            timestamp: layout.timestamp, key: layout.key?.count, attributes: attributes.count, data: layout.dataCount,
            isNull: layout.isNull, isSampled: isMarked && context.isSampled, to: &bytes)
        if let key = layout.key { bytes += block[key] }
        bytes += attributes
        bytes += block[layout.data]
        return bytes
    }

    private static func unmarked(_ block: UnsafeRawBufferPointer) -> [UInt8] {
        var copy = Array(block)
        guard copy.count >= EventBlock.headBytes else { return copy }
        let flags = block.bytes.littleEndian(at: 20, as: UInt32.self) & ~EventBlock.sampledFlag
        copy.withUnsafeMutableBytes { $0.storeBytes(of: flags.littleEndian, toByteOffset: 20, as: UInt32.self) }
        return copy
    }
}
