public import ApusCore

/// One piece of work in a trace, whole: it is made when the work is over.
public struct Span: Sendable, Equatable {
    /// The numbers are those of OTLP.
    public enum Kind: Int, Sendable {
        case `internal` = 1
        case server = 2
        case client = 3
        case producer = 4
        case consumer = 5
    }

    public enum Value: Sendable, Equatable {
        case string(String)
        case integer(Int64)
        case boolean(Bool)
    }

    public struct Attribute: Sendable, Equatable {
        public var name: String
        public var value: Value

        public init(_ name: String, _ value: Value) {
            self.name = name
            self.value = value
        }
        public init(_ name: String, _ value: String) { self.init(name, .string(value)) }
        public init(_ name: String, _ value: Int) { self.init(name, .integer(Int64(value))) }
        public init(_ name: String, _ value: Bool) { self.init(name, .boolean(value)) }
    }

    /// A moment within the span.
    public struct Moment: Sendable, Equatable {
        public var name: String
        public var time: Timestamp
        public var attributes: [Attribute]

        public init(_ name: String, _ time: Timestamp, _ attributes: [Attribute] = []) {
            self.name = name
            self.time = time
            self.attributes = attributes
        }
    }

    public var context: TraceContext
    public var parent: SpanID?
    /// What `tracestate` came with the trace.
    public var state: String?
    public var name: String
    public var kind: Kind
    public var start: Timestamp
    public var end: Timestamp
    public var attributes: [Attribute]
    public var moments: [Moment] = []
    public var links: [TraceContext] = []
    /// Why it failed; nil when it did not.
    public var failure: String?

    public init(
        _ name: String, _ kind: Kind, _ context: TraceContext, parent: SpanID?, state: String? = nil, start: Timestamp,
        end: Timestamp, attributes: [Attribute] = []
    ) {
        self.context = context
        self.parent = parent
        self.state = state
        self.name = name
        self.kind = kind
        self.start = start
        self.end = max(start, end)
        self.attributes = attributes
    }
}
