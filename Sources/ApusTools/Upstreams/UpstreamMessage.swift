internal import ApusCore
internal import ApusJSON

/// Messages to an upstream and from it. What is sent names no caller: an upstream learns that Apus asks, and what. Who
/// speaks with it adds what its revision of the protocol wants said.
public enum UpstreamMessage {
    /// - Parameter progress: the token that reports of progress carry; nil where nobody wants them.
    public static func call(_ tool: String, arguments: ArraySlice<UInt8>, progress: String?) -> [UInt8] {
        var text = Array(#"{"method":"tools/call","params":{"name":"#.utf8)
        JSONText.append(tool, to: &text)
        text.append(contentsOf: #","arguments":"#.utf8)
        text.append(contentsOf: arguments)
        if let progress {
            text.append(contentsOf: #","_meta":{"progressToken":"#.utf8)
            JSONText.append(progress, to: &text)
            text.append(UInt8(ascii: "}"))
        }
        text.append(contentsOf: "}}".utf8)
        return text
    }

    public static func list(cursor: String?) -> [UInt8] {
        var text = Array(#"{"method":"tools/list","params":{"#.utf8)
        if let cursor {
            text.append(contentsOf: #""cursor":"#.utf8)
            JSONText.append(cursor, to: &text)
        }
        text.append(contentsOf: "}}".utf8)
        return text
    }

    public enum Answer: Sendable, Equatable {
        /// The result of a call, as it came.
        case result([UInt8])
        case error(code: Int64, message: String)
        /// It asks whoever called, though it was told that nobody can be asked.
        case question
    }

    /// - Returns: nil for what is no answer.
    public static func answer(_ data: [UInt8]) -> Answer? {
        data.withUnsafeBytes { text -> Answer? in
            guard let document = try? JSONSlices.document(text), document.kind == .object else { return nil }
            var result: JSONSlices.Value?
            var error: JSONSlices.Value?
            JSONSlices.forEachMember(of: document, in: text) { name, value in
                if name.isText("result") { result = value }
                if name.isText("error") { error = value }
            }
            if let result, result.kind == .object {
                var isQuestion = false
                JSONSlices.forEachMember(of: result, in: text) { name, value in
                    if name.isText("resultType") {
                        isQuestion = isQuestion || !text[value.range].elementsEqual(#""complete""#.utf8)
                    }
                }
                return isQuestion ? .question : .result(Array(text[result.range]))
            }
            guard let error, error.kind == .object, let json = try? JSONValue.parse(Array(text[error.range])) else {
                return nil
            }
            let message = json["message"]?.string ?? "no message"
            return .error(code: json["code"]?.integer ?? 0, message: String(message.prefix(Limits.Tools.upstreamErrorCharacters)))
        }
    }
}
