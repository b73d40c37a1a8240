internal import ApusCore
public import ApusJSON

/// One message of a client, read where it lies: what is passed on stays the bytes that came.
public struct Envelope: Sendable {
    public let body: [UInt8]
    /// Nil for a notification.
    public let id: MessageID?
    /// Empty for an answer.
    public let method: String
    public let parameters: MessageParameters
    /// Of the answer of a client to a request of ours.
    public let result: JSONSlices.Value?
    public let error: JSONSlices.Value?

    /// - Throws: what the message is refused with: it is no JSON, or no message.
    public init(parsing body: [UInt8]) throws(Refusal) {
        var reader = EnvelopeReader()
        var problem: RPCError?
        body.withUnsafeBytes { text in
            do throws(JSONSyntaxError) {
                let document = try JSONSlices.document(text, depth: Limits.Tools.messageDepth)
                problem = reader.read(document, in: text)
            } catch {
                problem = RPCError(.parseError, "the body is no JSON: \(error)", status: 400)
            }
        }
        if let problem { throw Refusal(problem, id: reader.id) }
        self.body = body
        self.id = reader.id
        self.method = reader.method ?? ""
        self.parameters = reader.parameters
        self.result = reader.result
        self.error = reader.error
    }

    /// Whether it answers a request of ours.
    public var isAnswer: Bool { self.result != nil || self.error != nil }

    /// What the header `Mcp-Name` repeats of the parameters.
    public var routingName: String? {
        switch self.method {
        case "tools/call", "prompts/get": self.text(self.parameters.name)
        case "resources/read": self.text(self.parameters.uri)
        case "tasks/get", "tasks/update", "tasks/cancel": self.text(self.parameters.taskID)
        default: nil
        }
    }

    /// The revision that a message without session says it is of.
    public var protocolVersion: String? { self.text(self.parameters.version) }

    /// What a parameter says; nil where it is missing or no string.
    public func text(_ value: JSONSlices.Value?) -> String? {
        guard let value else { return nil }
        return self.body.withUnsafeBytes { JSONSlices.text(of: value, in: $0) }
    }

    public func bytes(_ value: JSONSlices.Value) -> ArraySlice<UInt8> { self.body[value.range] }

    /// The member of an object that lies in this message; of several with one name the last.
    public func member(_ name: String, of object: JSONSlices.Value?) -> JSONSlices.Value? {
        guard let object else { return nil }
        var found: JSONSlices.Value?
        self.body.withUnsafeBytes { text in
            JSONSlices.forEachMember(of: object, in: text) { if $0.elementsEqual(name.utf8) { found = $1 } }
        }
        return found
    }
}

/// The parameters of a message that its head or its method reads.
public struct MessageParameters: Sendable {
    public internal(set) var all: JSONSlices.Value?
    public internal(set) var name: JSONSlices.Value?
    public internal(set) var uri: JSONSlices.Value?
    public internal(set) var taskID: JSONSlices.Value?
    public internal(set) var arguments: JSONSlices.Value?
    public internal(set) var cursor: JSONSlices.Value?
    public internal(set) var inputResponses: JSONSlices.Value?
    public internal(set) var requestState: JSONSlices.Value?
    public internal(set) var meta: JSONSlices.Value?
    // Of `_meta`.
    public internal(set) var progressToken: JSONSlices.Value?
    public internal(set) var traceparent: JSONSlices.Value?
    public internal(set) var idempotencyKey: JSONSlices.Value?
    var version: JSONSlices.Value?
    var capabilities: JSONSlices.Value?
    var logLevel: JSONSlices.Value?
    /// One that came twice.
    var repeated: String?

    mutating func read(_ params: JSONSlices.Value, in text: UnsafeRawBufferPointer) {
        self.all = params
        JSONSlices.forEachMember(of: params, in: text) { self.take($0, $1) }
        guard let meta = self.meta else { return }
        JSONSlices.forEachMember(of: meta, in: text) { self.takeMeta($0, $1) }
    }

    private mutating func take(_ name: UnsafeRawBufferPointer, _ value: JSONSlices.Value) {
        if name.isText("name") {
            Self.set(&self.name, value, &self.repeated, "name")
        } else if name.isText("arguments") {
            Self.set(&self.arguments, value, &self.repeated, "arguments")
        } else if name.isText("_meta") {
            Self.set(&self.meta, value, &self.repeated, "_meta")
        } else if name.isText("cursor") {
            Self.set(&self.cursor, value, &self.repeated, "cursor")
        } else if name.isText("uri") {
            Self.set(&self.uri, value, &self.repeated, "uri")
        } else if name.isText("taskId") {
            Self.set(&self.taskID, value, &self.repeated, "taskId")
        } else if name.isText("inputResponses") {
            Self.set(&self.inputResponses, value, &self.repeated, "inputResponses")
        } else if name.isText("requestState") {
            Self.set(&self.requestState, value, &self.repeated, "requestState")
        }
    }

    private mutating func takeMeta(_ name: UnsafeRawBufferPointer, _ value: JSONSlices.Value) {
        if name.isText("io.modelcontextprotocol/protocolVersion") {
            Self.set(&self.version, value, &self.repeated, "_meta.io.modelcontextprotocol/protocolVersion")
        } else if name.isText("io.modelcontextprotocol/clientCapabilities") {
            Self.set(&self.capabilities, value, &self.repeated, "_meta.io.modelcontextprotocol/clientCapabilities")
        } else if name.isText("io.modelcontextprotocol/logLevel") {
            Self.set(&self.logLevel, value, &self.repeated, "_meta.io.modelcontextprotocol/logLevel")
        } else if name.isText("progressToken") {
            Self.set(&self.progressToken, value, &self.repeated, "_meta.progressToken")
        } else if name.isText("traceparent") {
            Self.set(&self.traceparent, value, &self.repeated, "_meta.traceparent")
        } else if name.isText("apus.dev/idempotencyKey") || name.isText("dev.apus/idempotencyKey") {
            Self.set(&self.idempotencyKey, value, &self.repeated, "_meta.apus.dev/idempotencyKey")
        }
    }

    private static func set(
        _ place: inout JSONSlices.Value?, _ value: JSONSlices.Value, _ repeated: inout String?, _ name: String
    ) {
        if place != nil { repeated = name }
        place = value
    }
}

/// An error with the id of the request that it answers, where that could be read.
public struct Refusal: Error, Sendable, Equatable {
    public var error: RPCError
    public var id: MessageID?

    public init(_ error: RPCError, id: MessageID?) {
        self.error = error
        self.id = id
    }
}
