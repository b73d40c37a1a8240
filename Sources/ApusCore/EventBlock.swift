/// An event as bytes: the value of a record on the embedded log, and the event inside a worker's frame. One form for both, so
/// that dispatch copies bytes and never builds an event.
///
///     0   i64  timestamp, microseconds since 1970 (0 on the way in)
///     8   u32  length of the key, 0xFFFF_FFFF for none
///     12  u32  length of the attributes
///     16  u32  length of the data, all of it, also when it follows in DATA frames or by descriptor
///     20  u32  flags: bit 0 the data is null (a tombstone); bit 1 the event is part of a trace that is recorded; bit 2 the
///              record is no valid event: both on the log only, workers see 0
///     24       key, attributes, data
///
/// Attributes are, each: u8 length of the name, u8 kind, u16 length of the value, name, value. All little-endian.
public enum EventBlock {
    public static let headBytes = 24
    static let noKey: UInt32 = 0xFFFF_FFFF
    public static let nullDataFlag: UInt32 = 1
    /// So that dispatch sees with one look whether an event is traced; all others pay nothing for it.
    public static let sampledFlag: UInt32 = 2
    /// The record says that it is a CloudEvent and is none: it is given to no function, and its data are its bytes as they came.
    public static let invalidFlag: UInt32 = 4
    static let traceparent = "traceparent"
    public static let attributeHeadBytes = 4

    public static func attributesSize(_ attributes: [Attribute]) -> Int {
        attributes.reduce(0) { $0 + Self.attributeHeadBytes + $1.name.utf8.count + $1.value.count }
    }

    public static func size(of event: Event) -> Int {
        Self.headBytes + (event.key?.count ?? 0) + Self.attributesSize(event.attributes) + (event.data?.count ?? 0)
    }

    /// Checks an event against ``Limits`` before it is encoded.
    /// - Parameter dataBytes: what its data may have beside a whole event, where that is kept apart.
    public static func check(_ event: Event, dataBytes: Int = 0) throws(ApusError) {
        if let key = event.key, key.count > Limits.keyBytes {
            throw ApusError(.eventTooLarge, "the key has \(key.count) bytes; at most \(Limits.keyBytes) are allowed")
        }
        guard event.attributes.count <= Limits.attributesPerEvent else {
            throw ApusError(
                .eventTooLarge,
                "the event has \(event.attributes.count) attributes; at most \(Limits.attributesPerEvent) are allowed")
        }
        for attribute in event.attributes {
            guard (1...255).contains(attribute.name.utf8.count), attribute.value.count <= 0xFFFF else {
                throw ApusError(
                    .eventTooLarge,
                    "the attribute '\(attribute.name.prefix(64))' is too long: 255 bytes for a name, 65535 for a value")
            }
        }
        guard Self.attributesSize(event.attributes) <= Limits.attributesBytes else {
            throw ApusError(.eventTooLarge, "the attributes take more than \(Limits.attributesBytes) bytes")
        }
        let size = Self.size(of: event)
        guard size <= Limits.eventBytes || (event.data?.count ?? 0) <= dataBytes else {
            throw ApusError(
                .eventTooLarge,
                "the event has \(size) bytes; at most \(max(Limits.eventBytes, dataBytes)) are allowed: put the data elsewhere and send its "
                    + "address"
            )
        }
    }

    /// Appends the encoded event. The caller has checked the limits.
    public static func append(_ event: Event, to bytes: inout [UInt8]) {
        bytes.reserveCapacity(bytes.count + Self.size(of: event))
        Self.appendHead(
            timestamp: event.timestamp, key: event.key?.count, attributes: Self.attributesSize(event.attributes),
            data: event.data?.count ?? 0, isNull: event.data == nil, isSampled: Self.isSampled(event.attributes),
            to: &bytes)
        if let key = event.key { bytes.append(contentsOf: key) }
        Self.append(event.attributes, to: &bytes)
        if let data = event.data { bytes.append(contentsOf: data) }
    }

