internal import ApusCore
internal import ApusCrypto
internal import CRDKafka

// MARK: from Kafka

extension KafkaRecord {
    /// Appends what a message is as an ``EventBlock``. Any message has one: of headers that no block can hold, what fits is kept.
    ///
    /// No capacity is reserved: many records go into one array, which would be copied for each.
    /// - Parameter structured: reads what is an event in structured mode.
    static func append(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>, topic: String,
        _ structured: StructuredEventReader? = nil, to bytes: inout [UInt8]
    ) {
        let start = bytes.count
        let value = message.pointee.payload
        let valueCount = value == nil ? 0 : message.pointee.len
        let key = message.pointee.key
        let keyCount = key == nil ? 0 : message.pointee.key_len
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let milliseconds = max(0, rd_kafka_message_timestamp(message, &kind))
        EventBlock.appendHead(
            key: key == nil ? nil : keyCount, attributes: 0, data: valueCount, isNull: value == nil, to: &bytes)
        if let key { bytes.append(contentsOf: UnsafeRawBufferPointer(start: key, count: keyCount)) }
        let attributes = bytes.count
        let found = Self.appendAttributes(of: message, to: &bytes)
        if let structured, found.isStructured {
            bytes.removeSubrange(start...)
            Self.appendUnfolded(message, topic: topic, found, structured, to: &bytes)
            return
        }
        if !found.isEvent { Self.appendIdentity(of: message, topic: topic, to: &bytes) }
        let isInvalid = found.lacksAttributes && !Self.isOwn(message)
        if isInvalid { Self.appendReason(found.isKnownVersion ? Self.missing : Self.wrongVersion, to: &bytes) }
        let attributesCount = bytes.count - attributes
        if let value { bytes.append(contentsOf: UnsafeRawBufferPointer(start: value, count: valueCount)) }
        let time = milliseconds * 1_000 + Int64(found.microseconds)
        bytes.withUnsafeMutableBytes { bytes in
            bytes.storeBytes(of: time.littleEndian, toByteOffset: start, as: Int64.self)
            bytes.storeBytes(of: UInt32(attributesCount).littleEndian, toByteOffset: start + 12, as: UInt32.self)
            guard found.isSampled || isInvalid else { return }
            let flags: UInt32 =
                (value == nil ? EventBlock.nullDataFlag : 0) | (found.isSampled ? EventBlock.sampledFlag : 0)
                | (isInvalid ? EventBlock.invalidFlag : 0)
            bytes.storeBytes(of: flags.littleEndian, toByteOffset: start + 20, as: UInt32.self)
        }
    }

    /// What the headers of a record say of it.
    struct Found {
        var isEvent = false
        /// All of the event is in the value.
        var isStructured = false
        /// The specversion that is known here, `id`, `source` and `type`: a bit for each that is there and not empty.
        var required: UInt8 = 0
        var isSampled = false
        var microseconds = 0

        /// It is an event in binary mode without all that an event must have.
        var lacksAttributes: Bool { self.isEvent && self.required != 0b1111 }
        var isKnownVersion: Bool { self.required & 1 != 0 }
    }

