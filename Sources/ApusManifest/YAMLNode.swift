internal import ApusJSON

/// A value of YAML with its place, aliases and merges already replaced by what they stand for.
struct YAMLNode {
    /// What the value is by the core schema of YAML 1.2: `no`, `on` and `0777` written plainly are no Booleans and no
    /// octal numbers.
    enum Content {
        case null
        case boolean(Bool)
        case integer(Int64)
        case double(Double)
        case string(String)
        case sequence([YAMLNode])
        case mapping([Entry])
    }

    struct Entry {
        var key: String
        var keyLocation: SourceLocation?
        var value: YAMLNode
    }

    var content: Content
    /// A scalar as it is written.
    var text: String
    /// Nil for what came as JSON.
    var location: SourceLocation?
    /// How many columns after the location the text begins, where its characters stand in the file as they are.
    var inset: Int?

    var isNull: Bool { if case .null = self.content { true } else { false } }
    var isScalar: Bool {
        switch self.content {
        case .sequence, .mapping: false
        default: true
        }
    }

    /// For messages: what stands there.
    var found: String {
        switch self.content {
        case .null: "nothing"
        case .boolean, .integer, .double, .string: "`\(YAMLNode.shorten(self.text))`"
        case .sequence: "a list"
        case .mapping: "a mapping"
        }
    }

    /// Texts in messages are short and hold no control characters.
    static func shorten(_ text: String) -> String {
        let clean = String(
            text.unicodeScalars.prefix(48).map {
                $0.value < 0x20 || (0x7F...0x9F).contains($0.value) ? " " : Character($0)
            })
        return text.unicodeScalars.count > 48 ? clean + "…" : clean
    }

    var json: JSONValue {
        switch self.content {
        case .null: .null
        case .boolean(let value): .boolean(value)
        case .integer(let value): .integer(value)
        case .double(let value): .double(value)
        case .string(let value): .string(value)
        case .sequence(let nodes): .array(nodes.map(\.json))
        case .mapping(let entries): .object(JSONObject(entries.map { ($0.key, $0.value.json) }))
        }
    }

    init(_ content: Content, text: String = "", location: SourceLocation?) {
        self.content = content
        self.text = text
        self.location = location
    }

    /// The place of a character of a scalar's text, as near as it is known.
    func place(ofCharacter index: Int) -> SourceLocation? {
        guard let location = self.location, let inset = self.inset else { return self.location }
        return SourceLocation(file: location.file, line: location.line, column: location.column + inset + index)
    }

    /// The same value without places.
    init(json: JSONValue) {
        let text: String =
            switch json {
            case .string(let text): text
            case .array, .object: ""
            default: String(decoding: json.encoded(), as: UTF8.self)
            }
        let content: Content =
            switch json {
            case .null: .null
            case .boolean(let value): .boolean(value)
            case .integer(let value): .integer(value)
            case .unsigned(let value): .double(Double(value))
            case .double(let value): .double(value)
            case .string(let value): .string(value)
            case .array(let elements): .sequence(elements.map { YAMLNode(json: $0) })
            case .object(let object): .mapping(object.map { Entry(key: $0.name, value: YAMLNode(json: $0.value)) })
            }
        self.init(content, text: text, location: nil)
    }
}
