internal import ApusCore
internal import ApusCrypto
internal import CRDKafka
internal import Glibc

// MARK: from Kafka

extension KafkaRecord {
    /// Appends what a message is as an ``EventBlock``. Any message has one: of headers that no block can hold, what fits is kept.
    ///
    /// Headers are looked at twice: for what must be known before the first attribute is written, the room that all of it takes at
    /// most among that, and then to copy each to its place, once.
    /// - Parameter structured: reads what is an event in structured mode.
    static func append(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>, topic: String, _ structured: StructuredEventReader? = nil,
        to memory: ChunkMemory
    ) {
        var headers: OpaquePointer?
        if rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR { headers = nil }
        var found = headers.map { Self.look(at: $0) } ?? Found()
        if let structured, found.isStructured {
            var bytes: [UInt8] = []
            Self.appendUnfolded(message, topic: topic, found, structured, to: &bytes)
            return bytes.withUnsafeBytes { memory.append($0) }
        }
        let isInvalid = found.lacksAttributes && !found.isOwn
        let added =
            !found.isEvent
            ? Self.identity(of: message, topic: topic)
            : isInvalid ? Self.reason(found.isKnownVersion ? Self.missing : Self.wrongVersion) : []
        let key = message.pointee.key
        let keyCount = key == nil ? 0 : message.pointee.key_len
        let value = message.pointee.payload
        let valueCount = value == nil ? 0 : message.pointee.len
        let room = EventBlock.headBytes + keyCount + found.attributesMax + added.count + valueCount
        var writer = RecordWriter(memory.room(for: room))
        writer.skip(EventBlock.headBytes)
        if let key { writer.append(UnsafeRawBufferPointer(start: key, count: keyCount)) }
        let attributes = writer.count
        if let headers { Self.appendAttributes(headers, &found, to: &writer) }
        if !added.isEmpty { added.withUnsafeBytes { writer.append($0) } }
        let attributesCount = writer.count - attributes
        if let value { writer.append(UnsafeRawBufferPointer(start: value, count: valueCount)) }
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let milliseconds = max(0, rd_kafka_message_timestamp(message, &kind))
        writer.head(
            time: milliseconds * 1_000 + Int64(found.microseconds), key: key == nil ? nil : keyCount,
            attributes: attributesCount, data: valueCount,
            flags: (value == nil ? EventBlock.nullDataFlag : 0) | (found.isSampled ? EventBlock.sampledFlag : 0)
                | (isInvalid ? EventBlock.invalidFlag : 0))
        memory.commit(writer.count)
    }

    /// What must be known of the headers before the first of them is written.
    struct Found {
        var isEvent = false
        /// All of the event is in the value.
        var isStructured = false
        var hasContentType = false
        /// Apus wrote it: what it keeps of itself needs no identity.
        var isOwn = false
        /// The specversion that is known here, `id`, `source` and `type`: a bit for each that is there and not empty.
        var required: UInt8 = 0
        var isSampled = false
        var microseconds = 0
        var kinds = UnsafeRawBufferPointer(start: nil, count: 0)
        /// What all of them take as attributes at most.
        var attributesMax = 0

        /// It is an event in binary mode without all that an event must have.
        var lacksAttributes: Bool { self.isEvent && self.required != 0b1111 }
        var isKnownVersion: Bool { self.required & 1 != 0 }
    }

    private static let missing = "an event needs ce_id, ce_source and ce_type, none of them empty"
    private static let wrongVersion = "only ce_specversion 1.0 is known here"

    private static func reason(_ reason: String) -> [UInt8] {
        var bytes: [UInt8] = []
        EventBlock.append([Attribute(InternalHeader.invalid, reason, kind: .header)], to: &bytes)
        return bytes
    }

    private static func requiredBit(_ name: UnsafeRawBufferPointer) -> UInt8 {
        switch name.count {
        case 2: Self.equals(name, "id") ? 2 : 0
        case 6: Self.equals(name, "source") ? 4 : 0
        case 4: Self.equals(name, "type") ? 8 : 0
        default: 0
        }
    }

