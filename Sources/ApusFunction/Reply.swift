internal import ApusCore

/// What a handler answers with, or emits, when it says more than data: content type, attributes, key.
public struct Reply: Sendable, Equatable {
    /// Nil is "nothing": no reply is written; to a caller, an empty answer.
    public var data: [UInt8]?
    /// CloudEvents attributes of its own, as `type`; what is not given the platform fills in.
    public var attributes: [String: String]
    public var key: String?
    /// Headers of the answer to an HTTP trigger; they count when ``status`` is set.
    public var headers: [Event.Header] = []
    /// The status of the answer to an HTTP trigger, from 200 to 599; nil is 200, or 204 for nothing.
    public var status: Int?

    public init(data: [UInt8]?, contentType: String? = nil, attributes: [String: String] = [:], key: String? = nil) {
        self.data = data
        self.attributes = attributes
        if let contentType { self.attributes["datacontenttype"] = contentType }
        self.key = key
    }

    public static let nothing = Reply(data: nil)

    /// - Throws: what the value's `encode(to:)` throws, and `EncodingError` for numbers that JSON does not have.
    public static func json(
        _ value: some Encodable, attributes: [String: String] = [:], key: String? = nil
    ) throws -> Reply {
        Reply(data: try JSON.encode(value), contentType: "application/json", attributes: attributes, key: key)
    }

    public static func text(_ text: String, attributes: [String: String] = [:], key: String? = nil) -> Reply {
        Reply(data: Array(text.utf8), contentType: "text/plain; charset=utf-8", attributes: attributes, key: key)
    }

    public static func bytes(
        _ bytes: [UInt8], contentType: String = "application/octet-stream", attributes: [String: String] = [:],
        key: String? = nil
    ) -> Reply {
        Reply(data: bytes, contentType: contentType, attributes: attributes, key: key)
    }

    /// What came in goes out.
    public init(_ event: Event) {
        self.init(data: event.data, attributes: event.attributes, key: event.key)
    }

    /// What a typed handler returned: bytes as they are, `nil` as nothing, anything else as JSON.
    static func of(_ output: some Encodable) throws -> Reply {
        if let reply = output as? [UInt8] { return .bytes(reply) }
        let json = try JSON.encode(output)
        if output is (any OptionalValue), json == Array("null".utf8) { return .nothing }
        return Reply(data: json, contentType: "application/json")
    }

    /// As an event block.
    func block() throws -> [UInt8] {
        var bytes: [UInt8] = []
        var attributes = self.attributes.sorted { $0.key < $1.key }.map { Attribute($0.key, $0.value) }
        if let status = self.status {
            attributes.append(Attribute("apus-http-status", "\(status)", kind: .header))
            attributes += self.headers.map { Attribute($0.name, bytes: $0.value, kind: .header) }
        }
        let event = ApusCore.Event(key: self.key.map { Array($0.utf8) }, attributes: attributes, data: self.data)
        guard attributes.count <= ApusCore.Limits.attributesPerEvent,
            attributes.allSatisfy({ (1...255).contains($0.name.utf8.count) && $0.value.count <= 0xFFFF }),
            EventBlock.attributesSize(attributes) <= ApusCore.Limits.attributesBytes,
            (event.key?.count ?? 0) <= ApusCore.Limits.keyBytes
        else {
            throw ResultTooLarge(
                "the key or the attributes are too large: \(ApusCore.Limits.attributesPerEvent) attributes of "
                    + "\(ApusCore.Limits.attributesBytes) bytes in all, a key of \(ApusCore.Limits.keyBytes)")
        }
        EventBlock.append(event, to: &bytes)
        return bytes
    }
}

/// Tells an absent value from one that happens to be encoded as null.
protocol OptionalValue {}
extension Optional: OptionalValue {}
