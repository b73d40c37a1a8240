internal import ApusJSON
internal import ApusManifest
internal import ApusServer

extension Command {
    static let schema = Command(
        CommandDescription(
            name: "schema", summary: "print the JSON Schema of manifests or of apus.yaml, or the OpenAPI of the server",
            positionals: [
                PositionalDescription(
                    name: "OF", summary: "manifest (default), configuration; with --reference also http, commands",
                    isOptional: true, values: .oneOf(["manifest", "configuration", "http", "commands"]))
            ],
            options: [
                .flag("--openapi", "the HTTP interface as OpenAPI 3.1, as /openapi.json of a server answers it"),
                .flag("--reference", "as a page of Markdown"),
            ],
            examples: [
                .init("apus schema > apus.schema.json", "Let an editor check manifests while you type"),
                .init("apus schema configuration", "The same for the server's configuration file"),
                .init("apus schema --openapi > openapi.json", "Generate a client"),
                .init("apus schema http --reference > http.md", "Read the HTTP interface"),
            ]
        )
    ) { context in
        let of = context.arguments["OF"] ?? "manifest"
        if context.arguments.has("--reference") { return try context.terminal.write(try reference(of)) }
        if context.arguments.has("--openapi") {
            return try context.show(OpenAPI.json) { OpenAPI.json.pretty + "\n" }
        }
        guard ["manifest", "configuration"].contains(of) else {
            throw UsageError("there is no schema of '\(of)': add --reference for its page, or use --openapi")
        }
        let schema = of == "configuration" ? ConfigurationTable.format.schema : ManifestSchema.json
        switch context.output {
        case .yaml: try context.terminal.write(YAMLText.of(schema))
        default: try context.terminal.write(schema.pretty + "\n")
        }
    }
}

/// The page of the documentation that is made from the code.
private func reference(_ of: String) throws -> String {
    switch of {
    case "manifest": return ManifestReference.text
    case "http": return OpenAPI.reference
    case "commands":
        return CommandReference.text(
            CommandTable.all.map(\.description), notYetAvailable: CommandTable.notYetAvailable)
    default: throw UsageError("the page of '\(of)' is docs/operating/apus.yaml: `apus serve --print-config` prints it")
    }
}
