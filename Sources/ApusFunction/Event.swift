internal import ApusCore

/// What a function is given: a CloudEvent 1.0 and where it came from.
public struct Event: Sendable {
    /// What the event says of itself, without `specversion`, which is always `1.0`.
    public let attributes: [String: String]
    /// Headers of the record that are no attributes; one may come more than once.
    public let headers: [Header]
    /// The key, as Kafka has it; see ``key``.
    public let keyBytes: [UInt8]?
    /// Nil is null data: on a compacted topic, the key is deleted.
    public let data: [UInt8]?
    /// Where it came from; nil for a direct invocation.
    public let place: Place?
    /// The event is a record of a table: keep what it says; what is returned is ignored.
    public let isTable: Bool
    /// It is delivered as part of a replay: the function may have been given it before.
    public let isReplay: Bool

    public struct Header: Sendable, Equatable {
        public var name: String
        public var value: [UInt8]
        public var text: String { String(decoding: self.value, as: UTF8.self) }

        public init(_ name: String, _ text: String) { self.init(name, bytes: Array(text.utf8)) }
        init(_ name: String, bytes: [UInt8]) {
            self.name = name
            self.value = bytes
        }
    }

    public struct Place: Sendable, Equatable {
        public let trigger: String
        public let topic: String
        public let partition: Int
        public let offset: Int64
    }

    /// The request, for an event of an HTTP trigger.
    public var http: HTTPRequest? { HTTPRequest(self.headers) }

    public var id: String? { self.attributes["id"] }
    public var source: String? { self.attributes["source"] }
    public var type: String? { self.attributes["type"] }
    public var subject: String? { self.attributes["subject"] }
    /// As RFC 3339 writes it.
    public var time: String? { self.attributes["time"] }
    public var contentType: String? { self.attributes["datacontenttype"] }
    public var key: String? { self.keyBytes.map { String(decoding: $0, as: UTF8.self) } }
    public subscript(attribute: String) -> String? { self.attributes[attribute] }

    /// The data as text; what is not UTF-8 in it is replaced.
    public var text: String { String(decoding: self.data ?? [], as: UTF8.self) }

    /// Whether the data says that it is JSON; data without a content type is.
    public var isJSON: Bool {
        guard let type = self.contentType else { return true }
        let kind = type.prefix { $0 != ";" }.lowercased().filter { $0 != " " }
        return kind.hasSuffix("/json") || kind.hasSuffix("+json")
    }

    /// The data as a value of an author's type.
    ///
    /// JSON is decoded. Data of another type can be had as `String` or `[UInt8]`, as it is.
    /// - Throws: ``InvalidData``.
    public func decode<Value: Decodable>(_ type: Value.Type = Value.self) throws -> Value {
        if !self.isJSON {
            if let text = self.text as? Value { return text }
            if let bytes = (self.data ?? []) as? Value { return bytes }
            throw InvalidData("the data is \(self.contentType ?? ""), expected JSON for \(Value.self)")
        }
        let value: JSON
        do {
            value = try self.data.map { try JSON(parsing: $0) } ?? .null
        } catch {
            throw InvalidData("the data is no JSON: \(error)")
        }
        do { return try JSON.decode(type, from: value) } catch let error as DecodingError {
            throw InvalidData("the data is no \(Value.self): \(error.inWords)")
        }
    }
}

extension DecodingError {
    /// What is wrong and where, on one line.
    var inWords: String {
        switch self {
        case .keyNotFound(_, let context), .valueNotFound(_, let context), .typeMismatch(_, let context),
            .dataCorrupted(let context):
            let path = context.codingPath.map { $0.intValue.map { "[\($0)]" } ?? ".\($0.stringValue)" }.joined()
            return path.isEmpty ? context.debugDescription : "\(context.debugDescription) at \(path)"
        @unknown default: return "\(self)"
        }
    }
}
