internal import ApusCore
internal import ApusJSON

/// The reference of manifests, for people, made from the descriptions that drive the parser.
public enum ManifestReference {
    public static var text: String {
        var text = """
            # Manifests

            Made from the code by `make reference`; do not edit it. The same as JSON Schema: `apus schema`. A file holds one or more documents,
            separated by `---`. A field in bold must be there. Fields and values marked *later* are checked, and refused as not yet supported.

            Spans of time have a unit (`500ms`, `30s`, `5m`, `4h`, `7d`), sizes too (`64Ki`, `512Mi`, `1Gi`; `k`, `M`, `G` are powers of ten).

            """
        for kind in DocumentKind.allCases {
            text += "\n## \(kind.rawValue)\n\n"
            text += "| field | value | default | meaning |\n|---|---|---|---|\n"
            for field in kind.shape.fields where !["apiVersion", "kind"].contains(field.name) {
                text += self.rows(field, prefix: "")
            }
        }
        return text
    }

    private static func rows(_ field: Field, prefix: String) -> String {
        let path = prefix + field.name
        let name = field.isRequired ? "**`\(path)`**" : "`\(path)`"
        let note =
            switch field.support {
            case .now: ""
            case .later: " *Later.*"
            }
        let standard = field.standard.map { self.standard($0) } ?? ""
        var text = "| \(name) | \(self.value(field.shape)) | \(standard) | \(self.escaped(field.about))\(note) |\n"
        if field.support != .later { text += self.members(of: field.shape, path: path) }
        return text
    }

    /// The fields of an object, wherever it stands.
    private static func members(of shape: Shape, path: String) -> String {
        switch shape {
        case .object(let object): object.fields.map { self.rows($0, prefix: path + ".") }.joined()
        case .list(let element, _): self.members(of: element, path: path + "[]")
        case .wordOr(_, let other), .scalarOr(_, let other): self.members(of: other, path: path)
        default: ""
        }
    }

    private static func standard(_ value: JSONValue) -> String {
        if let text = value.string { return text.isEmpty ? "" : "`\(self.escaped(text))`" }
        let text = String(decoding: value.encoded(), as: UTF8.self)
        return ["{}", "[]"].contains(text) ? "" : "`\(text)`"
    }

    private static func value(_ shape: Shape) -> String {
        switch shape {
        case .text: "text"
        case .scalarText: "text, number or Boolean"
        case .boolean: "`true` or `false`"
        case .integer(let range): "\(range.lowerBound) to \(range.upperBound)"
        case .fraction: "0 to 1"
        case .money: "an amount: `2.5`"
        case .span(let range): "time, \(range.lowerBound) to \(range.upperBound)"
        case .bytes: "size"
        case .cpu: "CPUs: `0.5`, `2`"
        case .choice(let choices): self.choices(choices)
        case .wordOr(let words, let other): "\(self.choices(words)), or \(self.value(other))"
        case .scalarOr(let scalar, let other): "\(self.value(scalar)), or \(self.value(other))"
        case .list(let element, let max): "up to \(max): \(self.value(element))"
        case .map(_, let value, let max): "up to \(max) names, each with \(self.value(value))"
        case .object: "an object"
        case .filter: "up to \(Limits.Manifest.filterTerms) names, each with text, number or Boolean; or dialects"
        case .json: "any JSON"
        }
    }

    private static func choices(_ choices: [Choice]) -> String {
        choices.map { "`\($0.name)`" + ($0.support == .now ? "" : " *later*") }.joined(separator: ", ")
    }

    private static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }
}
