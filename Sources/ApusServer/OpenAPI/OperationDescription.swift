internal import ApusCore
internal import ApusHTTP
internal import ApusJSON

/// What callers must know of an operation beside its path and its rights. `/openapi.json` and the reference page are made from it.
struct OperationDescription: Sendable {
    struct Parameter: Sendable {
        enum Place: String, Sendable { case path, query, header }

        var name: String
        var place: Place
        /// A sentence for people.
        var summary: String
        var schema: JSONValue
        var isRequired: Bool

        static func query(_ name: String, _ schema: JSONValue, _ summary: String) -> Parameter {
            Parameter(name: name, place: .query, summary: summary, schema: schema, isRequired: false)
        }

        static func header(_ name: String, _ schema: JSONValue, _ summary: String, isRequired: Bool = false)
            -> Parameter
        {
            Parameter(name: name, place: .header, summary: summary, schema: schema, isRequired: isRequired)
        }

        static func path(_ name: String, _ schema: JSONValue, _ summary: String) -> Parameter {
            Parameter(name: name, place: .path, summary: summary, schema: schema, isRequired: true)
        }
    }

    /// One form of a body.
    struct Content: Sendable {
        var mediaType: String
        /// Nil where the bytes have no form that JSON Schema could tell.
        var schema: JSONValue?
        var example: JSONValue?

        init(_ mediaType: String, _ schema: JSONValue? = nil, example: JSONValue? = nil) {
            self.mediaType = mediaType
            self.schema = schema
            self.example = example
        }

        static func json(_ schema: JSONValue, example: JSONValue? = nil) -> Content {
            Content("application/json", schema, example: example)
        }
    }

    struct Answer: Sendable {
        var status: UInt32
        var summary: String
        var contents: [Content]
        /// Headers of note with what they say.
        var headers: [(name: String, summary: String)]

        init(
            _ status: UInt32, _ summary: String, _ contents: [Content] = [],
            headers: [(name: String, summary: String)] = []
        ) {
            self.status = status
            self.summary = summary
            self.contents = contents
            self.headers = headers
        }
    }

    /// Paragraphs for people; may be empty.
    var details: String
    var parameters: [Parameter]
    /// The forms that the body may have; empty for an operation without one.
    var body: [Content]
    /// How it answers when it did what was asked. Errors are told by ``codes``.
    var answers: [Answer]
    /// The errors of its own, beside those that any operation may answer.
    var codes: [ErrorCode]
    /// Whether the body may be left out.
    var isBodyOptional: Bool
    /// Whether an answer may go on until its client leaves: generated tests leave these out.
    var isEndless: Bool

    init(
        _ details: String = "", parameters: [Parameter] = [], body: [Content] = [], answers: [Answer],
        codes: [ErrorCode] = [], isBodyOptional: Bool = false, isEndless: Bool = false
    ) {
        self.details = details
        self.parameters = parameters
        self.body = body
        self.answers = answers
        self.codes = codes
        self.isBodyOptional = isBodyOptional
        self.isEndless = isEndless
    }
}

extension OperationDescription {
    /// Descriptions by the id of their operation, in groups as the reference shows them.
    static let groups: [(name: String, descriptions: [String: OperationDescription])] = [
        ("Functions", functions), ("Asynchronous invocations", invocations), ("HTTP triggers", triggers),
        ("Topics and events", topics), ("Tool servers", toolServers),
        ("Upstreams", upstreams), ("Tools for agents", tools), ("Approvals", approvals),
        ("Dead letters", deadLetters), ("Subscriptions and replays", subscriptions), ("Deployments", deployments),
        ("Operating", operate),
        ("Devices and cost", usage), ("Backup and retention", retention),
        ("Secrets", secrets), ("Tokens and logins", access), ("The server", system), ("The console", console),
    ]

    static func of(_ operation: Operation) -> OperationDescription? {
        self.groups.lazy.compactMap { $0.descriptions[operation.id] }.first
    }

    /// The errors that an operation may answer, by status.
    func errors(of operation: Operation) -> [(status: UInt32, codes: [ErrorCode])] {
        var codes: Set<ErrorCode> = [.invalidArgument, .hostNotAllowed, .forbidden, .internal]
        if operation.id != "getHealth" { codes.formUnion([.overloaded, .shuttingDown]) }
        if operation.access != .open { codes.insert(.unauthenticated) }
        if !self.body.isEmpty { codes.insert(.bodyTooLarge) }
        codes.formUnion(self.codes)
        let byStatus = Dictionary(grouping: codes, by: \.httpStatus)
        return byStatus.map { ($0.key, $0.value.sorted { $0.rawValue < $1.rawValue }) }.sorted { $0.0 < $1.0 }
    }
}
