extension JSONValue {
    /// The value for people: two spaces a level, a member a line, short arrays of plain values on one line.
    public var pretty: String {
        var text = ""
        self.write(into: &text, indent: 0)
        return text
    }

    private var isPlain: Bool {
        switch self {
        case .array(let elements): elements.isEmpty
        case .object(let object): object.isEmpty
        default: true
        }
    }

    private var compact: String { String(decoding: self.encoded(), as: UTF8.self) }

    private func write(into text: inout String, indent: Int) {
        let inner = String(repeating: " ", count: indent + 2)
        let outer = String(repeating: " ", count: indent)
        switch self {
        case .object(let object) where !object.isEmpty:
            text += "{\n"
            for (index, member) in object.enumerated() {
                text += inner + JSONValue.string(member.name).compact + ": "
                member.value.write(into: &text, indent: indent + 2)
                text += index == object.count - 1 ? "\n" : ",\n"
            }
            text += outer + "}"
        case .array(let elements) where !elements.isEmpty:
            let line = elements.allSatisfy(\.isPlain) ? elements.map(\.compact).joined(separator: ", ") : nil
            if let line, line.utf8.count + indent <= 100 {
                text += "[" + line + "]"
                return
            }
            text += "[\n"
            for (index, element) in elements.enumerated() {
                text += inner
                element.write(into: &text, indent: indent + 2)
                text += index == elements.count - 1 ? "\n" : ",\n"
            }
            text += outer + "]"
        default: text += self.compact
        }
    }
}
