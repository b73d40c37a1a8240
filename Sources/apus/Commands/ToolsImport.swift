internal import ApusCore
internal import ApusJSON
internal import ApusTools

/// `apus tools import`.
struct ToolsImport {
    static let description = CommandDescription(
        name: "import", summary: "write manifests for the operations of an API that OpenAPI describes",
        details: """
            Reads OpenAPI 3.0 or 3.1, JSON or YAML, and writes one function with the runtime http for each operation: manifests to be
            looked over, and a folder for each function with its request and the schema of its arguments. Nothing is fetched,
            called or deployed. Secrets are named, never asked for: the egress process puts them into requests. No server of Apus is
            talked to: --server is the API's URL here, for a description that names none, or where another is meant.
            """,
        positionals: [PositionalDescription(name: "FILE", summary: "the description", values: .files)],
        options: [
            .value("--out", "FOLDER", "where to write, a new or empty folder (the API's name)", values: .files),
            .value("--prefix", "NAME", "what the names of tools, functions and secrets begin with"),
        ],
        examples: [
            .init("apus tools import openapi.yaml", "Look over what it wrote, then: apus deploy FOLDER"),
            .init(
                "apus tools import petstore.json --prefix pets --server https://pets.example.com/v2 --out pets",
                "Another server, and names of your own"),
        ])

    let context: CommandContext

    func run() throws {
        let file = self.context.arguments["FILE"] ?? ""
        let text = try DataArgument.readFile(file, limit: Limits.Import.textBytes)
        let imported = try OpenAPIImport(
            text, file: file, server: self.context.arguments["--server"],
            prefix: self.context.arguments["--prefix"] ?? "")
        let first = imported.documents.first?.path ?? "api.yaml"
        let folder = self.context.arguments["--out"] ?? String(first.dropLast(".yaml".count))
        try NewFolder.write(
            imported.documents.map { .init(path: $0.path, text: Self.yaml($0.manifests)) }
                + imported.files.map { .init(path: $0.path, text: String(decoding: $0.bytes, as: UTF8.self)) },
            to: folder)
        try self.show(imported, folder)
    }

    private static func yaml(_ manifests: [JSONValue]) -> String {
        manifests.map { YAMLText.of($0) }.joined(separator: "---\n")
    }

    private static func count(_ number: Int, _ what: String) -> String { "\(number) \(what)\(number == 1 ? "" : "s")" }

    private func show(_ imported: OpenAPIImport, _ folder: String) throws {
        try self.context.show([
            "folder": .string(folder), "tools": .array(imported.tools.map { .string($0) }),
            "secrets": .array(imported.secrets.map { ["name": .string($0.name), "holds": .string($0.holds)] }),
            "notes": .array(imported.notes.map { .string($0) }),
        ]) {
            var text = "wrote \(Self.count(imported.tools.count, "tool")) into \(folder):\n"
            text += imported.documents.map { "  \($0.path)  (\(Self.count($0.manifests.count, "function")))\n" }
                .joined()
            if !imported.notes.isEmpty {
                text += "left out or changed:\n" + imported.notes.map { "  \($0)\n" }.joined()
            }
            let secrets = imported.secrets.map { "  apus secret set \($0.name)   # \($0.holds)\n" }.joined()
            return text + "next: look over the manifests, then\n" + secrets + "  apus deploy \(folder)\n"
        }
    }
}
