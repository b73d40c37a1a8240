internal import ApusJSON

/// JSON values as YAML, for people and for other programs.
enum YAMLText {
    static func of(_ value: JSONValue) -> String {
        var text = ""
        Self.write(value, into: &text, indent: 0, isInline: false)
        return text
    }

    private static func write(_ value: JSONValue, into text: inout String, indent: Int, isInline: Bool) {
        let margin = String(repeating: " ", count: indent)
        switch value {
        case .object(let object) where !object.isEmpty:
            for (index, member) in object.enumerated() {
                text += (isInline && index == 0 ? "" : margin) + Self.scalar(member.name) + ":"
                Self.writeBelow(member.value, into: &text, indent: indent)
            }
        case .array(let elements) where !elements.isEmpty:
            for (index, element) in elements.enumerated() {
                text += (isInline && index == 0 ? "" : margin) + "- "
                Self.write(element, into: &text, indent: indent + 2, isInline: true)
            }
        default: text += Self.plain(value) + "\n"
        }
    }

    private static func writeBelow(_ value: JSONValue, into text: inout String, indent: Int) {
        let isNested =
            switch value {
            case .object(let object): !object.isEmpty
            case .array(let elements): !elements.isEmpty
            default: false
            }
        text += isNested ? "\n" : " "
        Self.write(value, into: &text, indent: isNested ? indent + 2 : 0, isInline: false)
    }

    private static func plain(_ value: JSONValue) -> String {
        switch value {
        case .string(let text): Self.scalar(text)
        case .object: "{}"
        case .array: "[]"
        default: String(decoding: value.encoded(), as: UTF8.self)
        }
    }

    /// As it is where no reader could take it for anything else, otherwise quoted as JSON does, which YAML reads.
    static func scalar(_ text: String) -> String {
        let bytes = Array(text.utf8)
        let isPlain = bytes.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "_"), UInt8(ascii: "/"), UInt8(ascii: "."), UInt8(ascii: "-"), UInt8(ascii: ":"):
                true
            default: false
            }
        }
        let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        if isPlain, Self.beginsAndEndsPlainly(bytes), !words.contains(text.lowercased()) { return text }
        return String(decoding: JSONValue.string(text).encoded(), as: UTF8.self)
    }

    /// A text that begins with a letter is no number; one that begins with a digit other than 0 is none when its last character
    /// is a letter. A colon at the end would make it a key.
    private static func beginsAndEndsPlainly(_ bytes: [UInt8]) -> Bool {
        guard let first = bytes.first, let last = bytes.last, last != UInt8(ascii: ":") else { return false }
        func isLetter(_ byte: UInt8) -> Bool { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20) }
        if isLetter(first) || first == UInt8(ascii: "/") { return true }
        return (UInt8(ascii: "1")...UInt8(ascii: "9")).contains(first) && isLetter(last)
    }
}
