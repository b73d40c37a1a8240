internal import ApusCore
internal import ApusJSON

/// What a tool asks, asked at the terminal.
struct ToolForm {
    let context: CommandContext

    /// - Returns: an answer to each.
    func answer(_ requests: JSONObject) throws -> JSONValue {
        var answers = JSONObject()
        for request in requests {
            guard request.value["method"]?.string == "elicitation/create", let parameters = request.value["params"]
            else {
                throw ApusError(
                    .functionFailed,
                    "the tool asks for '\(request.value["method"]?.string ?? "")', which this command cannot give")
            }
            let message = SafeText.of(parameters["message"]?.string ?? "The tool asks:")
            guard self.context.terminal.isInputInteractive else {
                throw ApusError(.functionFailed, "the tool asks: \(message): call it from a terminal")
            }
            self.context.note(message)
            answers[request.name] = try self.filled(parameters["requestedSchema"] ?? [:])
        }
        return .object(answers)
    }

    /// A form, field by field; an empty line for one that must be there declines all of it.
    private func filled(_ schema: JSONValue) throws -> JSONValue {
        let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
        var content = JSONObject()
        for field in schema["properties"]?.object ?? [:] {
            let text = try self.line(field.name, field.value)
            if text.isEmpty {
                if let standard = field.value["default"] { content[field.name] = standard }
                if content[field.name] == nil, required.contains(field.name) { return ["action": "decline"] }
                continue
            }
            content[field.name] = Self.value(text, field.value["type"]?.string)
        }
        return ["action": "accept", "content": .object(content)]
    }

    private func line(_ name: String, _ field: JSONValue) throws -> String {
        let title = field["title"]?.string ?? field["description"]?.string ?? name
        let choices = (field["enum"]?.array ?? []).compactMap(\.string)
        let hint =
            choices.isEmpty
            ? field["type"]?.string == "boolean" ? " (yes or no)" : "" : " (\(choices.joined(separator: ", ")))"
        self.context.terminal.writeError(SafeText.of("\(title)\(hint): "))
        let line = try self.context.terminal.readInput()
        return String(decoding: line, as: UTF8.self).split(whereSeparator: \.isNewline).first.map(String.init) ?? ""
    }

    private static func value(_ text: String, _ type: String?) -> JSONValue {
        switch type {
        case "boolean": .boolean(["y", "yes", "true", "1"].contains(text.lowercased()))
        case "integer": Int64(text).map { .integer($0) } ?? .string(text)
        case "number": Double(text).map { .double($0) } ?? .string(text)
        default: .string(text)
        }
    }
}
