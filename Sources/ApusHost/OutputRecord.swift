internal import ApusCore
internal import ApusEngine

/// What a function's outputs have in common, encoded once.
final class OutputTemplate: Sendable {
    /// `<function>:<topic>:` of a trigger, `<function>:` of direct invocations; what names the event follows.
    let idPrefix: [UInt8]
    /// The encoded attributes `source` and `type` for outputs that bring none.
    let sourceAndType: [UInt8]
    let sourceCount: Int

    init(function: ResourceName, topic: TopicName?) {
        let scope = topic.map { "\(function.name):\($0):" } ?? "\(function.name):"
        self.idPrefix = Array(scope.utf8)
        var encoded: [UInt8] = []
        EventBlock.append(
            [Attribute("source", "/apus/\(function.namespace)/\(function.name)", kind: .uriReference)], to: &encoded)
        self.sourceCount = encoded.count
        EventBlock.append([Attribute("type", "dev.apus.result")], to: &encoded)
        self.sourceAndType = encoded
    }

    /// The id of a reply: the place of the event it answers.
    func id(partition: Int, offset: Offset) -> [UInt8] {
        var id: [UInt8] = []
        // Two numbers and what lies between them.
        id.reserveCapacity(self.idPrefix.count + 41)
        id += self.idPrefix
        appendDecimal(partition, to: &id)
        id.append(UInt8(ascii: ":"))
        appendDecimal(Int(offset), to: &id)
        return id
    }

    /// The id of an output of a direct invocation.
    func id(_ invocation: InvocationID) -> [UInt8] { self.idPrefix + Array(invocation.description.utf8) }
}

func appendDecimal(_ value: Int, to bytes: inout [UInt8]) {
    withDecimal(value) { bytes.append(contentsOf: $0) }
}

/// Lends the decimal digits of a number.
func withDecimal(_ value: Int, _ body: (UnsafeRawBufferPointer) -> Void) {
    withUnsafeTemporaryAllocation(byteCount: 20, alignment: 1) { digits in
        var rest = value.magnitude
        var at = 20
        repeat {
            at -= 1
            digits[at] = UInt8(ascii: "0") + UInt8(rest % 10)
            rest /= 10
        } while rest > 0
        if value < 0 {
            at -= 1
            digits[at] = UInt8(ascii: "-")
        }
        body(UnsafeRawBufferPointer(rebasing: digits[at...]))
    }
}

/// Why an output cannot be a record.
enum OutputError: Error, Equatable {
    /// The worker sent bytes that are no event.
    case frame(FrameError)
    case tooLarge(Int)

    /// The size that was too large; bytes that are no event are the worker's breach of the protocol.
    func tooLargeBytes() throws(FrameError) -> Int {
        switch self {
        case .frame(let error): throw error
        case .tooLarge(let bytes): return bytes
        }
    }
}

/// Turns what a handler returned or emitted into the bytes of a record, without building an event: its own attributes
/// first, then what it left out, then what Apus says.
enum OutputRecord {
    private static let idName = Array("id".utf8)
    private static let sourceName = Array("source".utf8)
    private static let typeName = Array("type".utf8)
    private static let internalPrefix = Array(InternalHeader.prefix.utf8)

    /// What the attributes of an output hold.
    private struct Contents {
        /// It brings nothing that would name it or place it in a trace.
        var isPlain: Bool {
            !self.hasID && !self.hasSource && !self.hasType && !self.hasTraceparent && self.hop == nil
                && self.foreign.isEmpty
        }
        var hasID = false
        var hasSource = false
        var hasType = false
        var hasTraceparent = false
        /// The handler placed its output in a trace by itself.
        var hop: Range<Int>?
        var count = 0
        /// Attributes that only Apus may write, as ranges of the block.
        var foreign: [Range<Int>] = []
    }

    /// Whether the handler returned nothing to publish: no data, no key. A null with a key of its own is a tombstone.
    static func isNothing(_ layout: EventLayout) -> Bool { layout.isNull && layout.key == nil }

