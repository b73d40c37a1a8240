internal import ApusCore
internal import ApusJSON
internal import ApusStore

/// Turns a batch of plain structured events into blocks in one pass, without building an event.
///
/// It takes what nearly all producers send: names and values without escapes in visible ASCII, JSON data. Anything else, right or wrong,
/// makes it give up, and ``CloudEventDecoder`` decides; so what it takes must be exactly what that one would have made of it.
struct QuickBatch {
    struct Event: Equatable {
        var block: [UInt8]
        var hasKey: Bool
    }

    private let bytes: UnsafeRawBufferPointer
    private var at = 0

    /// - Parameter parser: of the calling thread.
    /// - Returns: nil for what it does not take.
    static func events(_ body: [UInt8], _ parser: JSONParser) -> [Event]? {
        // The grammar and the encoding are checked first, so that the pass below only has to find its way.
        guard case .success(true) = Self.isArray(body, parser) else { return nil }
        return body.withUnsafeBytes { bytes in
            var batch = QuickBatch(bytes: bytes)
            return batch.all()
        }
    }

    private static func isArray(_ body: [UInt8], _ parser: JSONParser) -> Result<Bool, ApusError> {
        do throws(ApusError) {
            return .success(try parser.parse(body) { (view) throws(ApusError) in view.kind == .array })
        } catch { return .failure(error) }
    }

