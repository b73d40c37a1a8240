internal import ApusJSON
internal import ApusManifest
internal import ApusServer

extension Command {
    static let schema = Command(
        CommandDescription(
            name: "schema", summary: "print the JSON Schema of manifests or of apus.yaml, or the OpenAPI of the server",
            positionals: [
                PositionalDescription(
                    name: "OF", summary: "manifest (default) or configuration", isOptional: true,
                    values: .oneOf(["manifest", "configuration"]))
            ],
            options: [
                .flag("--openapi", "the HTTP interface as OpenAPI 3.1, as /openapi.json of a server answers it"),
                .flag("--reference", "the HTTP interface as a page of Markdown"),
            ],
            examples: [
                .init("apus schema > apus.schema.json", "Let an editor check manifests while you type"),
                .init("apus schema configuration", "The same for the server's configuration file"),
                .init("apus schema --openapi > openapi.json", "Generate a client"),
            ]
        )
    ) { context in
        if context.arguments.has("--reference") { return try context.terminal.write(OpenAPI.reference) }
        if context.arguments.has("--openapi") {
            return try context.show(OpenAPI.json) { OpenAPI.json.pretty + "\n" }
        }
        let schema =
            context.arguments["OF"] == "configuration" ? ConfigurationTable.format.schema : ManifestSchema.json
        switch context.output {
        case .yaml: try context.terminal.write(YAMLText.of(schema))
        default: try context.terminal.write(schema.pretty + "\n")
        }
    }
}