    /// The reply to a delivery. Most bring no attribute that would name them, and are written from end to end at once.
    static func reply(
        _ block: UnsafeRawBufferPointer, layout: EventLayout, template: OutputTemplate, partition: Int, offset: Offset,
        source: SourceContext?
    ) throws(OutputError) -> [UInt8] {
        let contents = try Self.inspect(block, layout)
        guard contents.isPlain, let source, source.trace == nil else {
            let id = template.id(partition: partition, offset: offset)
            return try Self.build(
                block, layout: layout, contents, template: template, id: id, key: source?.key, source: source)
        }
        let hops = source.hops + 1
        let idCount =
            template.idPrefix.count + Self.digits(partition) + 1 + Self.digits(Int(offset))
        let added =
            3 * EventBlock.attributeHeadBytes + Self.idName.count + idCount + template.sourceAndType.count
            + SourceContext.hopsName.count + Self.digits(hops) - EventBlock.attributeHeadBytes
        let attributes = layout.attributes.count + added
        let keyCount = layout.key?.count ?? source.key?.count
        let size = EventBlock.headBytes + (keyCount ?? 0) + attributes + layout.data.count
        guard block.count <= Limits.eventBytes, attributes <= Limits.attributesBytes, size <= Limits.recordBytes else {
            throw .tooLarge(block.count)
        }
        return [UInt8](unsafeUninitializedCapacity: size) { target, count in
            var writer = BlockWriter(UnsafeMutableRawBufferPointer(target))
            writer.head(
                keyCount: keyCount, attributes: attributes, data: layout.data.count, isNull: layout.isNull)
            if let key = layout.key { writer.append(block, key) } else if let key = source.key { writer.append(key) }
            writer.append(block, layout.attributes)
            writer.attributeHead(Self.idName, .string, valueCount: idCount)
            writer.append(template.idPrefix)
            writer.append(decimal: partition)
            writer.append(UInt8(ascii: ":"))
            writer.append(decimal: Int(offset))
            writer.append(template.sourceAndType)
            writer.attributeHead(SourceContext.hopsName, .header, valueCount: Self.digits(hops))
            writer.append(decimal: hops)
            writer.append(block, layout.data)
            precondition(writer.count == size, "a reply is as long as was counted")
            count = size
        }
    }

    private static func digits(_ value: Int) -> Int {
        var (rest, count) = (value.magnitude, value < 0 ? 2 : 1)
        while rest > 9 {
            rest /= 10
            count += 1
        }
        return count
    }

    /// - Parameter id: for an output that brings none.
    static func build(
        _ block: UnsafeRawBufferPointer, layout: EventLayout, template: OutputTemplate, id: @autoclosure () -> [UInt8],
        key fallbackKey: [UInt8]?, source: SourceContext?
    ) throws(OutputError) -> [UInt8] {
        let contents = try Self.inspect(block, layout)
        return try Self.build(
            block, layout: layout, contents, template: template, id: contents.hasID ? [] : id(), key: fallbackKey,
            source: source)
    }

    private static func build(
        _ block: UnsafeRawBufferPointer, layout: EventLayout, _ contents: Contents, template: OutputTemplate,
        id: [UInt8], key fallbackKey: [UInt8]?, source: SourceContext?
    ) throws(OutputError) -> [UInt8] {
        // What is added is encoded into one array: its parts are few and short.
        var added: [UInt8] = []
        added.reserveCapacity(Self.usualAddedBytes)
        if !contents.hasID { Self.append(name: Self.idName, kind: .string, value: id, to: &added) }
        if !contents.hasSource { added += template.sourceAndType[..<template.sourceCount] }
        if !contents.hasType { added += template.sourceAndType[template.sourceCount...] }
        if !contents.hasTraceparent, let traceparent = source?.trace?.traceparent {
            Self.append(name: SourceContext.traceparentName, kind: .string, value: traceparent, to: &added)
        }
        var isSampled = false
        if let own = contents.hop {
            isSampled = EventBlock.isSampled(traceparent: Array(block[own]))
        } else if let hop = source?.trace?.hop {
            isSampled = EventBlock.isSampled(traceparent: hop)
            Self.append(name: SourceContext.traceparentName, kind: .header, value: hop, to: &added)
            if let state = source?.trace?.state {
                Self.append(name: SourceContext.stateName, kind: .header, value: state, to: &added)
            }
        }
        Self.append(hops: (source?.hops ?? 0) + 1, to: &added)

        let kept = layout.attributes.count - contents.foreign.reduce(0) { $0 + $1.count }
        let attributes = kept + added.count
        let keyCount = layout.key?.count ?? fallbackKey?.count
        let size = EventBlock.headBytes + (keyCount ?? 0) + attributes + layout.data.count
        guard block.count <= Limits.eventBytes, attributes <= Limits.attributesBytes, size <= Limits.recordBytes else {
            throw .tooLarge(block.count)
        }
        return [UInt8](unsafeUninitializedCapacity: size) { target, count in
            var writer = BlockWriter(UnsafeMutableRawBufferPointer(target))
            writer.head(
                keyCount: keyCount, attributes: attributes, data: layout.data.count, isNull: layout.isNull,
                isSampled: isSampled)
            if let key = layout.key { writer.append(block, key) } else if let fallbackKey { writer.append(fallbackKey) }
            var at = layout.attributes.lowerBound
            for foreign in contents.foreign {
                writer.append(block, at..<foreign.lowerBound)
                at = foreign.upperBound
            }
            writer.append(block, at..<layout.attributes.upperBound)
            writer.append(added)
            writer.append(block, layout.data)
            count = writer.count
        }
    }

