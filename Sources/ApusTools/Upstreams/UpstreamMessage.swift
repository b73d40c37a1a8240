internal import ApusCore
internal import ApusJSON
public import ApusManifest

/// Messages to an upstream and from it. What is sent names no caller: an upstream learns that Apus asks, and what. Who
/// speaks with it adds what its revision of the protocol wants said.
public enum UpstreamMessage {
    /// - Parameters:
    ///   - params: members of `params`, with commas between them.
    ///   - client: what whoever asks can be asked.
    ///   - answers: what it has answered already.
    ///   - progress: the token that reports of progress carry; nil where nobody wants them.
    public static func request(
        _ method: String, _ params: [UInt8], client: ClientCapabilities, answers: Answers, progress: String?
    ) -> [UInt8] {
        var text = Array(#"{"capabilities":"#.utf8) + client.subtracting(.tasks).json
        var params = params
        func append(_ name: StaticString, _ value: [UInt8], to members: inout [UInt8]) {
            if !members.isEmpty { members.append(UInt8(ascii: ",")) }
            members.append(contentsOf: "\"\(name)\":".utf8)
            members.append(contentsOf: value)
        }
        if answers.round?.isAgain == true {
            append("answers", answers.json, to: &text)
        } else if !answers.isEmpty {
            append("inputResponses", answers.ofRound, to: &params)
        }
        if let state = answers.round?.state { append("requestState", Self.text(state), to: &params) }
        if let progress { append("_meta", Array(#"{"progressToken":"#.utf8) + Self.text(progress) + Array("}".utf8), to: &params) }
        text.append(contentsOf: #","method":"\#(method)","params":{"#.utf8)
        return text + params + Array("}}".utf8)
    }

    /// The members of `params` that a call of a tool has.
    public static func call(_ tool: String, arguments: ArraySlice<UInt8>) -> [UInt8] {
        Array(#""name":"#.utf8) + Self.text(tool) + Array(#","arguments":"#.utf8) + arguments
    }

    public static func read(_ uri: String) -> [UInt8] { Array(#""uri":"#.utf8) + Self.text(uri) }

    /// - Parameter name: of the prompt, or the template.
    public static func complete(
        _ name: String, isPrompt: Bool, argument: ArraySlice<UInt8>, context: ArraySlice<UInt8>?
    ) -> [UInt8] {
        var text = Array(
            (isPrompt ? #""ref":{"type":"ref/prompt","name":"# : #""ref":{"type":"ref/resource","uri":"#).utf8)
        text += Self.text(name) + Array(#"},"argument":"#.utf8) + argument
        if let context { text += Array(#","context":"#.utf8) + context }
        return text
    }

    private static func text(_ value: String) -> [UInt8] {
        var text: [UInt8] = []
        JSONText.append(value, to: &text)
        return text
    }

    public static func list(_ kind: UpstreamDefinition.Kind, cursor: String?) -> [UInt8] {
        let method = kind == .template ? "resources/templates/list" : "\(kind.rawValue)/list"
        var text = Array(#"{"method":"\#(method)","params":{"#.utf8)
        if let cursor {
            text.append(contentsOf: #""cursor":"#.utf8)
            JSONText.append(cursor, to: &text)
        }
        text.append(contentsOf: "}}".utf8)
        return text
    }

    /// Where a list of a kind lies in its answer.
    public static func member(of kind: UpstreamDefinition.Kind) -> String {
        kind == .template ? "resourceTemplates" : kind.rawValue
    }

    public struct Question: Sendable, Equatable {
        /// As a result that needs input lists them.
        public var requests: [UInt8]
        public var round: UpstreamRound
    }

    public enum Answer: Sendable, Equatable {
        /// The result of a call, as it came.
        case result([UInt8])
        case error(code: Int64, message: String)
        /// It asks whoever called.
        case question(Question)
        /// A result of a kind that is not known here.
        case other(String)
    }

    /// - Returns: nil for what is no answer.
    public static func answer(_ data: [UInt8]) -> Answer? {
        data.withUnsafeBytes { text -> Answer? in
            guard let document = try? JSONSlices.document(text), document.kind == .object else { return nil }
            var result: JSONSlices.Value?
            var error: JSONSlices.Value?
            var isAgain = false
            JSONSlices.forEachMember(of: document, in: text) { name, value in
                if name.isText("result") { result = value }
                if name.isText("error") { error = value }
                if name.isText("again") { isAgain = text[value.range].elementsEqual("true".utf8) }
            }
            if let result, result.kind == .object { return Self.answer(result, text, isAgain: isAgain) }
            guard let error, error.kind == .object, let json = try? JSONValue.parse(Array(text[error.range])) else {
                return nil
            }
            let message = json["message"]?.string ?? "no message"
            return .error(code: json["code"]?.integer ?? 0, message: String(message.prefix(Limits.Tools.upstreamErrorCharacters)))
        }
    }

    private static func answer(
        _ result: JSONSlices.Value, _ text: UnsafeRawBufferPointer, isAgain: Bool
    ) -> Answer {
        var kind: String?
        var requests: JSONSlices.Value?
        var state: String?
        JSONSlices.forEachMember(of: result, in: text) { name, value in
            if name.isText("resultType") { kind = JSONSlices.text(of: value, in: text) ?? "" }
            if name.isText("inputRequests") { requests = value }
            if name.isText("requestState") { state = JSONSlices.text(of: value, in: text) }
        }
        switch kind {
        case nil, "complete": return .result(Array(text[result.range]))
        case "input_required":
            return .question(
                Question(
                    requests: requests.map { Array(text[$0.range]) } ?? [], round: UpstreamRound(state: state, isAgain: isAgain)))
        case let other?: return .other(String(other.prefix(64)))
        }
    }
}
