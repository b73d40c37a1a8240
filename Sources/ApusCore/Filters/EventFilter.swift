/// Which events a trigger takes, as its manifest says it: the dialects of CloudEvents Subscriptions 1.0, one inside the other.
public indirect enum EventFilter: Sendable, Equatable {
    /// All of these have exactly this text.
    case exact([FilterCondition])
    /// All of these begin with this text.
    case prefix([FilterCondition])
    /// All of these end with this text.
    case suffix([FilterCondition])
    /// Every one of these takes the event; none of them takes every event.
    case all([EventFilter])
    /// At least one of these takes the event.
    case any([EventFilter])
    case not(EventFilter)
    /// A CESQL expression, as it was written and as it was understood.
    case sql(String, FilterExpression)

    /// Takes every event.
    public static let none = EventFilter.all([])

    /// Whether it takes every event because it says nothing.
    public var isEmpty: Bool {
        switch self {
        case .exact(let conditions), .prefix(let conditions), .suffix(let conditions): conditions.isEmpty
        case .all(let parts): parts.allSatisfy(\.isEmpty)
        case .any, .not, .sql: false
        }
    }

    /// The names of the dialects: what a filter may have as fields beside attributes.
    public static let dialects = ["exact", "prefix", "suffix", "all", "any", "not", "sql"]
}

/// What of an event is compared with which text.
public struct FilterCondition: Sendable, Equatable {
    public var reference: FilterReference
    public var text: String

    public init(_ reference: FilterReference, _ text: String) {
        self.reference = reference
        self.text = text
    }
}

/// A value of an event that a filter can ask for.
public enum FilterReference: Sendable, Hashable {
    /// By its CloudEvents name. `key`, where no attribute has that name, is the key of the record.
    case attribute(String)
    /// A header that is no attribute: of a Kafka record, say.
    case header(String)
    /// A value within data that is JSON.
    case data([DataStep])

    /// As filters write it.
    public var description: String {
        switch self {
        case .attribute(let name): name
        case .header(let name): "headers[\(Self.quoted(name))]"
        case .data(let steps):
            steps.reduce("data") { text, step in
                switch step {
                case .member(let name): Self.isWord(name) ? "\(text).\(name)" : "\(text)[\(Self.quoted(name))]"
                case .element(let index): "\(text)[\(index)]"
                }
            }
        }
    }

    /// Names that need no quotes in a path.
    public static func isWord(_ name: String) -> Bool {
        !name.isEmpty
            && name.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"):
                    true
                default: false
                }
            }
    }

    private static func quoted(_ name: String) -> String {
        "\"" + name.map { $0 == "\"" ? "\\\"" : String($0) }.joined() + "\""
    }
}

/// One step of the way into JSON.
public enum DataStep: Sendable, Hashable {
    case member(String)
    /// From 0.
    case element(Int)
}
