public import ApusCore
internal import ApusJSON
public import ApusManifest

/// A revision of a function that can be returned to: everything that made it.
public struct KeptRevision: Sendable, Equatable {
    public var revision: String
    /// The function's generation that deployed it last.
    public var generation: UInt64
    public var bundle: String
    public var layer: String?
    /// The manifest's canonical JSON, as text: few are ever read.
    public var manifest: String
    public var deployed: Timestamp
}

extension KeptRevision {
    /// The newest of a function, which runs.
    init(_ function: Catalogue.Function) {
        let json = Manifest.function(function.manifest).toJSON()
        self.init(
            revision: function.revision, generation: function.generation, bundle: function.bundle,
            layer: function.layer,
            manifest: String(decoding: json.encoded(), as: UTF8.self), deployed: function.updated)
    }

    /// The manifest.
    var json: JSONValue {
        do throws(ApusError) { return try JSONValue.parse(Array(self.manifest.utf8)) } catch {
            // It was encoded from a value, by this code or by what wrote the record.
            preconditionFailure("the manifest of a revision is not JSON: \(error)")
        }
    }

    /// The name of its control record.
    func recordName(of function: String) -> String { "\(function)/\(self.revision)" }

    /// The function and the revision that a control record's name says.
    static func parse(recordName: String, _ namespace: Namespace) -> (function: ResourceName, revision: String)? {
        let parts = recordName.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 2, !parts[1].isEmpty, let function = ResourceName(namespace, parts[0]) else { return nil }
        return (function, parts[1])
    }
}

extension Catalogue {
    /// The revisions that a function can return to, the newest first, which is the one that runs.
    public func revisions(of name: ResourceName) -> [KeptRevision] {
        guard let function = self.functions[name] else { return [] }
        let older = (self.kept[name] ?? []).filter { $0.revision != function.revision }
        return [KeptRevision(function)] + older.sorted { $0.generation > $1.generation }
    }

    /// The revision that somebody means.
    /// - Parameter text: the start of its name; nil for the one before.
    /// - Throws: `function_not_found`, `revision_not_found`, `invalid_argument` when several begin so.
    public func revision(_ text: String?, of name: ResourceName) throws(ApusError) -> KeptRevision {
        let all = self.revisions(of: name)
        guard !all.isEmpty else {
            throw ApusError(
                .functionNotFound, "there is no function '\(name)'; 'apus get functions' lists those that are")
        }
        guard let text else {
            guard all.count > 1 else {
                throw ApusError(.revisionNotFound, "the function '\(name)' has no earlier revision that is kept")
            }
            return all[1]
        }
        let found = text.isEmpty ? [] : all.filter { $0.revision.hasPrefix(text) }
        guard let first = found.first else {
            throw ApusError(
                .revisionNotFound,
                "no revision of '\(name)' that is kept begins with '\(text.prefix(64))': see `apus get revisions \(name.name)`"
            )
        }
        guard found.count == 1 else {
            throw ApusError(
                .invalidArgument, "\(found.count) revisions of '\(name)' begin with '\(text)': give more of the name")
        }
        return first
    }

    /// The bundles that what is deployed, or can be returned to, needs.
    public var bundlesInUse: Set<String> {
        Set(self.functions.values.map(\.bundle) + self.kept.values.joined().map(\.bundle))
    }

    /// The dependency layers that what is deployed, or can be returned to, needs.
    public var layersInUse: Set<String> {
        Set(self.functions.values.compactMap(\.layer) + self.kept.values.joined().compactMap(\.layer))
    }

    /// What a dependency layer that is in use was built of; nil when nothing that is kept needs it.
    public func source(ofLayer layer: String) -> LayerSource? {
        if let function = self.functions.values.first(where: { $0.layer == layer }) {
            return LayerSource(function: function.manifest, bundle: function.bundle)
        }
        for (name, revisions) in self.kept {
            guard let kept = revisions.first(where: { $0.layer == layer }),
                case .function(let function) = try? Manifest(json: kept.json, namespace: name.namespace)
            else { continue }
            return LayerSource(function: function, bundle: kept.bundle)
        }
        return nil
    }
}

/// What a dependency layer is built of.
public struct LayerSource: Sendable {
    public var function: FunctionManifest
    public var bundle: String
}