    private init(bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    private mutating func all() -> [Event]? {
        var events: [Event] = []
        guard self.take("[") else { return nil }
        if self.take("]") { return [] }
        var scratch = Scratch()
        repeat {
            guard events.count < Limits.Server.eventsPerRequest, let event = self.event(&scratch) else { return nil }
            events.append(event)
        } while self.take(",")
        return self.take("]") ? events : nil
    }

    // MARK: one event

    private struct Member {
        var name: Range<Int>
        var value: Range<Int>
        var kind: Attribute.Kind
    }

    /// What is known of the event under way; kept from one to the next for its storage.
    private struct Scratch {
        var attributes: [Member] = []
        var key: Range<Int>?
        var data: Range<Int>?
        var hasVersion = false
        var required = 0
        var hasType = false
        var isSampled = false

        mutating func reset() {
            self.attributes.removeAll(keepingCapacity: true)
            (self.key, self.data, self.hasVersion, self.required, self.hasType) = (nil, nil, false, 0, false)
            self.isSampled = false
        }
    }

    private mutating func event(_ scratch: inout Scratch) -> Event? {
        scratch.reset()
        guard self.take("{") else { return nil }
        repeat {
            guard let name = self.plainString(), self.take(":"), self.member(name, &scratch) else { return nil }
        } while self.take(",")
        guard self.take("}"), scratch.hasVersion, scratch.required == 3 else { return nil }
        return self.encode(scratch)
    }

    private mutating func member(_ name: Range<Int>, _ scratch: inout Scratch) -> Bool {
        if self.equals(name, "data") {
            guard scratch.data == nil, let value = self.value() else { return false }
            scratch.data = value
            return true
        }
        guard self.isPlainName(name), let value = self.plainString(), !value.isEmpty else { return false }
        if self.equals(name, "specversion") {
            guard !scratch.hasVersion, self.equals(value, "1.0") else { return false }
            scratch.hasVersion = true
            return true
        }
        guard scratch.attributes.count < Limits.attributesPerEvent - 1, value.count <= 0xFFFF,
            !scratch.attributes.contains(where: { self.areEqual($0.name, name) })
        else { return false }
        var kind = Attribute.Kind.string
        switch name.count {
        case 2 where self.equals(name, "id"), 4 where self.equals(name, "type"):
            scratch.required += 1
        case 6 where self.equals(name, "source"):
            kind = .uriReference
            guard self.isReference(value) else { return false }
            scratch.required += 1
        case 4 where self.equals(name, "time"):
            kind = .timestamp
            guard self.isTime(value) else { return false }
        case 10 where self.equals(name, "dataschema"): return false
        case 11 where self.equals(name, "traceparent"):
            scratch.isSampled = EventBlock.isSampled(traceparent: self.bytes[value])
        case 12 where self.equals(name, "partitionkey"): scratch.key = value
        case 15 where self.equals(name, "datacontenttype"):
            // Text of another type is the string's characters, which escapes may hide.
            guard self.equals(value, "application/json") else { return false }
            scratch.hasType = true
        default: break
        }
        scratch.attributes.append(Member(name: name, value: value, kind: kind))
        return true
    }

    /// A path of plain characters is a reference as it stands; others are looked at with care.
    private func isReference(_ value: Range<Int>) -> Bool {
        let isPlain = self.bytes[value].allSatisfy { byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, UInt8(ascii: "/"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                true
            default: false
            }
        }
        return isPlain || URIReference.isWellFormed(String(decoding: self.bytes[value], as: UTF8.self))
    }

    /// The one form that clocks print; others are for the other decoder.
    private func isTime(_ value: Range<Int>) -> Bool {
        (20...32).contains(value.count) && self.bytes[value.upperBound - 1] == UInt8(ascii: "Z")
            && RFC3339.parse(String(decoding: self.bytes[value], as: UTF8.self)) != nil
    }

    private static let jsonType = Attribute("datacontenttype", "application/json")

    private func encode(_ scratch: Scratch) -> Event? {
        var attributesSize = 0
        for member in scratch.attributes {
            attributesSize += EventBlock.attributeHeadBytes + member.name.count + member.value.count
        }
        let addsType = scratch.data != nil && !scratch.hasType
        if addsType { attributesSize += EventBlock.attributesSize([Self.jsonType]) }
        let key = scratch.key?.count ?? 0
        let data = scratch.data?.count ?? 0
        let size = EventBlock.headBytes + key + attributesSize + data
        guard key <= Limits.keyBytes, attributesSize <= Limits.attributesBytes, size <= Limits.eventBytes else {
            return nil
        }
        var block: [UInt8] = []
        block.reserveCapacity(size)
        EventBlock.appendHead(
            key: scratch.key?.count, attributes: attributesSize, data: data, isNull: scratch.data == nil,
            isSampled: scratch.isSampled, to: &block)
        if let key = scratch.key { block.append(contentsOf: self.bytes[key]) }
        for member in scratch.attributes {
            block.append(UInt8(member.name.count))
            block.append(member.kind.rawValue)
            block.appendLittleEndian(UInt16(member.value.count))
            block.append(contentsOf: self.bytes[member.name])
            block.append(contentsOf: self.bytes[member.value])
        }
        if addsType { EventBlock.append([Self.jsonType], to: &block) }
        if let data = scratch.data { block.append(contentsOf: self.bytes[data]) }
        return Event(block: block, hasKey: scratch.key != nil)
    }

    // MARK: finding the way through text that is known to be JSON

    private mutating func skipSpace() {
        while self.at < self.bytes.count, self.bytes[self.at] <= 0x20 { self.at += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        self.skipSpace()
        guard self.at < self.bytes.count, self.bytes[self.at] == UInt8(ascii: character) else { return false }
        self.at += 1
        return true
    }

    /// The characters of a string that has no escape and nothing but visible ASCII and spaces.
    private mutating func plainString() -> Range<Int>? {
        guard self.take("\"") else { return nil }
        let start = self.at
        while self.at < self.bytes.count {
            let byte = self.bytes[self.at]
            if byte == UInt8(ascii: "\"") {
                self.at += 1
                return start..<self.at - 1
            }
            guard byte != UInt8(ascii: "\\"), (0x20..<0x7F).contains(byte) else { return nil }
            self.at += 1
        }
        return nil
    }

    /// Where a value lies, whatever it is.
    private mutating func value() -> Range<Int>? {
        self.skipSpace()
        let start = self.at
        var depth = 0
        while self.at < self.bytes.count {
            switch self.bytes[self.at] {
            case UInt8(ascii: "\""): self.skipString()
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                guard depth <= Self.depthMax else { return nil }
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                if depth == 0 { return self.ended(start) }
                depth -= 1
            case UInt8(ascii: ",") where depth == 0: return self.ended(start)
            default: break
            }
            self.at += 1
        }
        return nil
    }

    /// A scalar ends before the comma or brace that follows it, and before spaces in between.
    private func ended(_ start: Int) -> Range<Int> {
        var end = self.at
        while end > start, self.bytes[end - 1] <= 0x20 { end -= 1 }
        return start..<end
    }

    /// Nesting of data that this pass follows.
    private static let depthMax = 32

    /// To the closing quote.
    private mutating func skipString() {
        self.at += 1
        while self.at < self.bytes.count, self.bytes[self.at] != UInt8(ascii: "\"") {
            self.at += self.bytes[self.at] == UInt8(ascii: "\\") ? 2 : 1
        }
    }

    // MARK: names

    /// Names that mean something else than an attribute, or that are none, are for the other decoder.
    private func isPlainName(_ name: Range<Int>) -> Bool {
        guard (1...255).contains(name.count), !self.equals(name, CloudEventContext.keyName) else { return false }
        if name.count >= 4, self.bytes[name.lowerBound..<name.lowerBound + 4].elementsEqual("apus".utf8) {
            return false
        }
        return self.bytes[name].allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
    }

    private func equals(_ range: Range<Int>, _ text: String) -> Bool {
        range.count == text.utf8.count && self.bytes[range].elementsEqual(text.utf8)
    }

    private func areEqual(_ left: Range<Int>, _ right: Range<Int>) -> Bool {
        left.count == right.count && self.bytes[left].elementsEqual(self.bytes[right])
    }
}
