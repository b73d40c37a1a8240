public import ApusCore
public import ApusJSON
public import ApusManifest

/// The body of `POST /v1/deployments`, as the command line writes it and the server reads it.
///
///     {"documents": [{"manifest": {…}, "bundle": "<content hash>"}, …], "dryRun": false, "wait": false}
///
/// Functions name their bundle, which was sent to `/v1/bundles` before; topics have none.
public struct DeployRequest: Sendable, Equatable {
    public struct Document: Sendable, Equatable {
        public var manifest: Manifest
        public var bundle: String?

        public init(manifest: Manifest, bundle: String? = nil) {
            self.manifest = manifest
            self.bundle = bundle
        }
    }

    public var documents: [Document]
    /// Decide and answer, write nothing.
    public var isDryRun: Bool
    /// Answer once a worker of each function has loaded its handler, or could not.
    public var waits: Bool

    public init(documents: [Document], isDryRun: Bool = false, waits: Bool = false) {
        self.documents = documents
        self.isDryRun = isDryRun
        self.waits = waits
    }

    public var json: JSONValue {
        let documents = self.documents.map { document -> JSONValue in
            var json: JSONValue = ["manifest": document.manifest.toJSON()]
            if let bundle = document.bundle { json["bundle"] = .string(bundle) }
            return json
        }
        return ["documents": .array(documents), "dryRun": .boolean(self.isDryRun), "wait": .boolean(self.waits)]
    }

    /// - Parameter namespace: for manifests that name none; others must name this one when `isBound`.
    /// - Throws: `invalid_json`, `manifest_invalid` with everything that is wrong, a line each.
    public init(parsing body: [UInt8], namespace: Namespace, isBound: Bool) throws(ApusError) {
        let json = try JSONValue.parse(body)
        guard let list = json["documents"]?.array, (1...Limits.Control.documentsPerDeploy).contains(list.count) else {
            throw ApusError(
                .manifestInvalid,
                "`documents` is missing: expected a list of 1 to \(Limits.Control.documentsPerDeploy) manifests"
            )
        }
        for member in json.object?.names ?? [] where !["documents", "dryRun", "wait"].contains(member) {
            throw ApusError(.manifestInvalid, "a deploy knows no `\(member)`; expected `documents`, `dryRun`, `wait`")
        }
        var problems: [String] = []
        var documents: [Document] = []
        for (index, element) in list.enumerated() {
            guard let source = element["manifest"] else {
                problems.append("documents[\(index)]: `manifest` is missing")
                continue
            }
            do throws(ManifestErrors) {
                let manifest = try Manifest(json: source, namespace: namespace)
                if isBound, manifest.namespace != namespace {
                    problems.append(
                        "documents[\(index)]: `\(manifest.name)` is in the namespace `\(manifest.namespace)`, expected `\(namespace)`"
                    )
                }
                documents.append(Document(manifest: manifest, bundle: element["bundle"]?.string))
            } catch {
                problems += error.errors.map { "documents[\(index)]: \($0)" }
            }
        }
        guard problems.isEmpty else { throw ApusError(.manifestInvalid, problems.joined(separator: "\n")) }
        self.init(
            documents: documents, isDryRun: json["dryRun"]?.boolean ?? false, waits: json["wait"]?.boolean ?? false)
    }
}

extension ControlDecision.Outcome {
    /// As answers list it.
    public var json: JSONValue {
        var json: JSONValue = [
            "kind": .string(self.kind.rawValue), "namespace": .string(self.namespace.name), "name": .string(self.name),
            "action": .string(self.action.rawValue), "generation": .number(self.generation),
        ]
        if let revision = self.revision { json["revision"] = .string(revision) }
        return json
    }
}
