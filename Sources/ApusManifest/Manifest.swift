public import ApusCore
public import ApusJSON

/// A document of a manifest file that has effect: a function, a topic, a tool server, an upstream or an agent.
public enum Manifest: Sendable, Equatable {
    case function(FunctionManifest)
    case topic(TopicManifest)
    case toolServer(ToolServerManifest)
    case upstream(UpstreamManifest)
    case agent(AgentManifest)

    public enum Kind: String, Sendable, Hashable, CaseIterable {
        case function = "Function"
        case topic = "Topic"
        case toolServer = "ToolServer"
        case upstream = "Upstream"
        case agent = "Agent"
    }

    /// What names a resource: its kind, its namespace and its name there. `Function/default/embed-text` is its key on
    /// `apus.control`.
    public struct Identity: Sendable, Hashable, CustomStringConvertible {
        public let kind: Kind
        public let namespace: Namespace
        public let name: String

        public init(kind: Kind, namespace: Namespace, name: String) {
            self.kind = kind
            self.namespace = namespace
            self.name = name
        }

        public var description: String { "\(self.kind.rawValue)/\(self.namespace)/\(self.name)" }
    }

    public var identity: Identity {
        switch self {
        case .function(let function): Identity(kind: .function, namespace: function.namespace, name: function.name.name)
        case .topic(let topic): Identity(kind: .topic, namespace: topic.namespace, name: topic.name)
        case .toolServer(let server):
            Identity(kind: .toolServer, namespace: server.namespace, name: server.name.name)
        case .upstream(let upstream):
            Identity(kind: .upstream, namespace: upstream.namespace, name: upstream.name.name)
        case .agent(let agent): Identity(kind: .agent, namespace: agent.namespace, name: agent.name.name)
        }
    }

    public var kind: Kind { self.identity.kind }
    public var namespace: Namespace { self.identity.namespace }
    public var name: String { self.identity.name }

    /// Where the fields stand in the file.
    public var locations: SourceLocations {
        switch self {
        case .function(let function): function.locations
        case .topic(let topic): topic.locations
        case .toolServer(let server): server.locations
        case .upstream(let upstream): upstream.locations
        case .agent(let agent): agent.locations
        }
    }

    /// Reads all documents of a file.
    /// - Parameters:
    ///   - file: the name that errors begin with.
    ///   - namespace: for documents that name none.
    /// - Throws: everything that is wrong with the file, each with its place.
    public static func parse(_ text: [UInt8], file: String, namespace: Namespace = .default) throws(ManifestErrors)
        -> [Manifest]
    {
        let source = SourceText(file: file, bytes: text)
        let (documents, problems) = YAMLReader.read(source)
        var errors = problems
        var manifests: [Manifest] = []
        for document in documents {
            var checker = DocumentChecker(namespace: namespace)
            if let manifest = checker.document(document) { manifests.append(manifest) }
            errors += checker.errors
        }
        if documents.isEmpty, problems.isEmpty {
            errors.append(
                ManifestError(
                    .manifestInvalid, source.start,
                    "there is no document, expected a Function, a Topic, a ToolServer, an Upstream or an Agent"
                ))
        }
        errors += Self.repetitions(manifests)
        guard errors.isEmpty else { throw ManifestErrors(errors) }
        return manifests
    }

    /// Reads all documents of a file.
    /// - Throws: everything that is wrong with the file, each with its place.
    public static func parse(_ text: String, file: String, namespace: Namespace = .default) throws(ManifestErrors)
        -> [Manifest]
    {
        try Manifest.parse(Array(text.utf8), file: file, namespace: namespace)
    }

    /// The manifest of a document that came as JSON: of the API, of `apus.control`.
    /// - Throws: everything that is wrong with it, each with the path of its field.
    public init(json: JSONValue, namespace: Namespace = .default) throws(ManifestErrors) {
        var checker = DocumentChecker(namespace: namespace)
        let manifest = checker.document(YAMLNode(json: json))
        guard checker.errors.isEmpty, let manifest else { throw ManifestErrors(checker.errors) }
        self = manifest
    }

    /// Checks that no two manifests, of one file or of several, describe the same thing.
    /// - Throws: an error at the second of each.
    public static func checkDistinct(_ manifests: [Manifest]) throws(ManifestErrors) {
        let errors = Self.repetitions(manifests)
        guard errors.isEmpty else { throw ManifestErrors(errors) }
    }

    private static func repetitions(_ manifests: [Manifest]) -> [ManifestError] {
        var first: [Identity: Manifest] = [:]
        var errors: [ManifestError] = []
        for manifest in manifests {
            guard let other = first[manifest.identity] else {
                first[manifest.identity] = manifest
                continue
            }
            let place = other.locations["metadata.name"].map { " (\($0))" } ?? ""
            errors.append(
                ManifestError(
                    .manifestInvalid, manifest.locations["metadata.name"],
                    "\(manifest.kind.rawValue) `\(manifest.name)` is there already\(place), expected it once"))
        }
        return errors
    }
}
