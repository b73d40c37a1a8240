internal import ApusCore
internal import ApusJSON

/// An argument of a tool that becomes a part of an HTTP request.
struct ImportedParameter {
    enum Place: String { case path, query, header, cookie }

    /// What agents call it.
    var argument: String
    /// What the API calls it.
    let name: String
    let place: Place
    let isRequired: Bool
    /// How lists and objects are written, as OpenAPI names it.
    let style: String
    let explode: Bool
    /// Whether the value is sent as JSON.
    let isJSON: Bool
    let schema: JSONValue

    /// The part of the operation's description that the runtime reads.
    var json: JSONValue {
        var json: JSONObject = [
            "argument": .string(self.argument), "name": .string(self.name), "in": .string(self.place.rawValue),
        ]
        if self.isJSON {
            json["json"] = true
        } else {
            json["style"] = .string(self.style)
            json["explode"] = .boolean(self.explode)
        }
        return .object(json)
    }

    /// Headers that the request's body and credentials decide about.
    private static let ignored: Set<String> = ["accept", "content-type", "authorization"]

    /// - Returns: nil for a parameter that OpenAPI itself says to ignore.
    init?(_ value: JSONValue, _ schemas: inout OpenAPISchemas) throws(ImportProblem) {
        guard let name = value["name"]?.string, let place = value["in"]?.string.flatMap({ Place(rawValue: $0) }) else {
            throw ImportProblem("a parameter has no name or no place that is known")
        }
        guard place != .header || !Self.ignored.contains(name.lowercased()) else { return nil }
        self.argument = name
        self.name = name
        self.place = place
        self.isRequired = place == .path || value["required"] == true
        self.style = value["style"]?.string ?? (place == .query || place == .cookie ? "form" : "simple")
        self.explode = value["explode"]?.boolean ?? (self.style == "form")
        let content = value["content"]?.object?.members.first
        self.isJSON = content != nil
        var schema = try schemas.schema(content?.value["schema"] ?? value["schema"] ?? ["type": "string"])
        if let description = value["description"]?.string, schema.object != nil {
            schema["description"] = .string(ImportedText.shortened(description))
        }
        self.schema = schema
    }
}

/// Texts of a description as tools need them.
enum ImportedText {
    /// On few lines, without control characters, within the bound.
    static func shortened(_ text: String, most: Int = Limits.Import.descriptionCharacters) -> String {
        let clean = String(
            String.UnicodeScalarView(
                text.unicodeScalars.filter { $0 == "\n" || $0.properties.generalCategory != .control }))
        let trimmed = clean.split(separator: "\n", omittingEmptySubsequences: false)
            .map { line in String(line.reversed().drop { $0 == " " }.reversed()) }
            .joined(separator: "\n")
        guard trimmed.unicodeScalars.count > most else { return Self.trimmed(trimmed) }
        return Self.trimmed(trimmed.cut(toCodePoints: most - 1)) + "…"
    }

    private static func trimmed(_ text: String) -> String {
        let start = text.drop { $0.isWhitespace }
        return String(start.reversed().drop { $0.isWhitespace }.reversed())
    }
}