    /// Whether a block says that its event is part of a trace that is recorded.
    public static func isSampled(_ block: UnsafeRawBufferPointer) -> Bool {
        block.count >= Self.headBytes && block.bytes.littleEndian(at: 20, as: UInt32.self) & Self.sampledFlag != 0
    }

    /// Whether a block says that its record is no valid event. Why is in its header ``InternalHeader/invalid``.
    public static func isInvalid(_ block: UnsafeRawBufferPointer) -> Bool {
        block.count >= Self.headBytes && block.bytes.littleEndian(at: 20, as: UInt32.self) & Self.invalidFlag != 0
    }

    /// The last of the flags in the value of a `traceparent`: an odd digit means recorded. Who acts on it reads the
    /// value with care; this only says where it is worth a look.
    public static func isSampled(traceparent value: some RandomAccessCollection<UInt8>) -> Bool {
        guard value.count >= 55 else { return false }
        let last = value[value.index(value.startIndex, offsetBy: 54)]
        // Odd digits have odd bytes, odd letters even ones.
        return (last <= UInt8(ascii: "9")) == (last & 1 == 1)
    }

    private static func isSampled(_ attributes: [Attribute]) -> Bool {
        attributes.contains { Self.isSampled(traceparent: $0.value) && $0.name == Self.traceparent }
    }

    /// The fixed part in front: lengths of what follows.
    public static func appendHead(
        timestamp: Timestamp = .zero, key: Int?, attributes: Int, data: Int, isNull: Bool, isSampled: Bool = false,
        to bytes: inout [UInt8]
    ) {
        bytes.appendLittleEndian(timestamp.microseconds)
        bytes.appendLittleEndian(key.map { UInt32($0) } ?? Self.noKey)
        bytes.appendLittleEndian(UInt32(attributes))
        bytes.appendLittleEndian(UInt32(data))
        bytes.appendLittleEndian((isNull ? Self.nullDataFlag : 0) | (isSampled ? Self.sampledFlag : 0))
    }

    public static func append(_ attributes: [Attribute], to bytes: inout [UInt8]) {
        for attribute in attributes {
            bytes.append(UInt8(attribute.name.utf8.count))
            bytes.append(attribute.kind.rawValue)
            bytes.appendLittleEndian(UInt16(attribute.value.count))
            bytes.append(contentsOf: attribute.name.utf8)
            bytes.append(contentsOf: attribute.value)
        }
    }

    /// One attribute. The caller has checked the limits.
    public static func appendAttribute(
        _ name: StaticString, _ kind: Attribute.Kind, _ value: UnsafeRawBufferPointer, to bytes: inout [UInt8]
    ) {
        bytes.append(UInt8(name.utf8CodeUnitCount))
        bytes.append(kind.rawValue)
        bytes.appendLittleEndian(UInt16(value.count))
        bytes.append(contentsOf: UnsafeBufferPointer(start: name.utf8Start, count: name.utf8CodeUnitCount))
        bytes.append(contentsOf: value)
    }

    public static func encode(_ event: Event) -> [UInt8] {
        var bytes: [UInt8] = []
        Self.append(event, to: &bytes)
        return bytes
    }

    /// Builds the owned event. The data must be whole in the block.
    public static func decode(_ bytes: RawSpan) throws(FrameError) -> Event {
        let layout = try EventLayout(parsing: bytes)
        guard layout.data.count == layout.dataCount else { throw .truncated }
        return Event(
            key: layout.key.map { copy(bytes, $0) },
            attributes: try layout.decodeAttributes(in: bytes),
            data: layout.isNull ? nil : copy(bytes, layout.data),
            timestamp: layout.timestamp
        )
    }
}

/// Where the parts of an ``EventBlock`` lie, as ranges into the bytes it was parsed from.
public struct EventLayout: Sendable, Equatable {
    public let timestamp: Timestamp
    public let key: Range<Int>?
    public let attributes: Range<Int>
    /// The data that is here; shorter than ``dataCount`` when the rest follows.
    public let data: Range<Int>
    public let dataCount: Int
    public let isNull: Bool