    private static func appendAttributes(
        of message: UnsafeMutablePointer<rd_kafka_message_t>, to bytes: inout [UInt8]
    ) -> Found {
        var found = Found()
        var headers: OpaquePointer?
        guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR, let headers else {
            return found
        }
        // What must be known before the first attribute is written.
        var kinds = UnsafeRawBufferPointer(start: nil, count: 0)
        var hasContentType = false
        Self.forEach(headers) { name, value in
            if Self.equals(name, Self.specversionHeader) {
                found.isEvent = true
                if Self.equals(value, "1.0") { found.required |= 1 }
            }
            if Self.equals(name, Self.contentTypeHeader) {
                hasContentType = true
                if Self.isStructured(value) { found.isStructured = true }
            }
            if Self.equals(name, Self.kindsHeader) { kinds = value }
            if Self.equals(name, Self.microsecondsHeader) { found.microseconds = Self.microseconds(value) }
        }
        let start = bytes.count
        var count = 0
        Self.forEach(headers) { name, value in
            guard !Self.equals(name, Self.specversionHeader), !Self.equals(name, Self.kindsHeader),
                !Self.equals(name, Self.microsecondsHeader)
            else { return }
            var attribute = name
            var kind = Attribute.Kind.header
            if Self.equals(name, Self.contentTypeHeader) {
                (attribute, kind) = (("datacontenttype" as StaticString).bytes, .string)
            } else if found.isEvent, Self.hasPrefix(name, Self.attributePrefix) {
                attribute = UnsafeRawBufferPointer(rebasing: name[Self.attributePrefix.utf8CodeUnitCount...])
                // Some producers write it beside the header that says it.
                if hasContentType, Self.equals(attribute, "datacontenttype") { return }
                if !value.isEmpty { found.required |= Self.requiredBit(attribute) }
                kind = Self.kind(of: attribute, in: kinds)
            }
            guard count < Limits.attributesPerEvent, (1...255).contains(attribute.count), value.count <= 0xFFFF,
                bytes.count - start + EventBlock.attributeHeadBytes + attribute.count + value.count
                    <= Limits.attributesBytes
            else { return }
            count += 1
            if kind == .binary, let decoded = Base64.decode(String(decoding: value, as: UTF8.self)) {
                decoded.withUnsafeBytes { Self.append(attribute, kind, $0, to: &bytes) }
                return
            }
            if Self.equals(attribute, "traceparent"), EventBlock.isSampled(traceparent: value) {
                found.isSampled = true
            }
            Self.append(attribute, kind, value, to: &bytes)
        }
        return found
    }

    private static let missing = "an event needs ce_id, ce_source and ce_type, none of them empty"
    private static let wrongVersion = "only ce_specversion 1.0 is known here"

    private static func appendReason(_ reason: String, to bytes: inout [UInt8]) {
        EventBlock.append([Attribute(InternalHeader.invalid, reason, kind: .header)], to: &bytes)
    }

    /// Whether Apus wrote it: what it keeps of itself needs no identity.
    private static func isOwn(_ message: UnsafeMutablePointer<rd_kafka_message_t>) -> Bool {
        var headers: OpaquePointer?
        guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR, let headers else {
            return false
        }
        var isOwn = false
        Self.forEach(headers) { name, _ in isOwn = isOwn || Self.equals(name, Self.microsecondsHeader) }
        return isOwn
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

    /// What a record of a producer that knows nothing of CloudEvents is called.
    static func appendIdentity(
        of message: UnsafeMutablePointer<rd_kafka_message_t>, topic: String, to bytes: inout [UInt8]
    ) {
        let place = "partition:\(message.pointee.partition)/offset:\(message.pointee.offset)"
        for (name, kind, value) in [
            ("id", Attribute.Kind.string, place), ("source", .uriReference, "/kafka#\(topic)"),
            ("type", .string, "dev.apus.kafka.record"),
        ] as [(StaticString, Attribute.Kind, String)] {
            Array(value.utf8).withUnsafeBytes { EventBlock.appendAttribute(name, kind, $0, to: &bytes) }
        }
    }

    private static func append(
        _ name: UnsafeRawBufferPointer, _ kind: Attribute.Kind, _ value: UnsafeRawBufferPointer, to bytes: inout [UInt8]
    ) {
        bytes.append(UInt8(name.count))
        bytes.append(kind.rawValue)
        bytes.appendLittleEndian(UInt16(value.count))
        bytes.append(contentsOf: name)
        bytes.append(contentsOf: value)
    }

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

    private static func strlen(_ text: UnsafePointer<CChar>) -> Int {
        var count = 0
        while text[count] != 0 { count += 1 }
        return count
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