    /// The media type of an event as a whole, in whatever format.
    private static func isStructured(_ type: UnsafeRawBufferPointer) -> Bool {
        let prefix: StaticString = "application/cloudevents"
        guard type.count >= prefix.utf8CodeUnitCount else { return false }
        for index in 0..<prefix.utf8CodeUnitCount {
            let byte = type[index]
            let isUpper = (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte)
            if (isUpper ? byte | 0x20 : byte) != prefix.utf8Start[index] { return false }
        }
        return true
    }

    private static func look(at headers: OpaquePointer) -> Found {
        var found = Found()
        Self.forEach(headers) { name, value in
            found.attributesMax +=
                EventBlock.attributeHeadBytes + max(name.count, Self.contentType.utf8CodeUnitCount) + value.count
            switch Self.role(of: name) {
            case .specversion:
                found.isEvent = true
                if Self.equals(value, Self.specversion) { found.required |= 1 }
            case .kinds: found.kinds = value
            case .microseconds:
                found.microseconds = Self.microseconds(value)
                found.isOwn = true
            case .contentType:
                found.hasContentType = true
                found.isStructured = found.isStructured || Self.isStructured(value)
            case .attribute:
                if !value.isEmpty {
                    found.required |= Self.requiredBit(
                        UnsafeRawBufferPointer(rebasing: name[Self.attributePrefix.utf8CodeUnitCount...]))
                }
            case .other: break
            }
        }
        return found
    }

    private enum Role { case specversion, kinds, microseconds, contentType, attribute, other }

    /// What a header's name says, with few comparisons for those that come with every event.
    private static func role(of name: UnsafeRawBufferPointer) -> Role {
        guard name.count >= 3 else { return .other }
        if Self.hasPrefix(name, Self.attributePrefix) {
            return Self.equals(name, Self.specversionHeader) ? .specversion : .attribute
        }
        if Self.equals(name, Self.contentTypeHeader) { return .contentType }
        if Self.equals(name, Self.microsecondsHeader) { return .microseconds }
        return Self.equals(name, Self.kindsHeader) ? .kinds : .other
    }

    private static func appendAttributes(_ headers: OpaquePointer, _ found: inout Found, to writer: inout RecordWriter)
    {
        let start = writer.count
        var count = 0
        Self.forEach(headers) { name, value in
            var attribute = name
            var kind = Attribute.Kind.header
            switch Self.role(of: name) {
            case .specversion, .kinds, .microseconds: return
            case .contentType: (attribute, kind) = (Self.contentType.bytes, .string)
            case .attribute where found.isEvent:
                attribute = UnsafeRawBufferPointer(rebasing: name[Self.attributePrefix.utf8CodeUnitCount...])
                // Some producers write it beside the header that says it.
                if found.hasContentType, Self.equals(attribute, Self.contentType) { return }
                kind = Self.kind(of: attribute, in: found.kinds)
            case .attribute, .other: break
            }
            guard count < Limits.attributesPerEvent, (1...255).contains(attribute.count), value.count <= 0xFFFF,
                writer.count - start + EventBlock.attributeHeadBytes + attribute.count + value.count
                    <= Limits.attributesBytes
            else { return }
            count += 1
            if kind == .binary, let decoded = Base64.decode(String(decoding: value, as: UTF8.self)) {
                return decoded.withUnsafeBytes { writer.attribute(attribute, kind, $0) }
            }
            if attribute.count == 11, Self.equals(attribute, "traceparent"), EventBlock.isSampled(traceparent: value) {
                found.isSampled = true
            }
            writer.attribute(attribute, kind, value)
        }
    }

