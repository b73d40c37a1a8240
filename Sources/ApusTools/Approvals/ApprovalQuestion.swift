internal import ApusCore
internal import ApusJSON

/// What the person at the caller's client is asked.
public enum ApprovalQuestion {
    /// Of the question among those of a call.
    public static let name = "apus-approval"
    static let field = "approve"

    /// - Parameter arguments: JSON, as it is shown. A quotation of its own, so that no argument can look like a line of the question.
    public static func question(_ tool: ToolName, _ arguments: String) -> Questions.Question {
        // Of code points, since the question lies in the head of a record.
        var shown = arguments.cut(toCodePoints: Limits.Tools.approvalCharacters)
        let left = arguments.utf8.count - shown.utf8.count
        if left > 0 { shown += " … (\(left) more bytes are not shown)" }
        let message = "The tool '\(tool)' may not run before you agree. It would be called with: \(shown)"
        let params: JSONValue = [
            "mode": "form", "message": .string(message),
            "requestedSchema": [
                "type": "object",
                "properties": [
                    .init(Self.field): [
                        "type": "boolean", "title": "Let it run",
                        "description": .string("Whether '\(tool)' may run once, with these arguments."),
                    ]
                ],
                "required": [.string(Self.field)],
            ],
        ]
        return Questions.Question(
            name: Self.name, method: "elicitation/create", params: JSONCleaner.clean(params.encoded()))
    }
}
