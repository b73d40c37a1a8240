internal import ApusCore
internal import ApusJSON
internal import ApusStore

/// An object of an answer for people: a line for each plain member, aligned, then the others below their names, lists of plain
/// objects as tables.
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
            let body = Self.table(member.value, context) ?? YAMLText.of(member.value)
            for line in body.split(separator: "\n") { text += "  \(line)\n" }
        }
        return text
    }

    /// Nil unless every element is an object whose members are plain, or lists of plain values.
    private static func table(_ value: JSONValue, _ context: CommandContext) -> String? {
        guard let rows = value.array, let first = rows.first?.object, !first.isEmpty else { return nil }
        var table = TextTable(first.names.map { $0.uppercased() })
        for row in rows {
            guard let object = row.object, object.names == first.names, object.allSatisfy({ Self.isCell($0.value) })
            else { return nil }
            table.add(object.map { Self.cell($0.value, context) })
        }
        return table.render(width: context.terminal.width.map { $0 - 2 })
    }

    private static func isCell(_ value: JSONValue) -> Bool {
        Self.isPlain(value) || value.array?.allSatisfy(Self.isPlain) == true
    }

    private static func cell(_ value: JSONValue, _ context: CommandContext) -> String {
        if let elements = value.array, !elements.isEmpty {
            return elements.map { Self.text($0, context) }.joined(separator: ",")
        }
        if let text = value.string, text.contains("T"), RFC3339.parse(text) != nil { return context.ago(value) }
        return Self.text(value, context)
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
        if text.isEmpty { return "-" }
        // Times are shown both ways; what merely looks like a date is no time.
        return text.contains("T") && RFC3339.parse(text) != nil ? context.time(value) : text
    }
}
