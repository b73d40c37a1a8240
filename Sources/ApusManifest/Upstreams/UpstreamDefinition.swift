internal import ApusCore
public import ApusJSON

/// A tool as another MCP server describes it, in one form: whatever order its names come in, the same content is the same text.
public struct UpstreamDefinition: Sendable, Equatable {
    /// The upstream's own name of it.
    public let name: String
    public let title: String?
    public let about: String?
    /// JSON Schemas.
    public let input: [UInt8]
    public let output: [UInt8]?
    public let annotations: ToolManifest.Annotations
    /// Name, title, description, schemas and annotations, sorted: what a pin is the hash of.
    public let canonical: [UInt8]

    /// The members that a definition is made of; what else the upstream says of a tool goes nowhere.
    private static let members = ["name", "title", "description", "inputSchema", "outputSchema", "annotations"]

    /// - Returns: nil for what has no name, or a member of another kind than it should have.
    public init?(_ json: JSONValue) {
        guard let name = json["name"]?.string, (1...Limits.Manifest.upstreamNameBytes).contains(name.utf8.count),
            let input = json["inputSchema"], input.object != nil
        else { return nil }
        for (member, isRight) in [
            ("title", json["title"]?.string != nil), ("description", json["description"]?.string != nil),
            ("outputSchema", json["outputSchema"]?.object != nil), ("annotations", json["annotations"]?.object != nil),
        ] where !(json[member] ?? .null).isNull && !isRight { return nil }
        self.name = name
        self.title = json["title"]?.string ?? json["annotations"]?["title"]?.string
        self.about = json["description"]?.string
        self.input = Self.sorted(input).encoded()
        self.output = json["outputSchema"].flatMap { $0.object == nil ? nil : Self.sorted($0).encoded() }
        self.annotations = ToolManifest.Annotations(
            readOnly: json["annotations"]?["readOnlyHint"]?.boolean,
            destructive: json["annotations"]?["destructiveHint"]?.boolean,
            idempotent: json["annotations"]?["idempotentHint"]?.boolean,
            openWorld: json["annotations"]?["openWorldHint"]?.boolean)
        var kept = JSONObject()
        for member in Self.members {
            if let value = json[member], !value.isNull { kept[member] = value }
        }
        self.canonical = Self.sorted(.object(kept)).encoded()
    }

    private static func sorted(_ value: JSONValue) -> JSONValue {
        switch value {
        case .object(let object):
            let members = object.members.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
            return .object(JSONObject(members.map { ($0.name, Self.sorted($0.value)) }))
        case .array(let elements): return .array(elements.map(Self.sorted))
        default: return value
        }
    }

    /// Why it can never be a tool here, whoever accepts it: what a deploy of our own would be refused for.
    public var fault: String? {
        if self.canonical.count > Limits.Manifest.upstreamToolBytes {
            return "its description has \(self.canonical.count) bytes, more than \(Limits.Manifest.upstreamToolBytes)"
        }
        for (schema, what, isInput) in [(self.input, "input", true), (self.output ?? [], "output", false)]
        where !schema.isEmpty {
            if let problem = ToolSchema.problems(schema, isInput: isInput).first {
                return "its schema of the \(what) \(problem.message)"
            }
        }
        if String(decoding: self.input, as: UTF8.self).contains(#""x-mcp-header""#) {
            return "it wants arguments repeated as headers, which upstreams are not given"
        }
        return self.findings { $0.isError }
    }

    /// What somebody should look at before a model reads it; nil when no pattern was found.
    public var finding: String? { self.findings { !$0.isError } }

    private func findings(_ isWanted: (DescriptionLint.Finding) -> Bool) -> String? {
        var texts: [(String, String)] = [("name", self.name)]
        if let title = self.title { texts.append(("title", title)) }
        if let about = self.about { texts.append(("description", about)) }
        for (what, schema) in [("input schema", self.input), ("output schema", self.output ?? [])] where !schema.isEmpty {
            texts += SchemaTexts.all(in: schema).map { ("\(what) at \($0.pointer)", $0.text) }
        }
        for (what, text) in texts {
            if let finding = DescriptionLint.findings(in: text, of: self.name).first(where: isWanted) {
                return "its \(what) \(finding.message)"
            }
        }
        return nil
    }
}