    /// More than the attributes of a plain reply take.
    private static let usualAddedBytes = 192

    private static func append(hops: Int, to bytes: inout [UInt8]) {
        bytes.append(UInt8(SourceContext.hopsName.count))
        bytes.append(Attribute.Kind.header.rawValue)
        let length = bytes.count
        bytes.appendLittleEndian(UInt16(0))
        bytes += SourceContext.hopsName
        let value = bytes.count
        appendDecimal(hops, to: &bytes)
        // Few digits: the length's second byte stays zero.
        bytes[length] = UInt8(bytes.count - value)
    }

    static func append(name: [UInt8], kind: Attribute.Kind, value: [UInt8], to bytes: inout [UInt8]) {
        bytes.append(UInt8(name.count))
        bytes.append(kind.rawValue)
        bytes.appendLittleEndian(UInt16(value.count))
        bytes += name
        bytes += value
    }

    private static func inspect(_ block: UnsafeRawBufferPointer, _ layout: EventLayout) throws(OutputError) -> Contents
    {
        var contents = Contents()
        var isMalformed = false
        do {
            try layout.forEachAttribute(in: block.bytes) { name, kind, value in
                contents.count += 1
                guard let kind = Attribute.Kind(rawValue: kind), contents.count <= Limits.attributesPerEvent else {
                    isMalformed = true
                    return false
                }
                let text = block[name]
                if kind == .header {
                    if text.starts(with: Self.internalPrefix) {
                        contents.foreign.append(name.lowerBound - 4..<value.upperBound)
                    } else if name.count == 11, text.elementsEqual(SourceContext.traceparentName) {
                        contents.hop = value
                    }
                    return true
                }
                switch name.count {
                case 2: if text.elementsEqual(Self.idName) { contents.hasID = true }
                case 4: if text.elementsEqual(Self.typeName) { contents.hasType = true }
                case 6: if text.elementsEqual(Self.sourceName) { contents.hasSource = true }
                case 11: if text.elementsEqual(SourceContext.traceparentName) { contents.hasTraceparent = true }
                default: break
                }
                return true
            }
        } catch {
            throw .frame(error)
        }
        if isMalformed { throw .frame(.malformed) }
        return contents
    }
}

/// Fills memory with an ``EventBlock`` from its start to its end. The caller has counted.
struct BlockWriter {
    private let target: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ target: UnsafeMutableRawBufferPointer) { self.target = target }

    mutating func head(keyCount: Int?, attributes: Int, data: Int, isNull: Bool, isSampled: Bool = false) {
        self.store(Int64(0))
        self.store(keyCount.map { UInt32($0) } ?? 0xFFFF_FFFF)
        self.store(UInt32(attributes))
        self.store(UInt32(data))
        self.store((isNull ? EventBlock.nullDataFlag : 0) | (isSampled ? EventBlock.sampledFlag : 0))
    }

    mutating func append(_ bytes: [UInt8]) {
        bytes.withUnsafeBytes { self.append($0, 0..<$0.count) }
    }

    mutating func append(_ byte: UInt8) { self.store(byte) }

    mutating func append(decimal value: Int) {
        withDecimal(value) { self.append($0, 0..<$0.count) }
    }

    mutating func attributeHead(_ name: [UInt8], _ kind: Attribute.Kind, valueCount: Int) {
        self.store(UInt8(name.count))
        self.store(kind.rawValue)
        self.store(UInt16(valueCount))
        self.append(name)
    }

    mutating func append(_ bytes: UnsafeRawBufferPointer, _ range: Range<Int>) {
        UnsafeMutableRawBufferPointer(rebasing: self.target[self.count..<self.count + range.count])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[range]))
        self.count += range.count
    }

    private mutating func store<Integer: FixedWidthInteger & BitwiseCopyable>(_ value: Integer) {
        self.target.storeBytes(of: value.littleEndian, toByteOffset: self.count, as: Integer.self)
        self.count += MemoryLayout<Integer>.size
    }
}
