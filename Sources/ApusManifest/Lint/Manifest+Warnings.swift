internal import ApusCore
internal import ApusJSON

/// What a deploy tells about a manifest and takes all the same.
public struct ManifestWarning: Sendable, Equatable, CustomStringConvertible {
    /// Nil when the manifest came as JSON.
    public let location: SourceLocation?
    public let message: String

    /// `file:line:column: message`.
    public var description: String { self.location.map { "\($0): \(self.message)" } ?? self.message }
}

extension Manifest {
    /// What models would read and had better not.
    public var warnings: [ManifestWarning] {
        var warnings: [ManifestWarning] = []
        for text in self.textsForModels {
            for finding in DescriptionLint.findings(in: text.text, of: text.owner) where !finding.isError {
                let path = text.pointer.isEmpty ? "`\(text.path)`" : "`\(text.path)` at \(text.pointer)"
                warnings.append(
                    ManifestWarning(location: self.locations[text.path], message: "\(path) \(finding.message)"))
            }
        }
        return warnings
    }

    /// A text that models read, with its place.
    struct ModelText {
        var text: String
        var path: String
        /// In a schema, as a JSON pointer.
        var pointer = ""
        /// The name of the tool or prompt.
        var owner: String?
    }

    var textsForModels: [ModelText] {
        switch self {
        case .topic, .upstream, .agent: []
        case .toolServer(let server):
            server.instructions.map { [ModelText(text: $0, path: "spec.instructions", owner: nil)] } ?? []
        case .function(let function): Self.texts(of: function)
        }
    }

    private static func texts(of function: FunctionManifest) -> [ModelText] {
        guard function.tool != nil || function.prompt != nil || function.resource != nil else { return [] }
        let owner = function.tool?.name ?? function.prompt?.name
        var texts: [ModelText] = []
        if let about = function.about { texts.append(ModelText(text: about, path: "spec.description", owner: owner)) }
        if let tool = function.tool {
            if let title = tool.title { texts.append(ModelText(text: title, path: "spec.tool.title", owner: owner)) }
            for (path, schema) in [("spec.tool.input", tool.input.text), ("spec.tool.output", tool.output?.text)] {
                guard let schema else { continue }
                texts += SchemaTexts.all(in: schema).map {
                    ModelText(text: $0.text, path: path, pointer: $0.pointer, owner: owner)
                }
            }
        }
        for (index, argument) in (function.prompt?.arguments ?? []).enumerated() {
            guard let about = argument.about else { continue }
            texts.append(ModelText(text: about, path: "spec.prompt.arguments[\(index)]", owner: owner))
        }
        return texts
    }
}

extension DocumentChecker {
    /// Refuses what nobody writes into a text for models by mistake.
    mutating func lint(_ field: Checked?, of name: String?) {
        guard let field, let text = field.text else { return }
        for finding in DescriptionLint.findings(in: text, of: name) where finding.isError {
            self.checker.fail(field.location, "`\(field.path)` \(finding.message)")
        }
    }
}
