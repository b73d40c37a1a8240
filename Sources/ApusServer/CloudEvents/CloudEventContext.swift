internal import ApusCore
internal import ApusCrypto
internal import ApusJSON
internal import ApusStore

/// The attributes of an event that is being read, each checked as it comes.
struct CloudEventContext {
    /// What the server writes on events that it gives out, so that they can be sent again: they say where an event lay, not what
    /// it is.
    static let places: Set<String> = ["apuspartition", "apusoffset", "apusheaders"]

    /// A key that `partitionkey` cannot hold, in base64: how the server gives out keys that are no text.
    static let keyName = "apuskey"

    var attributes: [Attribute] = []
    private var keyBytes: [UInt8]?

    subscript(name: String) -> String? { self.attributes.first { $0.name == name }?.text }

    /// The record's key as the event says it.
    var key: [UInt8]? { self.keyBytes ?? self.attributes.first { $0.name == "partitionkey" }?.value }

    /// Whether CloudEvents allow this text as the value of an attribute.
    static func isAllowed(_ text: String) -> Bool { text.unicodeScalars.allSatisfy(Self.isAllowed) }

    /// Adds an attribute in its text form.
    /// - Throws: `invalid_event`, or `event_too_large` for more than an event may have.
    mutating func add(_ name: String, _ value: String, kind: Attribute.Kind = .string) throws(ApusError) {
        guard Self.isName(name) else {
            throw ApusError(
                .invalidEvent,
                "'\(name.prefix(64))' is no attribute's name: small letters a-z and digits are allowed, and not `data`")
        }
        guard !Self.places.contains(name) else { return }
        guard self[name] == nil else {
            throw ApusError(.invalidEvent, "the attribute '\(name.prefix(64))' comes twice")
        }
        if name == Self.keyName {
            guard self.keyBytes == nil, let key = Base64.decode(value) else {
                throw ApusError(.invalidEvent, "the attribute \(name) is not one key in base64")
            }
            self.keyBytes = key
            return
        }
        guard Self.isAllowed(value) else {
            throw ApusError(
                .invalidEvent,
                "the attribute '\(name.prefix(64))' has a control character or another that CloudEvents do not allow")
        }
        if Self.defined.contains(name) { try Self.check(name, value, kind) }
        // One more for `specversion`, which is not kept.
        guard self.attributes.count <= Limits.attributesPerEvent else {
            throw ApusError(.eventTooLarge, "the event has more than \(Limits.attributesPerEvent) attributes")
        }
        let kind: Attribute.Kind =
            switch name {
            case "time": .timestamp
            case "source": .uriReference
            case "dataschema": .uri
            default: kind
            }
        self.attributes.append(Attribute(name, value, kind: kind))
    }

    /// Adds an attribute from its JSON text; null is the same as leaving it out.
    /// - Throws: `invalid_event`, `event_too_large`, or `invalid_json` for text that is no Unicode.
    mutating func add(_ name: String, json: [UInt8]) throws(ApusError) {
        switch json.first {
        case UInt8(ascii: "{"), UInt8(ascii: "["): throw Self.wrongType(name)
        default: break
        }
        switch try JSONValue.parse(json) {
        case .null: return
        case .string(let text): try self.add(name, text)
        case .boolean(let flag): try self.add(name, flag ? "true" : "false", kind: .boolean)
        case .integer(let number) where Int32(exactly: number) != nil:
            try self.add(name, String(number), kind: .integer)
        case .integer, .unsigned:
            throw ApusError(
                .invalidEvent, "the attribute '\(name.prefix(64))' is an integer beyond 32 bits: send it as text")
        default: throw Self.wrongType(name)
        }
    }

    /// Checks that nothing required is missing, and takes out `specversion`, which is always 1.0.
    /// - Throws: `invalid_event`.
    mutating func close() throws(ApusError) {
        for name in ["specversion", "id", "source", "type"] {
            guard let value = self[name], !value.isEmpty else {
                throw ApusError(.invalidEvent, "the required attribute '\(name)' is missing or empty")
            }
            if name == "specversion", value != "1.0" {
                throw ApusError(.invalidEvent, "specversion is '\(value.prefix(16))'; only 1.0 is known here")
            }
        }
        self.attributes.removeAll { $0.name == "specversion" }
    }

    /// The attributes that CloudEvents define, which are all text, and none of them empty.
    static let defined: Set<String> = [
        "specversion", "id", "source", "type", "subject", "time", "datacontenttype", "dataschema",
    ]

    private static func wrongType(_ name: String) -> ApusError {
        ApusError(.invalidEvent, "the attribute '\(name.prefix(64))' is neither text, integer nor Boolean")
    }

    private static func check(_ name: String, _ value: String, _ kind: Attribute.Kind) throws(ApusError) {
        guard kind == .string else { throw ApusError(.invalidEvent, "the attribute '\(name)' must be text") }
        guard !value.isEmpty else {
            throw ApusError(.invalidEvent, "the attribute '\(name)' is empty: give it a value, or leave it out")
        }
        switch name {
        case "time":
            // A time of day is part of it: 2026-01-31T12:00:00Z is the shortest.
            if value.utf8.count < 20 || RFC3339.parse(value) == nil {
                throw ApusError(.invalidEvent, "the attribute time is not an RFC 3339 time: \(value.prefix(64))")
            }
        case "source", "dataschema":
            guard URIReference.isWellFormed(value), name == "source" || URIReference.hasScheme(value) else {
                let expected = name == "source" ? "a URI or a reference to one" : "a URI with its scheme"
                throw ApusError(
                    .invalidEvent, "the attribute \(name) is not \(expected): \(value.prefix(64))")
            }
        default: break
        }
    }

    static func isName(_ name: String) -> Bool {
        !name.isEmpty && name != "data"
            && name.utf8.allSatisfy { byte in
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
            }
    }

    /// CloudEvents' String: no control characters, no noncharacters. Surrogates do not reach a Swift string.
    private static func isAllowed(_ scalar: Unicode.Scalar) -> Bool {
        switch scalar.value {
        case 0..<0x20, 0x7F..<0xA0, 0xFDD0...0xFDEF: false
        default: scalar.value & 0xFFFE != 0xFFFE
        }
    }
}
