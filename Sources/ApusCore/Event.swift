/// A CloudEvent 1.0: attributes, a key, data. The owned form, for the edges; the path of one event lends ``EventLayout`` instead.
public struct Event: Sendable, Equatable {
    /// The Kafka key: which partition, and whose order.
    public var key: [UInt8]?
    public var attributes: [Attribute]
    /// Nil is a tombstone: the key is deleted from a compacted topic.
    public var data: [UInt8]?
    /// When the log took it; on the way in, zero lets the log stamp it.
    public var timestamp: Timestamp

    public init(key: [UInt8]? = nil, attributes: [Attribute] = [], data: [UInt8]?, timestamp: Timestamp = .zero) {
        self.key = key
        self.attributes = attributes
        self.data = data
        self.timestamp = timestamp
    }

    /// The value of the first attribute of that name, as text.
    public subscript(name: String) -> String? {
        get {
            self.attributes.first { $0.name == name && $0.kind != .header }.map {
                String(decoding: $0.value, as: UTF8.self)
            }
        }
        set {
            self.attributes.removeAll { $0.name == name && $0.kind != .header }
            if let newValue { self.attributes.append(Attribute(name, newValue)) }
        }
    }
}

/// One attribute of an event, or a header that is none.
///
/// `id`, `source`, `type`, `subject`, `time`, `datacontenttype`, `dataschema` and extensions go by their CloudEvents names;
/// `specversion` is always `1.0` and not stored.
public struct Attribute: Sendable, Equatable {
    /// The CloudEvents type of the value; values are kept in their canonical text form, binary ones as they are.
    public enum Kind: UInt8, Sendable {
        case string = 0
        case boolean = 1
        case integer = 2
        case binary = 3
        case uri = 4
        case uriReference = 5
        case timestamp = 6
        /// Not an attribute: a header of the record (Kafka) that only travels along.
        case header = 128
    }

    public var name: String
    public var kind: Kind
    public var value: [UInt8]

    public init(_ name: String, _ value: String, kind: Kind = .string) {
        self.name = name
        self.kind = kind
        self.value = Array(value.utf8)
    }

    public init(_ name: String, bytes: [UInt8], kind: Kind) {
        self.name = name
        self.kind = kind
        self.value = bytes
    }

    public var text: String { String(decoding: self.value, as: UTF8.self) }
}

/// Names of headers that Apus itself writes on records. They are kept from functions' results and from producers.
public enum InternalHeader {
    /// How many functions this event has passed through, as decimal text.
    public static let hops = "apus-hops"
    /// On an event that was redriven: the only trigger that takes it, as `namespace/function/trigger`.
    public static let redrive = "apus-redrive"
    /// On a record that says it is a CloudEvent and is none: what is wrong with it.
    public static let invalid = "apus-invalid"
    /// Prefix of what a dead letter says of its source.
    public static let prefix = "apus-"
}
