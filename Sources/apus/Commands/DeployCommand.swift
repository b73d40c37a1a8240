internal import ApusCore
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

extension Command {
    static let deploy = Command(
        CommandDescription(
            name: "deploy", summary: "deploy functions and topics from manifests, all or nothing",
            details: """
                A PATH is a manifest file, or a folder with a manifest.yaml or other .yaml files. The source of each function is
                packed without what its .apusignore names, and sent unless the server has it. A function with `build` in its manifest is
                built first: the command runs here, in the manifest's folder, through /bin/sh, and must end well. Progress goes to
                standard error.
                """,
            positionals: [
                PositionalDescription(
                    name: "PATH", summary: "manifest files or their folders", repeats: true, values: .files)
            ],
            options: [
                .flag("--dry-run", "say what would change, and change nothing: nothing is built either"),
                .flag("--no-build", "run no `build` command: deploy what is there"),
                .value(
                    "--sign", "KEY.pem",
                    "sign what tools say with this private key of Ed25519: what changes it later needs the same, or `apus tools accept`",
                    values: .files),
                .flag("--wait", "until a worker of each function is ready, or could not start"),
            ],
            examples: [
                .init("apus deploy functions/echo", "Deploy a folder"),
                .init(
                    "apus deploy topics.yaml functions/*/manifest.yaml --wait", "Several files at once, all or nothing"),
                .init("apus deploy functions/echo --dry-run", "What would change?"),
                .init("apus deploy functions/echo --sign release.pem", "Stand for what its tool tells agents"),
                .init("apus deploy functions/echo-swift --no-build", "Deploy a program that was built elsewhere"),
            ]
        )
    ) { context in try DeployCommand(context: context).run() }
}

private struct DeployCommand {
    let context: CommandContext

    func run() throws {
        let isDryRun = self.context.arguments.has("--dry-run")
        let deployment = Deployment(
            context: self.context, isDryRun: isDryRun, waits: self.context.arguments.has("--wait"),
            builds: !self.context.arguments.has("--no-build"), signer: try ToolSigner(self.context.arguments["--sign"]))
        try self.show(try deployment.run(self.context.arguments.all("PATH")), isDryRun)
    }

    private func show(_ result: JSONValue, _ isDryRun: Bool) throws {
        try self.context.show(result) {
            var table = TextTable(["KIND", "NAME", isDryRun ? "WOULD BE" : "ACTION", "GENERATION", "REVISION"])
            for item in JSONLines.list(result) ?? result["outcomes"]?.array ?? [] {
                table.add([
                    item["kind"]?.string ?? "", item["name"]?.string ?? "", item["action"]?.string ?? "",
                    item["generation"]?.unsigned.map(String.init) ?? "",
                    String((item["revision"]?.string ?? "").prefix(12)),
                ])
            }
            return table.render(width: self.context.terminal.width)
        }
    }
}