    /// What a record of a producer that knows nothing of CloudEvents is called, as attributes.
    static func identity(of message: UnsafeMutablePointer<rd_kafka_message_t>, topic: String) -> [UInt8] {
        var bytes: [UInt8] = []
        let place = "partition:\(message.pointee.partition)/offset:\(message.pointee.offset)"
        for (name, kind, value) in [
            ("id", Attribute.Kind.string, place), ("source", .uriReference, "/kafka#\(topic)"),
            ("type", .string, "dev.apus.kafka.record"),
        ] as [(StaticString, Attribute.Kind, String)] {
            Array(value.utf8).withUnsafeBytes { EventBlock.appendAttribute(name, kind, $0, to: &bytes) }
        }
        return bytes
    }

    @inline(__always)
    static func forEach(
        _ headers: OpaquePointer, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Void
    ) {
        var index = 0
        var name: UnsafePointer<CChar>?
        var value: UnsafeRawPointer?
        var count = 0
        while rd_kafka_header_get_all(headers, index, &name, &value, &count) == RD_KAFKA_RESP_ERR_NO_ERROR,
            let found = name
        {
            body(
                UnsafeRawBufferPointer(start: found, count: strlen(found)),
                UnsafeRawBufferPointer(start: value, count: value == nil ? 0 : count))
            index += 1
        }
    }

    private static func microseconds(_ value: UnsafeRawBufferPointer) -> Int {
        guard let rest = Int(String(decoding: value.prefix(4), as: UTF8.self)), (0..<1_000).contains(rest) else {
            return 0
        }
        return rest
    }

    private static func kind(of name: UnsafeRawBufferPointer, in kinds: UnsafeRawBufferPointer) -> Attribute.Kind {
        if !kinds.isEmpty {
            for entry in kinds.split(separator: UInt8(ascii: ",")) {
                guard let equals = entry.firstIndex(of: UInt8(ascii: "=")), entry[..<equals].elementsEqual(name),
                    let number = UInt8(String(decoding: entry[entry.index(after: equals)...], as: UTF8.self)),
                    let kind = Attribute.Kind(rawValue: number), kind != .header
                else { continue }
                return kind
            }
        }
        return Self.defaultKind(name)
    }
}

/// Fills the memory of one record from its start to its end. The caller has counted.
private struct RecordWriter {
    private let base: UnsafeMutableRawPointer
    private(set) var count = 0

    init(_ base: UnsafeMutableRawPointer) { self.base = base }

    mutating func skip(_ count: Int) { self.count += count }

    @inline(__always)
    mutating func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress else { return }
        (self.base + self.count).copyMemory(from: source, byteCount: bytes.count)
        self.count += bytes.count
    }

    @inline(__always)
    mutating func attribute(
        _ name: UnsafeRawBufferPointer, _ kind: Attribute.Kind, _ value: UnsafeRawBufferPointer
    ) {
        let head = self.base + self.count
        head.storeBytes(of: UInt8(truncatingIfNeeded: name.count), as: UInt8.self)
        head.storeBytes(of: kind.rawValue, toByteOffset: 1, as: UInt8.self)
        head.storeBytes(of: UInt16(truncatingIfNeeded: value.count).littleEndian, toByteOffset: 2, as: UInt16.self)
        self.count += EventBlock.attributeHeadBytes
        self.append(name)
        self.append(value)
    }

    /// The fixed part in front, for which room was left.
    func head(time: Int64, key: Int?, attributes: Int, data: Int, flags: UInt32) {
        self.base.storeBytes(of: time.littleEndian, as: Int64.self)
        self.base.storeBytes(of: (key.map { UInt32($0) } ?? 0xFFFF_FFFF).littleEndian, toByteOffset: 8, as: UInt32.self)
        self.base.storeBytes(of: UInt32(attributes).littleEndian, toByteOffset: 12, as: UInt32.self)
        self.base.storeBytes(of: UInt32(data).littleEndian, toByteOffset: 16, as: UInt32.self)
        self.base.storeBytes(of: flags.littleEndian, toByteOffset: 20, as: UInt32.self)
    }
}
