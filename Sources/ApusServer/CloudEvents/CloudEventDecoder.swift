internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON

/// Reads CloudEvents 1.0 from an HTTP request: binary, structured and batched mode.
///
/// The record's key is the header `Apus-Key`, or the attribute `partitionkey` (`apuskey` for bytes that are no text, in base64);
/// without any of them the event has none.
enum CloudEventDecoder {
    enum Mode: Equatable { case binary, structured, batched }

    /// What a request without CloudEvents headers gets, so that plain JSON can be sent with the simplest client.
    struct Defaults {
        var id: String
        var source: String
        var type: String
    }

    /// Batched is looked for first: its media type begins as that of the structured mode does.
    /// - Returns: nil when the media type is one of CloudEvents in a format that is not JSON.
    static func mode(contentType: String?) -> Mode? {
        let essence = Self.essence(contentType ?? "")
        if essence.hasPrefix("application/cloudevents-batch") {
            return essence == Self.batchType ? .batched : nil
        }
        if essence.hasPrefix("application/cloudevents") {
            return essence == "application/cloudevents+json" || essence == "application/cloudevents" ? .structured : nil
        }
        return .binary
    }

    /// The type without its parameters, also where those are malformed: what says it is a CloudEvent is never taken for its data.
    private static func essence(_ contentType: String) -> String {
        if let media = MediaType(parsing: contentType) { return media.essence }
        var type = contentType.utf8.prefix { $0 != UInt8(ascii: ";") }.drop { $0 == 0x20 || $0 == 0x09 }
        while type.last == 0x20 || type.last == 0x09 { type.removeLast() }
        return String(Substring(type)).lowercased()
    }

    /// Whether a body of this type is a batch of events that may be read as UTF-8, whatever its case and parameters.
    static func isBatch(contentType: String?) -> Bool {
        guard let contentType, contentType != Self.batchType else { return contentType != nil }
        return self.mode(contentType: contentType) == .batched && MediaType(parsing: contentType)?.isUTF8 != false
    }

    private static let batchType = "application/cloudevents-batch+json"

    /// - Throws: `invalid_event`, `invalid_json`, `unsupported_media_type`, `event_too_large` or `limit_reached`.
    /// - Parameter dataBytes: what data may have that is kept beside its event; 0 where it must be in it.
    static func events(
        headers: [HTTPHeader], body: [UInt8], defaults: Defaults, dataBytes: Int = 0
    ) throws(ApusError) -> [Event] {
        // A header without a value is none.
        let contentType = headers.first { $0.isNamed("Content-Type") }.flatMap { $0.value.isEmpty ? nil : $0.value }
        let key = try self.key(headers)
        let mode = self.mode(contentType: contentType)
        if mode != .binary, let contentType, MediaType(parsing: contentType)?.isUTF8 == false {
            throw ApusError(
                .unsupportedMediaType, "JSON is read as UTF-8, not as \(contentType.prefix(128))")
        }
        switch mode {
        case .binary:
            return [
                try Self.checked(
                    try self.binary(headers, contentType: contentType, body: body, key: key, defaults), dataBytes)
            ]
        case .structured:
            return [try Self.checked(try self.structured(body[...], key: key), dataBytes)]
        case .batched:
            guard key == nil else {
                throw ApusError(
                    .invalidEvent,
                    "Apus-Key names one key for a batch of events: give each event a partitionkey instead")
            }
            return try self.batched(body, dataBytes)
        case nil:
            let type = (contentType ?? "").prefix(128)
            throw ApusError(
                .unsupportedMediaType, "events are read as application/cloudevents+json or -batch+json, not as \(type)")
        }
    }

    /// One event whose media type says that it is one as a whole.
    /// - Throws: as with events from a request; a batch is no event.
    static func structured(_ value: UnsafeRawBufferPointer, contentType: String) throws(ApusError) -> Event {
        guard self.mode(contentType: contentType) == .structured else {
            throw ApusError(
                .unsupportedMediaType,
                "an event is read as application/cloudevents+json, not as \(contentType.prefix(128))")
        }
        guard MediaType(parsing: contentType)?.isUTF8 != false else {
            throw ApusError(.unsupportedMediaType, "JSON is read as UTF-8, not as \(contentType.prefix(128))")
        }
        return try self.checked(try self.structured(Array(value)[...], key: nil), Limits.eventBytes)
    }

    private static func key(_ headers: [HTTPHeader]) throws(ApusError) -> [UInt8]? {
        guard let header = headers.first(where: { $0.isNamed("Apus-Key") }) else { return nil }
        guard !header.value.unicodeScalars.contains(CloudEventHeader.replacement) else {
            throw ApusError(.invalidEvent, "Apus-Key is not UTF-8: send such a key as the attribute apuskey, in base64")
        }
        return Array(header.value.utf8)
    }

    private static func checked(_ event: Event, _ dataBytes: Int) throws(ApusError) -> Event {
        try EventBlock.check(event, dataBytes: dataBytes)
        return event
    }

    // MARK: batched

    private static func batched(_ body: [UInt8], _ dataBytes: Int) throws(ApusError) -> [Event] {
        var events: [Event] = []
        for element in try Self.elements(body) {
            guard events.count < Limits.Server.eventsPerRequest else {
                throw ApusError(
                    .limitReached, "a batch holds at most \(Limits.Server.eventsPerRequest) events: send several")
            }
            do throws(ApusError) {
                events.append(try Self.checked(try self.structured(body[element], key: nil), dataBytes))
            } catch {
                throw ApusError(error.code, "event \(events.count) of the batch: \(error.message)")
            }
        }
        return events
    }

