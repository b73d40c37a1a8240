internal import ApusCore
public import ApusJSON

/// A tool, a prompt, a resource or a template as another MCP server describes it, in one form: whatever order its names come in, the same content
/// is the same text.
public struct UpstreamDefinition: Sendable, Equatable {
    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case tool = "tools"
        case prompt = "prompts"
        case resource = "resources"
        case template = "templates"

        /// The member that names one.
        var identity: String {
            switch self {
            case .tool, .prompt: "name"
            case .resource: "uri"
            case .template: "uriTemplate"
            }
        }

        fileprivate var nameBytes: Int {
            switch self {
            case .tool, .prompt: Limits.Manifest.upstreamNameBytes
            case .resource, .template: Limits.Manifest.addressBytes
            }
        }

        /// What a definition is made of; what else the upstream says goes nowhere.
        fileprivate var members: [String] {
            switch self {
            case .tool: ["name", "title", "description", "inputSchema", "outputSchema", "annotations"]
            case .prompt: ["name", "title", "description", "arguments"]
            case .resource: ["uri", "name", "title", "description", "mimeType", "size"]
            case .template: ["uriTemplate", "name", "title", "description", "mimeType"]
            }
        }
    }

    public let kind: Kind
    /// The upstream's own name of it; of a resource its URI, or its template.
    public let name: String
    public let title: String?
    public let about: String?
    /// JSON Schemas, of a tool.
    public let input: [UInt8]
    public let output: [UInt8]?
    public let annotations: ToolManifest.Annotations
    /// Of a prompt.
    public let arguments: [PromptManifest.Argument]
    /// What a resource is called besides its URI.
    public let label: String?
    public let mimeType: String?
    /// All of it that counts, sorted: what a pin is the hash of.
    public let canonical: [UInt8]

    /// Under which it is known among all that the upstream lists: a tool by its name, others after their kind.
    public var key: String { self.kind == .tool ? self.name : "\(self.kind.rawValue)/\(self.name)" }

    /// What a key is of.
    public static func kind(of key: String) -> Kind {
        Kind.allCases.first { $0 != .tool && key.hasPrefix("\($0.rawValue)/") } ?? .tool
    }

    /// - Returns: nil for what has no name, or a member of another kind than it should have.
    public init?(_ json: JSONValue, kind: Kind = .tool) {
        guard let name = json[kind.identity]?.string, (1...kind.nameBytes).contains(name.utf8.count),
            kind != .tool || Self.kind(of: name) == .tool
        else { return nil }
        let input = json["inputSchema"]
        guard kind != .tool || input?.object != nil else { return nil }
        for (member, isRight) in [
            ("title", json["title"]?.string != nil), ("description", json["description"]?.string != nil),
            ("outputSchema", json["outputSchema"]?.object != nil), ("annotations", json["annotations"]?.object != nil),
            ("arguments", json["arguments"]?.array != nil), ("mimeType", json["mimeType"]?.string != nil),
            ("name", json["name"]?.string != nil),
        ] where kind.members.contains(member) && !(json[member] ?? .null).isNull && !isRight { return nil }
        self.kind = kind
        self.name = name
        self.title = json["title"]?.string ?? (kind == .tool ? json["annotations"]?["title"]?.string : nil)
        self.about = json["description"]?.string
        self.input = kind == .tool ? input.map { Self.sorted($0).encoded() } ?? [] : []
        self.output = kind == .tool ? json["outputSchema"].flatMap { $0.object == nil ? nil : Self.sorted($0).encoded() } : nil
        let hints = kind == .tool ? json["annotations"] : nil
        self.annotations = ToolManifest.Annotations(
            readOnly: hints?["readOnlyHint"]?.boolean, destructive: hints?["destructiveHint"]?.boolean,
            idempotent: hints?["idempotentHint"]?.boolean, openWorld: hints?["openWorldHint"]?.boolean)
        self.label = json["name"]?.string
        self.mimeType = json["mimeType"]?.string
        guard let arguments = Self.arguments(kind == .prompt ? json["arguments"]?.array ?? [] : []) else { return nil }
        self.arguments = arguments
        var kept = JSONObject()
        for member in kind.members {
            if let value = json[member], !value.isNull { kept[member] = value }
        }
        self.canonical = Self.sorted(.object(kept)).encoded()
    }

    private static func arguments(_ list: [JSONValue]) -> [PromptManifest.Argument]? {
        guard list.count <= Limits.Manifest.promptArguments else { return nil }
        var arguments: [PromptManifest.Argument] = []
        for element in list {
            guard let name = element["name"]?.string else { return nil }
            arguments.append(
                PromptManifest.Argument(
                    name: name, title: element["title"]?.string, about: element["description"]?.string,
                    isRequired: element["required"]?.boolean ?? false))
        }
        return arguments
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
        if let fault = self.addressFault { return fault }
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

    private var addressFault: String? {
        switch self.kind {
        case .tool, .prompt: nil
        case .resource: TextRule.uri.isMet(by: self.name) ? nil : "its URI is none"
        case .template: TextRule.uriTemplate.isMet(by: self.name) ? nil : "its template is \(TextRule.uriTemplate.expected)"
        }
    }

    /// What somebody should look at before a model reads it; nil when no pattern was found.
    public var finding: String? { self.findings { !$0.isError } }

    private func findings(_ isWanted: (DescriptionLint.Finding) -> Bool) -> String? {
        var texts: [(String, String)] = [("name", self.name)]
        if let label = self.label, label != self.name { texts.append(("name", label)) }
        for argument in self.arguments {
            texts.append(("argument", argument.name))
            for text in [argument.title, argument.about].compactMap({ $0 }) { texts.append(("argument '\(argument.name)'", text)) }
        }
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
