internal import ApusCore
internal import ApusJSON

/// Makes a manifest of a document: checks it against its shape, then what several fields say together.
struct DocumentChecker {
    var checker = ShapeChecker()
    private let fallback: Namespace
    /// The document that is checked.
    private(set) var node = YAMLNode(.null, location: nil)

    init(namespace: Namespace) { self.fallback = namespace }

    var errors: [ManifestError] { self.checker.errors }

    /// - Returns: nil when something is wrong; then the errors say what.
    mutating func document(_ node: YAMLNode) -> Manifest? {
        self.node = node
        guard let kind = self.kind(node) else { return nil }
        guard let checked = self.checker.check(node, .object(kind.shape), "") else { return nil }
        let manifest: Manifest?
        switch kind {
        case .function: manifest = self.function(checked).map { .function($0) }
        case .topic: manifest = self.topic(checked).map { .topic($0) }
        case .toolServer: manifest = self.toolServer(checked).map { .toolServer($0) }
        case .upstream: manifest = self.upstream(checked).map { .upstream($0) }
        case .agent: manifest = self.agent(checked).map { .agent($0) }
        }
        return self.errors.isEmpty ? manifest : nil
    }

    /// The kind decides about everything else, so that it is read first.
    private mutating func kind(_ node: YAMLNode) -> DocumentKind? {
        guard case .mapping(let entries) = node.content else {
            self.checker.fail(
                node.location,
                "the document is \(node.found), expected a mapping with apiVersion, kind, metadata and spec")
            return nil
        }
        let names = DocumentKind.allCases.map(\.rawValue)
        guard let value = entries.first(where: { $0.key == "kind" })?.value, !value.isNull else {
            self.checker.fail(node.location, "`kind` is missing, expected one of \(names.joined(separator: ", "))")
            return nil
        }
        guard case .string(let text) = value.content, let kind = DocumentKind(rawValue: text) else {
            let hint = Suggestion.hint(for: value.text, among: names)
            self.checker.fail(
                value.location, "`kind` is \(value.found), expected one of \(names.joined(separator: ", "))\(hint)")
            return nil
        }
        return kind
    }

    func namespace(_ document: Checked) -> Namespace {
        document["metadata"]?["namespace"]?.text.flatMap { Namespace($0) } ?? self.fallback
    }

    /// A topic of the document's namespace, by the name a field gives it.
    mutating func topicName(_ field: Checked?, _ namespace: Namespace) -> TopicName? {
        guard let field, let name = field.text else { return nil }
        guard let topic = TopicName(namespace, name) else {
            let room = Limits.topicNameBytes - "ns.\(namespace.name).".utf8.count
            self.checker.fail(
                field.location,
                "`\(field.path)` is too long, expected at most \(room) bytes in the namespace \(namespace)")
            return nil
        }
        return topic
    }

    // MARK: topics

    private mutating func topic(_ document: Checked) -> TopicManifest? {
        let namespace = self.namespace(document)
        let name = document["metadata"]?["name"]
        let spec = document["spec"]
        let isCompacted = spec?["compact"]?.boolean ?? false
        let time = spec?["retention"]?["time"]
        let size = spec?["retention"]?["size"]
        let configuration = TopicConfiguration(
            partitions: Int(spec?["partitions"]?.integer ?? 1),
            retentionTime: time == nil ? (isCompacted ? nil : TopicManifest.retentionTime) : time?.span,
            retentionBytes: size == nil ? (isCompacted ? nil : TopicManifest.retentionBytes) : size?.integer,
            isCompacted: isCompacted)
        guard let topic = self.topicName(name, namespace), let name = name?.text else { return nil }
        return TopicManifest(
            namespace: namespace, name: name, topic: topic, labels: document["metadata"]?["labels"]?.texts ?? [:],
            configuration: configuration, locations: self.checker.locations)
    }
}
