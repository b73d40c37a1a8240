internal import ApusCore
internal import ApusJSON
internal import ApusManifest
internal import ApusStore

/// One deployment from this machine: reads manifests, packs and sends sources, asks the server, tells how it goes.
struct Deployment {
    let context: CommandContext
    var isDryRun = false
    /// Until a worker of each function is ready.
    var waits = false
    /// Run the `build` of manifests; a dry run never does.
    var builds = true
    /// Signs what tools say.
    var signer: ToolSigner?
    /// Says nothing but errors.
    var isQuiet = false

    /// - Returns: the server's result: what became of each document.
    func run(_ paths: [String]) throws -> JSONValue {
        let found = try ManifestFiles(namespace: try self.context.namespace()).read(paths)
        var documents: [DeployRequest.Document] = []
        var bundles: [Bundler.Bundle] = []
        for item in found {
            for warning in item.manifest.warnings { self.note("warning: \(warning)") }
            guard case .function(let function) = item.manifest else {
                documents.append(.init(manifest: item.manifest))
                continue
            }
            let step = BuildStep(function: function, folder: item.folder, source: item.source(of: function))
            if self.builds, !self.isDryRun { try step.run(self.note) }
            try step.checkProgram()
            let bundle = try Bundler().bundle(step.source, program: step.program)
            self.note(
                "packed \(function.name): \(bundle.files) files, \(bundle.archive.count) bytes, \(bundle.hash.prefix(12))"
            )
            bundles.append(bundle)
            let manifest = try self.signer.map { Manifest.function(try $0.signed(function)) } ?? item.manifest
            documents.append(.init(manifest: manifest, bundle: bundle.hash))
        }
        let client = try self.context.client()
        var sent: Set<String> = []
        if !self.isDryRun {
            for bundle in bundles where sent.insert(bundle.hash).inserted { try self.send(bundle, client) }
        }
        return try self.deploy(
            DeployRequest(documents: documents, isDryRun: self.isDryRun, waits: self.waits), client)
    }

    private func note(_ text: String) { if !self.isQuiet { self.context.note(text) } }

    private func send(_ bundle: Bundler.Bundle, _ client: APIClient) throws(ApusError) {
        let headers = [("Content-Type", "application/x-tar"), ("Apus-Bundle", bundle.hash)]
        let response = try client.call(
            APIRequest(.post, client.path("bundles"), headers: headers, body: bundle.archive))
        self.note("bundle \(bundle.hash.prefix(12)) \(response.status == 201 ? "sent" : "is there already")")
    }

    /// - Returns: the result, the answer's last line.
    private func deploy(_ request: DeployRequest, _ client: APIClient) throws -> JSONValue {
        var result: JSONValue?
        try JSONLines.read(client, APIRequest(.post, client.path("deployments"), json: request.json)) { line in
            if let error = line["error"] {
                let code = error["code"]?.string ?? ""
                throw ApusError(
                    ErrorCode(rawValue: code) ?? .internal, error["message"]?.string ?? "the deploy failed (\(code))")
            }
            if let value = line["result"] {
                result = value
            } else if let message = line["message"]?.string {
                self.note(line["stage"]?.string.map { "\($0): \(message)" } ?? message)
            }
        }
        guard let result else {
            throw ApusError(
                .serverUnreachable,
                "\(client.server) broke off before the deploy ended; 'apus get functions' says what is deployed")
        }
        return result
    }
}
