internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore

/// Reads CloudEvents 1.0 from an HTTP request: binary, structured and batched mode.
///
/// The record's key is the header `Apus-Key`, or the attribute `partitionkey`; without either the event has none.
enum CloudEventDecoder {
    enum Mode: Equatable { case binary, structured, batched }

    /// What a request without CloudEvents headers gets, so that plain JSON can be sent with the simplest client.
    struct Defaults {
        var id: String
        var source: String
        var type: String
    }

    /// - Returns: nil when the media type is one of CloudEvents in a format that is not JSON.
    static func mode(contentType: String?) -> Mode? {
        let essence = contentType.flatMap { MediaType(parsing: $0)?.essence } ?? ""
        if essence.hasPrefix("application/cloudevents-batch") { return essence == "application/cloudevents-batch+json" ? .batched : nil }
        if essence.hasPrefix("application/cloudevents") {
            return essence == "application/cloudevents+json" || essence == "application/cloudevents" ? .structured : nil
        }
        return .binary
    }

    /// - Throws: `invalid_event`, `invalid_json`, `unsupported_media_type`, `event_too_large` or `limit_reached`.
    static func events(headers: [HTTPHeader], body: [UInt8], defaults: Defaults) throws(ApusError) -> [Event] {
        let contentType = headers.first { $0.isNamed("Content-Type") }?.value
        let key = headers.first { $0.isNamed("Apus-Key") }.map { Array($0.value.utf8) }
        switch self.mode(contentType: contentType) {
        case .binary:
            return [try Self.checked(try self.binary(headers, contentType: contentType, body: body, key: key, defaults))]
        case .structured:
            return [try Self.checked(try self.structured(body[...], key: key))]
        case .batched:
            var events: [Event] = []
            for element in try Self.elements(body) {
                guard events.count < Limits.Server.eventsPerRequest else {
                    throw ApusError(.limitReached, "a batch holds at most \(Limits.Server.eventsPerRequest) events: send several")
                }
                do throws(ApusError) {
                    events.append(try Self.checked(try self.structured(body[element], key: nil)))
                } catch {
                    throw ApusError(error.code, "event \(events.count) of the batch: \(error.message)")
                }
            }
            return events
        case nil:
            throw ApusError(.unsupportedMediaType, "events are read as application/cloudevents+json or -batch+json, not as \(contentType ?? "")")
        }
    }

    private static func checked(_ event: Event) throws(ApusError) -> Event {
        try EventBlock.check(event)
        return event
    }

    // MARK: binary

    private static func binary(
        _ headers: [HTTPHeader], contentType: String?, body: [UInt8], key: [UInt8]?, _ defaults: Defaults
    ) throws(ApusError) -> Event {
        var attributes: [Attribute] = []
        for header in headers {
            let name = header.name.lowercased()
            guard name.hasPrefix("ce-") else { continue }
            let attribute = String(name.dropFirst(3))
            guard attribute != "datacontenttype" else {
                throw ApusError(.invalidEvent, "the header ce-datacontenttype may not be sent: Content-Type says it")
            }
            guard !attributes.contains(where: { $0.name == attribute }) else {
                throw ApusError(.invalidEvent, "the header ce-\(attribute) comes twice")
            }
            guard let value = Self.headerText(header.value) else {
                throw ApusError(.invalidEvent, "the header ce-\(attribute) is not percent-encoded UTF-8")
            }
            attributes.append(try Self.attribute(attribute, value))
        }
        if attributes.isEmpty {
            attributes = [Attribute("id", defaults.id), Attribute("source", defaults.source), Attribute("type", defaults.type)]
        } else {
            try Self.requireContext(attributes)
        }
        attributes.removeAll { $0.name == "specversion" }
        if let contentType { attributes.append(Attribute("datacontenttype", contentType)) }
        return Event(key: key ?? Self.partitionKey(attributes), attributes: attributes, data: body.isEmpty && contentType == nil ? nil : body)
    }

    /// Decodes a header's value once; older senders quote it instead.
    static func headerText(_ value: String) -> String? {
        var value = Substring(value)
        if value.count >= 2, value.hasPrefix("\""), value.hasSuffix("\"") { value = value.dropFirst().dropLast() }
        guard let bytes = try? PercentDecoding.bytes(of: value.utf8) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }

    // MARK: structured

    private static func structured(_ text: ArraySlice<UInt8>, key: [UInt8]?) throws(ApusError) -> Event {
        let members: [JSONChecker.Member]
        switch Self.members(of: text) {
        case .success(let found): members = found
        case .failure(let error): throw ApusError(.invalidJSON, "the event is not a JSON object: \(error)")
        }
        var attributes: [Attribute] = []
        var data: [UInt8]?
        var isBase64 = false
        for member in members {
            let value = Array(text[text.startIndex + member.value.lowerBound..<text.startIndex + member.value.upperBound])
            switch member.name {
            case "data":
                guard !isBase64 else { throw ApusError(.invalidEvent, "an event has data or data_base64, not both") }
                data = value
            case "data_base64":
                guard data == nil else { throw ApusError(.invalidEvent, "an event has data or data_base64, not both") }
                guard let encoded = try JSONValue.parse(value).string, let decoded = Base64.decode(encoded) else {
                    throw ApusError(.invalidEvent, "data_base64 is not base64")
                }
                data = decoded
                isBase64 = true
            default:
                if let attribute = try Self.attribute(member.name, json: value) { attributes.append(attribute) }
            }
        }
        try Self.requireContext(attributes)
        attributes.removeAll { $0.name == "specversion" }
        let hasType = attributes.contains { $0.name == "datacontenttype" }
        if data != nil, !isBase64 {
            data = try Self.text(data ?? [], type: attributes.first { $0.name == "datacontenttype" }?.text)
            if !hasType { attributes.append(Attribute("datacontenttype", "application/json")) }
        }
        // An event without data is a tombstone where it lands on a compacted topic.
        return Event(key: key ?? Self.partitionKey(attributes), attributes: attributes, data: data)
    }

