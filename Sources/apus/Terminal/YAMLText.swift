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
        let isPlain = text.utf8.enumerated().allSatisfy { index, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"), UInt8(ascii: "/"): true
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "-"): index > 0
            default: false
            }
        }
        let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        if isPlain, !text.isEmpty, !words.contains(text.lowercased()) { return text }
        return String(decoding: JSONValue.string(text).encoded(), as: UTF8.self)
    }
}
