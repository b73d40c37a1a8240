internal import ApusJSON
internal import ApusManifest

extension Command {
    static let schema = Command(
        CommandDescription(
            name: "schema", summary: "print the JSON Schema of manifests or of apus.yaml",
            positionals: [
                PositionalDescription(
                    name: "OF", summary: "manifest (default) or configuration", isOptional: true,
                    values: .oneOf(["manifest", "configuration"]))
            ],
            examples: [
                .init("apus schema > apus.schema.json", "Let an editor check manifests while you type"),
                .init("apus schema configuration", "The same for the server's configuration file"),
            ]
        )
    ) { context in
        let schema =
            context.arguments["OF"] == "configuration" ? ConfigurationTable.format.schema : ManifestSchema.json
        switch context.output {
        case .yaml: try context.terminal.write(YAMLText.of(schema))
        default: try context.terminal.write(schema.pretty + "\n")
        }
    }
}
