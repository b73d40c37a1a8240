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
                .flag("--wait", "until a worker of each function is ready, or could not start"),
            ],
            examples: [
                .init("apus deploy functions/echo", "Deploy a folder"),
                .init(
                    "apus deploy topics.yaml functions/*/manifest.yaml --wait", "Several files at once, all or nothing"),
                .init("apus deploy functions/echo --dry-run", "What would change?"),
                .init("apus deploy functions/echo-swift --no-build", "Deploy a program that was built elsewhere"),
            ]
        )
    ) { context in try DeployCommand(context: context).run() }
}

private struct DeployCommand {
    let context: CommandContext

    func run() throws {
        let isDryRun = self.context.arguments.has("--dry-run")
        let found = try ManifestFiles(namespace: try self.context.namespace()).read(self.context.arguments.all("PATH"))
        var documents: [DeployRequest.Document] = []
        var bundles: [Bundler.Bundle] = []
        for item in found {
            guard case .function(let function) = item.manifest else {
                documents.append(.init(manifest: item.manifest))
                continue
            }
            let step = BuildStep(function: function, folder: item.folder)
            if !isDryRun, !self.context.arguments.has("--no-build") { try step.run(self.context.note) }
            try step.checkProgram()
            let bundle = try Bundler().bundle(step.source, program: step.program)
            self.context.note(
                "packed \(function.name): \(bundle.files) files, \(bundle.archive.count) bytes, \(bundle.hash.prefix(12))"
            )
            bundles.append(bundle)
            documents.append(.init(manifest: item.manifest, bundle: bundle.hash))
        }
        let client = try self.context.client()
        var sent: Set<String> = []
        if !isDryRun {
            for bundle in bundles where sent.insert(bundle.hash).inserted { try self.send(bundle, client) }
        }
        let request = DeployRequest(
            documents: documents, isDryRun: isDryRun, waits: self.context.arguments.has("--wait"))
        try self.show(try self.deploy(request, client), isDryRun)
    }

    private func send(_ bundle: Bundler.Bundle, _ client: APIClient) throws(ApusError) {
        let headers = [("Content-Type", "application/x-tar"), ("Apus-Bundle", bundle.hash)]
        let response = try client.call(
            APIRequest(.post, client.path("bundles"), headers: headers, body: bundle.archive))
        self.context.note("bundle \(bundle.hash.prefix(12)) \(response.status == 201 ? "sent" : "is there already")")
    }

    /// - Returns: the result, the answer's last line.
    private func deploy(_ request: DeployRequest, _ client: APIClient) throws -> JSONValue {
        var result: JSONValue?
        let context = self.context
        try JSONLines.read(client, APIRequest(.post, client.path("deployments"), json: request.json)) { line in
            if let error = line["error"] {
                let code = error["code"]?.string ?? ""
                throw ApusError(
                    ErrorCode(rawValue: code) ?? .internal, error["message"]?.string ?? "the deploy failed (\(code))")
            }
            if let value = line["result"] {
                result = value
            } else if let message = line["message"]?.string {
                context.note(line["stage"]?.string.map { "\($0): \(message)" } ?? message)
            }
        }
        guard let result else {
            throw ApusError(
                .serverUnreachable,
                "\(client.server) broke off before the deploy ended; 'apus get functions' says what is deployed")
        }
        return result
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
