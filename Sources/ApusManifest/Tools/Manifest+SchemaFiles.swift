public import ApusCore
internal import ApusJSON

extension Manifest {
    /// The same with the schemas in it that it names files for, in JSON or YAML.
    /// - Parameter read: gives the content of a file, by its path beside the manifest, and how errors name it.
    /// - Throws: `manifest_invalid` with the places in the file, and what `read` throws.
    public func withSchemas(
        _ read: (String) throws(ApusError) -> (name: String, content: [UInt8])
    ) throws(ApusError) -> Manifest {
        guard case .function(var function) = self, var tool = function.tool, !tool.schemaFiles.isEmpty else {
            return self
        }
        if let file = tool.input.file { tool.input = try Self.schema(try read(file), isInput: true) }
        if let file = tool.output?.file { tool.output = try Self.schema(try read(file), isInput: false) }
        function.tool = tool
        return .function(function)
    }

    private static func schema(
        _ file: (name: String, content: [UInt8]), isInput: Bool
    ) throws(ApusError) -> ToolManifest.Schema {
        let (documents, problems) = YAMLReader.read(SourceText(file: file.name, bytes: file.content))
        let text: [UInt8]
        if ToolSchema.isText(String(decoding: file.content, as: UTF8.self)) {
            text = ToolSchema.compact(file.content)
        } else {
            guard problems.isEmpty, let node = documents.first else {
                throw ManifestErrors(problems.isEmpty ? [Self.empty(file.name)] : problems).asApusError
            }
            text = node.json.encoded()
        }
        var errors: [ManifestError] = []
        func fail(_ pointer: String, _ message: String) {
            let place =
                documents.first?.place(ofPointer: pointer) ?? SourceLocation(file: file.name, line: 1, column: 1)
            errors.append(ManifestError(.manifestInvalid, place, "the schema \(message)"))
        }
        if text.count > Limits.Manifest.schemaBytes {
            fail("", "takes \(text.count) bytes, expected at most \(Limits.Manifest.schemaBytes)")
        }
        for problem in ToolSchema.problems(text, isInput: isInput) { fail(problem.pointer, problem.message) }
        for found in SchemaTexts.all(in: text) {
            for finding in DescriptionLint.findings(in: found.text) where finding.isError {
                fail(found.pointer, "\(finding.message) (at \(found.pointer))")
            }
        }
        guard errors.isEmpty else { throw ManifestErrors(errors).asApusError }
        return .text(text)
    }

    private static func empty(_ file: String) -> ManifestError {
        ManifestError(
            .manifestInvalid, SourceLocation(file: file, line: 1, column: 1),
            "the file is empty, expected a JSON Schema")
    }
}
