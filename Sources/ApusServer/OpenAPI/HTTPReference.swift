internal import ApusHTTP
internal import ApusJSON

/// Writes the reference of the HTTP interface, for people.
struct HTTPReference {
    let operations: [Operation]

    init(_ operations: [Operation]) { self.operations = operations }

    var text: String {
        var text = Self.introduction
        for group in OperationDescription.groups {
            let members = self.operations.filter { group.descriptions[$0.id] != nil }
            text += "\n## \(group.name)\n\n| request | what it does | who may |\n|---|---|---|\n"
            for operation in members {
                let line = "\(operation.method) \(operation.path)"
                text +=
                    "| [`\(line)`](#\(operation.id.lowercased())) | \(operation.summary) | \(operation.access.sentence) |\n"
            }
            for operation in members { text += self.section(operation) }
        }
        text +=
            "\n## Forms\n\nMembers marked `?` may be missing. More members may come; do not fail on those you do not know.\n"
        for (name, schema) in Schema.components where name != "Manifest" { text += Self.form(name, schema) }
        return text
    }

    private static let introduction = """
        # HTTP reference

        Made from the table of operations by `make reference`; do not edit it. The same as OpenAPI 3.1 is at `/openapi.json` of a
        server, and `apus schema --openapi` prints it.

        - Every request needs a token (`Authorization: Bearer TOKEN`) or a browser's session, unless it says "anybody" below.
          See [access](../operating/access.md).
        - Paths below `/v1` whose rights hold "in the namespace" are for the namespace `default`; for another one put
          `/v1/namespaces/NAMESPACE` in place of `/v1`.
        - Errors are problem details (RFC 9457, `application/problem+json`) with a stable `code`; each code has a page in
          [errors](../errors/README.md). Any operation may answer 400 `invalid_argument`, 401 `unauthenticated`, 403 `forbidden`,
          421 `host_not_allowed`, 500 `internal`, 503 `overloaded` or `shutting_down`, and 413 `body_too_large` where it takes a
          body; the tables list the codes beside these.
        - A path that is none answers 404 `not_found`, a method that a path does not have 405 `method_not_allowed`.

        """

    private func section(_ operation: Operation) -> String {
        let description = OperationDescription.of(operation) ?? OperationDescription(answers: [])
        var text =
            "\n<a id=\"\(operation.id.lowercased())\"></a>\n### \(operation.method) \(operation.path)\n\n\(operation.summary)"
        text += description.details.isEmpty ? "\n" : " \(description.details)\n"
        text += "\nWho may: \(operation.access.sentence).\n"
        if !description.parameters.isEmpty {
            text += "\n| parameter | in | meaning |\n|---|---|---|\n"
            for parameter in description.parameters {
                let name = parameter.isRequired ? "`\(parameter.name)`" : "`\(parameter.name)`?"
                text +=
                    "| \(name) | \(parameter.place.rawValue) | \(parameter.summary)\(Self.bounds(parameter.schema)) |\n"
            }
        }
        if !description.body.isEmpty {
            let start = description.isBodyOptional ? "Body, which may be left out" : "Body"
            text += "\n\(start): " + description.body.map { Self.form($0) }.joined(separator: ", or ") + ".\n"
            for case let example? in description.body.map(\.example) {
                text += "\n```json\n\(String(decoding: example.encoded(), as: UTF8.self))\n```\n"
            }
        }
        text += "\n| status | answer |\n|---|---|\n"
        for answer in description.answers {
            let forms = answer.contents.map { Self.form($0) }.joined(separator: ", or ")
            let headers = answer.headers.map { "`\($0.name)`: \($0.summary)" }.joined(separator: " ")
            let parts = [answer.summary, forms.isEmpty ? "" : "\(forms).", headers].filter { !$0.isEmpty }
            text += "| \(answer.status) | \(parts.joined(separator: " ")) |\n"
        }
        let own = Set(description.codes)
        for (status, codes) in description.errors(of: operation) {
            let codes = codes.filter { own.contains($0) }
            if codes.isEmpty { continue }
            text += "| \(status) | \(codes.map { "[`\($0)`](../errors/\($0).md)" }.joined(separator: ", ")) |\n"
        }
        return text
    }

    private static func form(_ content: OperationDescription.Content) -> String {
        guard let schema = content.schema, schema != Schema.anything else { return "`\(content.mediaType)`" }
        return "`\(content.mediaType)`: \(Self.type(schema))"
    }

    private static func bounds(_ schema: JSONValue) -> String {
        if let values = schema["enum"]?.array {
            return " One of \(values.compactMap(\.string).map { "`\($0)`" }.joined(separator: ", "))."
        }
        guard let standard = schema["default"]?.integer, let most = schema["maximum"]?.integer else { return "" }
        return " At most \(most); \(standard) by default."
    }

    private static func form(_ name: String, _ schema: JSONValue) -> String {
        let required = Set((schema["required"]?.array ?? []).compactMap(\.string))
        var text = "\n### \(name)\n\n| member | form | meaning |\n|---|---|---|\n"
        for member in schema["properties"]?.object ?? JSONObject() {
            let mark = required.contains(member.name) ? "" : "?"
            text +=
                "| `\(member.name)`\(mark) | \(Self.type(member.value)) | \(member.value["description"]?.string ?? "") |\n"
        }
        return text
    }

    /// A schema in a few words.
    private static func type(_ schema: JSONValue) -> String {
        if let name = schema["$ref"]?.string?.split(separator: "/").last {
            return name == "Manifest" ? "a manifest" : "[\(name)](#\(name.lowercased()))"
        }
        if let choices = schema["anyOf"]?.array { return choices.map { Self.type($0) }.joined(separator: " or ") }
        if let values = schema["enum"]?.array, values.count <= 8 {
            return values.compactMap(\.string).map { "`\($0)`" }.joined(separator: ", ")
        }
        switch schema["type"]?.string {
        case "array": return "list of \(Self.type(schema["items"] ?? Schema.anything))"
        case "object":
            let names = schema["properties"]?.object?.names ?? []
            return names.isEmpty ? "object" : "object with \(names.map { "`\($0)`" }.joined(separator: ", "))"
        case "string" where schema["format"]?.string == "date-time": return "time (RFC 3339)"
        case "string": return "text"
        case let type?: return type
        case nil: return "any value"
        }
    }
}
