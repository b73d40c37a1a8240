internal import ApusCore
internal import ApusJSON

/// How a message repeats what somebody wrote: short, on one line, without control characters.
enum Quotation {
    static func quoted(_ text: String) -> String {
        var short = ""
        var count = 0
        for scalar in text.unicodeScalars {
            guard count < Limits.Schema.quotedCharacters else { return "\"\(short)…\"" }
            short.unicodeScalars.append(scalar.value < 0x20 || scalar.value == 0x7F ? "\u{FFFD}" : scalar)
            count += 1
        }
        return "\"\(short)\""
    }

    /// "the string \"abc\"", "the number 5", "an array".
    static func kind(of view: JSONView) -> String {
        switch view.kind {
        case .null: "null"
        case .boolean: view.boolean == true ? "true" : "false"
        case .integer, .unsigned, .double: "the number \(SchemaNumber(view)?.text ?? "")"
        case .string: "the string \(self.quoted(view.string ?? ""))"
        case .array: "an array"
        case .object: "an object"
        }
    }

    /// As JSON, shortened.
    static func value(_ view: JSONView) -> String {
        switch view.kind {
        case .string: self.quoted(view.string ?? "")
        case .integer, .unsigned, .double: SchemaNumber(view)?.text ?? ""
        default: self.kind(of: view)
        }
    }

    static func list(_ names: [[UInt8]]) -> String {
        self.list(names.lazy.map { self.quoted(String(decoding: $0, as: UTF8.self)) })
    }

    /// The first of the texts, and how many more there are.
    static func list(_ texts: some Collection<String>) -> String {
        let most = Limits.Schema.listedNames
        let first = texts.prefix(most).joined(separator: ", ")
        return texts.count > most ? "\(first) and \(texts.count - most) more" : first
    }
}