    /// `data` is passed on byte for byte when its type is JSON; text of another type is the string's characters.
    private static func text(_ value: [UInt8], type: String?) throws(ApusError) -> [UInt8] {
        if type.map({ MediaType(parsing: $0)?.isJSON ?? false }) ?? true { return value }
        guard let text = try JSONValue.parse(value, refusesDuplicates: false).string else { return value }
        return Array(text.utf8)
    }

    private static func attribute(_ name: String, json: [UInt8]) throws(ApusError) -> Attribute? {
        let value = try JSONValue.parse(json)
        switch value {
        case .null: return nil
        case .string(let text): return try Self.attribute(name, text)
        case .boolean(let flag): return try Self.attribute(name, flag ? "true" : "false", kind: .boolean)
        case .integer(let number):
            guard Int32(exactly: number) != nil else {
                throw ApusError(.invalidEvent, "the attribute '\(name.prefix(64))' is an integer beyond 32 bits")
            }
            return try Self.attribute(name, String(number), kind: .integer)
        default:
            throw ApusError(.invalidEvent, "the attribute '\(name.prefix(64))' is neither text, integer nor Boolean")
        }
    }

    // MARK: context

    private static func attribute(_ name: String, _ value: String, kind: Attribute.Kind = .string) throws(ApusError) -> Attribute {
        let isName = !name.isEmpty && name.utf8.allSatisfy { byte in
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        guard isName else {
            throw ApusError(.invalidEvent, "'\(name.prefix(64))' is no attribute's name: small letters a-z and digits are allowed")
        }
        if name == "time", RFC3339.parse(value) == nil {
            throw ApusError(.invalidEvent, "the attribute time is not an RFC 3339 time: \(value.prefix(64))")
        }
        let kind: Attribute.Kind =
            switch name {
            case "time": .timestamp
            case "source": .uriReference
            case "dataschema": .uri
            default: kind
            }
        return Attribute(name, value, kind: kind)
    }

    private static func requireContext(_ attributes: [Attribute]) throws(ApusError) {
        for name in ["specversion", "id", "source", "type"] {
            guard let attribute = attributes.first(where: { $0.name == name }), !attribute.value.isEmpty else {
                throw ApusError(.invalidEvent, "the required attribute '\(name)' is missing or empty")
            }
            if name == "specversion", attribute.text != "1.0" {
                throw ApusError(.invalidEvent, "specversion is '\(attribute.text.prefix(16))'; only 1.0 is known here")
            }
        }
    }

    private static func members(of text: ArraySlice<UInt8>) -> Result<[JSONChecker.Member], JSONSyntaxError> {
        text.withUnsafeBytes { bytes in
            do throws(JSONSyntaxError) { return .success(try JSONChecker.members(of: bytes)) } catch { return .failure(error) }
        }
    }

    private static func check(_ text: [UInt8]) -> Result<Void, JSONSyntaxError> {
        text.withUnsafeBytes { bytes in
            do throws(JSONSyntaxError) { return .success(try JSONChecker.check(bytes)) } catch { return .failure(error) }
        }
    }

    private static func partitionKey(_ attributes: [Attribute]) -> [UInt8]? {
        attributes.first { $0.name == "partitionkey" }?.value
    }

    /// Where the elements of a JSON array lie.
    private static func elements(_ body: [UInt8]) throws(ApusError) -> [Range<Int>] {
        if case .failure(let error) = Self.check(body) { throw ApusError(.invalidJSON, "the batch is not JSON: \(error)") }
        guard body.first(where: { !isSpace($0) }) == UInt8(ascii: "[") else {
            throw ApusError(.invalidEvent, "a batch of events is a JSON array")
        }
        return ArrayElements.ranges(of: body)
    }
}

private func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D }

/// Splits the text of a JSON array that was checked.
enum ArrayElements {
    static func ranges(of text: [UInt8]) -> [Range<Int>] {
        var ranges: [Range<Int>] = []
        var depth = 0
        var start: Int?
        var isString = false
        var index = 0
        while index < text.count {
            let byte = text[index]
            if isString {
                if byte == UInt8(ascii: "\\") { index += 1 } else if byte == UInt8(ascii: "\"") { isString = false }
                index += 1
                continue
            }
            if depth == 1, start == nil, !isSpace(byte), byte != UInt8(ascii: ","), byte != UInt8(ascii: "]") { start = index }
            switch byte {
            case UInt8(ascii: "\""): isString = true
            case UInt8(ascii: "["), UInt8(ascii: "{"): depth += 1
            case UInt8(ascii: "]"), UInt8(ascii: "}"):
                depth -= 1
                if depth == 0, let first = start { ranges.append(first..<index) }
            case UInt8(ascii: ",") where depth == 1:
                if let first = start { ranges.append(first..<index) }
                start = nil
            default: break
            }
            index += 1
        }
        return ranges
    }
}