    /// - Parameter dataBytes: what its data may have.
    /// - Throws: ``FrameError/truncated`` or ``FrameError/malformed`` when the block contradicts itself. Attributes are checked
    ///   for being whole, not for their contents.
    public init(parsing bytes: RawSpan, dataBytes: Int = Limits.resultBytes) throws(FrameError) {
        guard bytes.byteCount >= EventBlock.headBytes else { throw .truncated }
        let timestamp = bytes.littleEndian(at: 0, as: Int64.self)
        let keyLength = bytes.littleEndian(at: 8, as: UInt32.self)
        let attributesLength = Int(bytes.littleEndian(at: 12, as: UInt32.self))
        let dataLength = Int(bytes.littleEndian(at: 16, as: UInt32.self))
        let flags = bytes.littleEndian(at: 20, as: UInt32.self)
        let known = EventBlock.nullDataFlag | EventBlock.sampledFlag | EventBlock.invalidFlag
        guard flags & ~known == 0 else { throw .malformed }
        let keyCount = keyLength == EventBlock.noKey ? 0 : Int(keyLength)
        guard keyCount <= Limits.keyBytes, attributesLength <= Limits.attributesBytes, dataLength <= dataBytes
        else {
            throw .tooLarge
        }
        let attributesStart = EventBlock.headBytes + keyCount
        let dataStart = attributesStart + attributesLength
        guard dataStart <= bytes.byteCount else { throw .truncated }
        self.timestamp = Timestamp(microseconds: timestamp)
        self.key = keyLength == EventBlock.noKey ? nil : EventBlock.headBytes..<attributesStart
        self.attributes = attributesStart..<dataStart
        let present = min(dataLength, bytes.byteCount - dataStart)
        guard dataStart + present == bytes.byteCount else { throw .malformed }
        self.data = dataStart..<dataStart + present
        self.dataCount = dataLength
        self.isNull = flags & EventBlock.nullDataFlag != 0
        guard !self.isNull || dataLength == 0 else { throw .malformed }
    }

    /// Walks the attributes without building them.
    /// - Parameter body: gets the name, kind byte and value of each as ranges; returns false to stop.
    public func forEachAttribute(
        in bytes: RawSpan,
        _ body: (_ name: Range<Int>, _ kind: UInt8, _ value: Range<Int>) -> Bool
    ) throws(FrameError) {
        var at = self.attributes.lowerBound
        while at < self.attributes.upperBound {
            guard at + EventBlock.attributeHeadBytes <= self.attributes.upperBound else { throw .malformed }
            let nameCount = Int(bytes.littleEndian(at: at, as: UInt8.self))
            let kind = bytes.littleEndian(at: at + 1, as: UInt8.self)
            let valueCount = Int(bytes.littleEndian(at: at + 2, as: UInt16.self))
            let name = at + EventBlock.attributeHeadBytes
            let value = name + nameCount
            guard nameCount > 0, value + valueCount <= self.attributes.upperBound else { throw .malformed }
            guard body(name..<value, kind, value..<value + valueCount) else { return }
            at = value + valueCount
        }
    }

    public func decodeAttributes(in bytes: RawSpan) throws(FrameError) -> [Attribute] {
        var attributes: [Attribute] = []
        var isMalformed = false
        try self.forEachAttribute(in: bytes) { name, kind, value in
            guard let kind = Attribute.Kind(rawValue: kind), attributes.count < Limits.attributesPerEvent else {
                isMalformed = true
                return false
            }
            attributes.append(
                Attribute(String(decoding: copy(bytes, name), as: UTF8.self), bytes: copy(bytes, value), kind: kind))
            return true
        }
        if isMalformed { throw .malformed }
        return attributes
    }
}

/// The bytes of a range of a span, copied.
public func copy(_ bytes: RawSpan, _ range: Range<Int>) -> [UInt8] {
    bytes.extracting(range).withUnsafeBytes { Array($0) }
}
