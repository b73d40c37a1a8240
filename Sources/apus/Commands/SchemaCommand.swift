internal import ApusJSON
internal import ApusManifest

extension Command {
    static let schema = Command(
        CommandDescription(
            name: "schema", summary: "print the JSON Schema of manifests",
            examples: [.init("apus schema > apus.schema.json", "Let an editor check manifests while you type")]
        )
    ) { context in
        switch context.output {
        case .yaml: try context.terminal.write(YAMLText.of(ManifestSchema.json))
        default: try context.terminal.write(ManifestSchema.json.pretty + "\n")
        }
    }
}
