internal import ApusCore
internal import ApusCrypto
internal import CRDKafka
internal import CKafkaShims
internal import CShims
internal import Glibc

/// A record on Kafka and the ``EventBlock`` it is here: CloudEvents' Kafka binding in binary mode, the key and the data byte for byte.
///
/// Attributes are headers `ce_…`, `datacontenttype` is `content-type`, and other headers only travel along. What the binding cannot say is
/// in two headers of ours: the microseconds of the time, and the kinds of attributes that their names do not tell.
enum KafkaRecord {
    /// The part of the time that Kafka's milliseconds do not hold, as decimal text. On every record that Apus writes, and on no other.
    static let microsecondsHeader: StaticString = "apus-us"
    /// `name=kind` with commas between, for attributes whose kind is not that of ``defaultKind(_:)``.
    static let kindsHeader: StaticString = "apus-kinds"
    static let specversionHeader: StaticString = "ce_specversion"
    static let specversion: StaticString = "1.0"
    static let contentTypeHeader: StaticString = "content-type"
    static let attributePrefix: StaticString = "ce_"
    static let contentType: StaticString = "datacontenttype"

    /// The kind that CloudEvents gives an attribute by its name; extensions are strings unless they say otherwise.
    static func defaultKind(_ name: UnsafeRawBufferPointer) -> Attribute.Kind {
        if equals(name, "source") { return .uriReference }
        if equals(name, "dataschema") { return .uri }
        if equals(name, "time") { return .timestamp }
        return .string
    }

    @inline(__always)
    static func equals(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        bytes.count == text.utf8CodeUnitCount && Self.hasPrefix(bytes, text)
    }

    @inline(__always)
    static func hasPrefix(_ bytes: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        guard bytes.count >= text.utf8CodeUnitCount, let base = bytes.baseAddress else {
            return text.utf8CodeUnitCount == 0
        }
        return memcmp(base, text.utf8Start, text.utf8CodeUnitCount) == 0
    }
}

// MARK: to Kafka

extension KafkaRecord {
    /// Queues a record. The block was checked.
    /// - Parameter opaque: what its delivery report shows.
    static func produce(
        _ block: [UInt8], _ layout: EventLayout, by client: OpaquePointer, topic: OpaquePointer, partition: Int,
        time: Timestamp, opaque: Int
    ) -> rd_kafka_resp_err_t {
        let headers = Self.headers(block, layout, time)
        let code = block.withUnsafeBytes { bytes in
            // A range that is empty still has an address: only what is null is null.
            func address(_ range: Range<Int>) -> UnsafeRawPointer? { bytes.baseAddress.map { $0 + range.lowerBound } }
            return apus_kafka_produce(
                UnsafeMutableRawPointer(client), UnsafeMutableRawPointer(topic), Int32(partition),
                layout.key.flatMap(address), layout.key?.count ?? 0, layout.isNull ? nil : address(layout.data),
                layout.data.count, time.milliseconds,
                UnsafeMutableRawPointer(headers), UnsafeMutableRawPointer(bitPattern: opaque + 1))
        }
        if code != 0 { rd_kafka_headers_destroy(headers) }
        return rd_kafka_resp_err_t(code)
    }

    private static func headers(_ block: [UInt8], _ layout: EventLayout, _ time: Timestamp) -> OpaquePointer? {
        let headers = rd_kafka_headers_new(12)
        Self.add(headers, Self.specversionHeader, Self.specversion.bytes)
        // Always, so that what Apus wrote is known.
        withUnsafeTemporaryAllocation(byteCount: 3, alignment: 1) { digits in
            let rest = Int(time.microseconds % 1_000)
            for (index, digit) in [rest / 100, rest / 10 % 10, rest % 10].enumerated() {
                digits[index] = UInt8(ascii: "0") + UInt8(digit)
            }
            Self.add(headers, Self.microsecondsHeader, UnsafeRawBufferPointer(digits))
        }
        var kinds: [UInt8] = []
        var name: [UInt8] = []
        block.withUnsafeBytes { bytes in
            // The block was parsed before: its attributes are whole.
            try? layout.forEachAttribute(in: block.span.bytes) { nameRange, kind, valueRange in
                let plain = UnsafeRawBufferPointer(rebasing: bytes[nameRange])
                let value = UnsafeRawBufferPointer(rebasing: bytes[valueRange])
                name.removeAll(keepingCapacity: true)
                if kind != Attribute.Kind.header.rawValue {
                    if Self.equals(plain, "datacontenttype") {
                        Self.add(headers, Self.contentTypeHeader, value)
                        return true
                    }
                    name.append(contentsOf: Self.attributePrefix.bytes)
                    if kind != Self.defaultKind(plain).rawValue {
                        if !kinds.isEmpty { kinds.append(UInt8(ascii: ",")) }
                        kinds.append(contentsOf: plain)
                        kinds.append(contentsOf: Array("=\(kind)".utf8))
                    }
                }
                name.append(contentsOf: plain)
                if kind == Attribute.Kind.binary.rawValue {
                    Self.add(headers, name, Array(Base64.encode(value).utf8))
                } else {
                    name.withUnsafeBytes { Self.add(headers, $0, value) }
                }
                return true
            }
        }
        if !kinds.isEmpty { Self.add(headers, Array(Self.kindsHeader.bytes), kinds) }
        return headers
    }

    private static func add(_ headers: OpaquePointer?, _ name: StaticString, _ value: UnsafeRawBufferPointer) {
        Self.add(headers, name.bytes, value)
    }

    private static func add(_ headers: OpaquePointer?, _ name: [UInt8], _ value: [UInt8]) {
        name.withUnsafeBytes { name in value.withUnsafeBytes { Self.add(headers, name, $0) } }
    }

    private static func add(_ headers: OpaquePointer?, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer)
    {
        // Fails only for read-only headers, which these are not. An empty value is no null value.
        _ = rd_kafka_header_add(
            headers, name.assumingMemoryBound(to: CChar.self).baseAddress, name.count,
            value.baseAddress ?? empty.pointer,
            value.count)
    }
}

extension StaticString {
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: self.utf8Start, count: self.utf8CodeUnitCount) }
}

/// An address for what has no bytes.
private struct EmptyBytes: @unchecked Sendable {
    // SAFETY: never written, never freed.
    let pointer = UnsafeRawPointer(UnsafeMutableRawPointer.allocate(byteCount: 1, alignment: 1))
}
private let empty = EmptyBytes()
