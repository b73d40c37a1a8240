internal import ApusJSON
internal import ApusStore

/// An object of an answer for people: a line for each plain member, aligned, then the others below their names.
enum DescribeText {
    static func of(_ value: JSONValue, _ context: CommandContext) -> String {
        guard let object = value.object else { return YAMLText.of(value) }
        let plain = object.filter { Self.isPlain($0.value) }
        let width = plain.map(\.name.count).max() ?? 0
        var text = ""
        for member in plain {
            let padding = String(repeating: " ", count: width - member.name.count)
            text += "\(member.name):\(padding) \(Self.text(member.value, context))\n"
        }
        for member in object where !Self.isPlain(member.value) {
            text += "\n\(member.name):\n"
            for line in YAMLText.of(member.value).split(separator: "\n") { text += "  \(line)\n" }
        }
        return text
    }

    private static func isPlain(_ value: JSONValue) -> Bool {
        switch value {
        case .object(let object): object.isEmpty
        case .array(let elements): elements.isEmpty
        case .string(let text): !text.contains(where: \.isNewline)
        default: true
        }
    }

    private static func text(_ value: JSONValue, _ context: CommandContext) -> String {
        guard let text = value.string else {
            switch value {
            case .null, .array, .object: return "-"
            default: return String(decoding: value.encoded(), as: UTF8.self)
            }
        }
        // Times are shown both ways; what merely looks like a date is no time.
        return text.contains("T") && RFC3339.parse(text) != nil ? context.time(value) : text
    }
}
