internal import ApusCore
internal import CRDKafka

// MARK: structured mode

extension KafkaRecord {
    /// Appends a record that is an event in structured mode, as the event that it is; and one that is none, marked as such, with its
    /// bytes as they came. Rare, so that it may build what it writes.
    static func appendUnfolded(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>, topic: String, _ found: Found,
        _ structured: StructuredEventReader, to bytes: inout [UInt8]
    ) {
        let headers = Self.plainHeaders(of: message)
        let result = Self.read(message, headers, structured)
        var event: Event
        var flags: UInt32 = 0
        switch result {
        case .success(let unfolded):
            event = unfolded
            event.attributes += headers.plain
        case .failure(let error):
            event = Event(attributes: [], data: message.pointee.payload.map { Self.bytes($0, message.pointee.len) })
            event.attributes = Self.attributes(Self.identity(of: message, topic: topic))
            if let type = headers.contentType { event.attributes.append(Attribute("datacontenttype", type)) }
            event.attributes += headers.attributes + headers.plain
            let reason = String(error.message.prefix(Limits.Kafka.reasonCharacters))
            event.attributes.insert(Attribute(InternalHeader.invalid, reason, kind: .header), at: 0)
            flags = EventBlock.invalidFlag
        }
        event.attributes = Self.fitting(event.attributes)
        event.key = message.pointee.key.map { Self.bytes($0, message.pointee.key_len) }
        var kind = RD_KAFKA_TIMESTAMP_NOT_AVAILABLE
        let milliseconds = max(0, rd_kafka_message_timestamp(message, &kind))
        event.timestamp = Timestamp(microseconds: milliseconds * 1_000 + Int64(found.microseconds))
        let start = bytes.count
        EventBlock.append(event, to: &bytes)
        bytes[start + 20] |= UInt8(flags)
    }

    private struct Headers {
        var contentType: String?
        /// Those that mean an attribute where the mode is binary, as headers.
        var attributes: [Attribute] = []
        var plain: [Attribute] = []
    }

    private static func read(
        _ message: UnsafeMutablePointer<rd_kafka_message_t>, _ headers: Headers, _ structured: StructuredEventReader
    ) -> Result<Event, ApusError> {
        guard let value = message.pointee.payload else {
            return .failure(ApusError(.invalidEvent, "an event in structured mode has no null value"))
        }
        do throws(ApusError) {
            let bytes = UnsafeRawBufferPointer(start: value, count: message.pointee.len)
            return .success(try structured(bytes, headers.contentType ?? ""))
        } catch {
            return .failure(error)
        }
    }

    private static func plainHeaders(of message: UnsafeMutablePointer<rd_kafka_message_t>) -> Headers {
        var found = Headers()
        var headers: OpaquePointer?
        guard rd_kafka_message_headers(message, &headers) == RD_KAFKA_RESP_ERR_NO_ERROR, let headers else {
            return found
        }
        Self.forEach(headers) { name, value in
            guard !Self.equals(name, Self.kindsHeader), !Self.equals(name, Self.microsecondsHeader),
                (1...255).contains(name.count), value.count <= 0xFFFF
            else { return }
            if Self.equals(name, Self.contentTypeHeader) {
                found.contentType = String(decoding: value, as: UTF8.self)
                return
            }
            let header = Attribute(String(decoding: name, as: UTF8.self), bytes: Array(value), kind: .header)
            if Self.hasPrefix(name, Self.attributePrefix) {
                found.attributes.append(header)
            } else {
                found.plain.append(header)
            }
        }
        return found
    }

    private static func attributes(_ bytes: [UInt8]) -> [Attribute] {
        var block: [UInt8] = []
        EventBlock.appendHead(key: nil, attributes: bytes.count, data: 0, isNull: true, to: &block)
        block += bytes
        // The bytes were written a moment ago.
        return (try? EventBlock.decode(block.span.bytes))?.attributes ?? []
    }

    /// What a block can hold of them, from the front.
    private static func fitting(_ attributes: [Attribute]) -> [Attribute] {
        var room = Limits.attributesBytes
        var kept: [Attribute] = []
        for attribute in attributes.prefix(Limits.attributesPerEvent) {
            let size = EventBlock.attributeHeadBytes + attribute.name.utf8.count + attribute.value.count
            guard (1...255).contains(attribute.name.utf8.count), attribute.value.count <= 0xFFFF, size <= room else {
                continue
            }
            room -= size
            kept.append(attribute)
        }
        return kept
    }

    private static func bytes(_ start: UnsafeMutableRawPointer, _ count: Int) -> [UInt8] {
        Array(UnsafeRawBufferPointer(start: start, count: count))
    }
}