    /// Where the elements of a JSON array lie.
    private static func elements(_ body: [UInt8]) throws(ApusError) -> [Range<Int>] {
        if let error = Self.flaw(of: body) { throw ApusError(.invalidJSON, "the batch is not JSON: \(error)") }
        guard let elements = ArrayElements.ranges(of: body) else {
            throw ApusError(.invalidEvent, "a batch of events is a JSON array")
        }
        return elements
    }

    private static func flaw(of text: [UInt8]) -> JSONSyntaxError? {
        text.withUnsafeBytes { bytes in
            do throws(JSONSyntaxError) {
                try JSONChecker.check(bytes)
                return nil
            } catch { return error }
        }
    }

    // MARK: binary

    private static func binary(
        _ headers: [HTTPHeader], contentType: String?, body: [UInt8], key: [UInt8]?, _ defaults: Defaults
    ) throws(ApusError) -> Event {
        var context = CloudEventContext()
        for header in headers {
            let name = header.name.lowercased()
            guard name.hasPrefix("ce-") else { continue }
            let attribute = String(name.dropFirst(3))
            guard attribute != "datacontenttype" else {
                throw ApusError(.invalidEvent, "the header ce-datacontenttype may not be sent: Content-Type says it")
            }
            guard let value = CloudEventHeader.text(header.value) else {
                throw ApusError(.invalidEvent, "the header ce-\(attribute.prefix(64)) is not percent-encoded UTF-8")
            }
            try context.add(attribute, value)
        }
        if context.attributes.isEmpty {
            for (name, value) in [("id", defaults.id), ("source", defaults.source), ("type", defaults.type)] {
                try context.add(name, value)
            }
        } else {
            try context.close()
        }
        if let contentType {
            guard CloudEventContext.isAllowed(contentType),
                !contentType.unicodeScalars.contains(CloudEventHeader.replacement)
            else { throw ApusError(.invalidEvent, "Content-Type holds a character that no media type has") }
            context.attributes.append(Attribute("datacontenttype", contentType))
        }
        // Without a type an empty body is no data; with one it is data of no bytes.
        let data = body.isEmpty && contentType == nil ? nil : body
        return Event(key: key ?? context.key, attributes: context.attributes, data: data)
    }

    // MARK: structured

    private static func structured(_ text: ArraySlice<UInt8>, key: [UInt8]?) throws(ApusError) -> Event {
        var context = CloudEventContext()
        var data: ArraySlice<UInt8>?
        var encoded: ArraySlice<UInt8>?
        for member in try Self.members(of: text) {
            let value = text[text.startIndex + member.value.lowerBound..<text.startIndex + member.value.upperBound]
            switch member.name {
            case "data": data = value
            case "data_base64": encoded = Self.isNull(value) ? nil : value
            case let name where CloudEventContext.places.contains(name): continue
            case let name: try context.add(name, json: Array(value))
            }
        }
        try context.close()
        if encoded != nil, let plain = data, Self.isNull(plain) { data = nil }
        guard data == nil || encoded == nil else {
            throw ApusError(.invalidEvent, "an event has data or data_base64, not both")
        }
        // An event without data is a tombstone where it lands on a compacted topic.
        var event = Event(key: key ?? context.key, attributes: context.attributes, data: nil)
        if let encoded {
            event.data = try Self.decoded(encoded)
        } else if let data {
            let type = context["datacontenttype"]
            event.data = try Self.bytes(of: data, type: type)
            if type == nil { event.attributes.append(Attribute("datacontenttype", "application/json")) }
        }
        return event
    }

    /// The members of the event itself have different names; what is in `data` is its producer's business.
    private static func members(of text: ArraySlice<UInt8>) throws(ApusError) -> [JSONChecker.Member] {
        let result = text.withUnsafeBytes { bytes -> Result<[JSONChecker.Member], JSONSyntaxError> in
            do throws(JSONSyntaxError) {
                return .success(try JSONChecker.members(of: bytes, refusesDuplicates: false))
            } catch {
                return .failure(error)
            }
        }
        let members: [JSONChecker.Member]
        switch result {
        case .success(let found): members = found
        case .failure(let error): throw ApusError(.invalidJSON, "the event is not a JSON object: \(error)")
        }
        var names: Set<String> = []
        for member in members where !names.insert(member.name).inserted {
            throw ApusError(.invalidJSON, "the event has two members '\(member.name.prefix(64))'")
        }
        return members
    }

    private static func isNull(_ value: ArraySlice<UInt8>) -> Bool { value.first == UInt8(ascii: "n") }

    /// `data` is passed on byte for byte when its type is JSON; text of another type is the string's characters.
    private static func bytes(of value: ArraySlice<UInt8>, type: String?) throws(ApusError) -> [UInt8] {
        let isJSON = type.map { MediaType(parsing: $0)?.isJSON ?? false } ?? true
        guard !isJSON, value.first == UInt8(ascii: "\"") else { return Array(value) }
        guard let text = try JSONValue.parse(Array(value)).string else { return Array(value) }
        return Array(text.utf8)
    }

    private static func decoded(_ value: ArraySlice<UInt8>) throws(ApusError) -> [UInt8] {
        guard value.first == UInt8(ascii: "\""), let text = try JSONValue.parse(Array(value)).string,
            let bytes = Base64.decode(text)
        else {
            throw ApusError(.invalidEvent, "data_base64 is not base64 with its padding")
        }
        return bytes
    }
}
