public import ApusCore
internal import ApusJSON

/// What a handler asks of its caller's client: named questions, each a request of the protocol.
public struct Questions: Sendable, Equatable {
    public struct Question: Sendable, Equatable {
        public var name: String
        public var method: String
        /// JSON, an object.
        public var params: [UInt8]
    }

    public var all: [Question]
    /// What the client must have declared.
    public var needed: ClientCapabilities

    public init(_ question: Question, needed: ClientCapabilities) {
        self.all = [question]
        self.needed = needed
    }

    /// Reads `{"name": {"method": ..., "params": {...}}}`, as a worker sends it.
    /// - Throws: `protocol_error`.
    public init(parsing json: [UInt8]) throws(ApusError) {
        var all: [Question] = []
        var needed: ClientCapabilities = []
        var problem: String?
        json.withUnsafeBytes { text in
            guard let document = try? JSONSlices.document(text), document.kind == .object else {
                problem = "they are no JSON object"
                return
            }
            JSONSlices.forEachMember(of: document, in: text) { name, value in
                let name = String(decoding: name, as: UTF8.self)
                guard let question = Self.question(name, value, text, &needed) else {
                    problem = "'\(name.prefix(64))' is none"
                    return
                }
                all.append(question)
            }
        }
        if all.isEmpty || all.count > Limits.Tools.questions {
            problem = problem ?? "1 to \(Limits.Tools.questions) are allowed at once"
        }
        if Set(all.map(\.name)).count != all.count { problem = problem ?? "two have one name" }
        if let problem { throw ApusError(.protocolError, "the function's questions cannot be asked: \(problem)") }
        self.all = all
        self.needed = needed
    }

    private static func question(
        _ name: String, _ value: JSONSlices.Value, _ text: UnsafeRawBufferPointer, _ needed: inout ClientCapabilities
    ) -> Question? {
        var method: String?
        var params: JSONSlices.Value?
        JSONSlices.forEachMember(of: value, in: text) {
            if $0.isText("method") { method = JSONSlices.text(of: $1, in: text) }
            if $0.isText("params") { params = $1 }
        }
        // Names are members of objects later, written as they are.
        let isPlain =
            !name.isEmpty && name.utf8.count <= 64
            && name.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\") }
        guard isPlain, let method, let params, params.kind == .object else { return nil }
        switch method {
        case "elicitation/create": needed.insert(Self.isURL(params, text) ? .elicitationURL : .elicitationForm)
        case "sampling/createMessage": needed.insert(Self.hasTools(params, text) ? .samplingTools : .sampling)
        case "roots/list": needed.insert(.roots)
        default: return nil
        }
        return Question(name: name, method: method, params: JSONCleaner.clean(Array(text[params.range])))
    }

    private static func isURL(_ params: JSONSlices.Value, _ text: UnsafeRawBufferPointer) -> Bool {
        var isURL = false
        JSONSlices.forEachMember(of: params, in: text) {
            if $0.isText("mode") { isURL = JSONSlices.text(of: $1, in: text) == "url" }
        }
        return isURL
    }

    private static func hasTools(_ params: JSONSlices.Value, _ text: UnsafeRawBufferPointer) -> Bool {
        var hasTools = false
        JSONSlices.forEachMember(of: params, in: text) { name, _ in hasTools = hasTools || name.isText("tools") }
        return hasTools
    }

    /// As a result that needs input lists them.
    public var inputRequests: [UInt8] {
        var json: [UInt8] = [UInt8(ascii: "{")]
        for (index, question) in self.all.enumerated() {
            if index > 0 { json.append(UInt8(ascii: ",")) }
            JSONText.append(question.name, to: &json)
            json.append(contentsOf: #":{"method":"\#(question.method)","params":"#.utf8)
            json.append(contentsOf: question.params)
            json.append(UInt8(ascii: "}"))
        }
        json.append(UInt8(ascii: "}"))
        return json
    }
}
