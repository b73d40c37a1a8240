internal import ApusCore
internal import ApusCrypto
public import ApusManifest

/// The files of weights of one revision: what lies at `/weights` for its workers.
public struct WeightSet: Sendable, Hashable {
    /// What the set is called: the same names with the same contents are one, whoever names them.
    public let key: String
    public let files: [FunctionManifest.Weights]
    /// Where those with a `file` are.
    public let bundle: String

    /// - Returns: nil for a function without weights.
    public init?(_ manifest: FunctionManifest, bundle: String) {
        guard !manifest.weights.isEmpty else { return nil }
        self.files = manifest.weights
        self.bundle = bundle
        let lines = manifest.weights.map { "\($0.sha256) \($0.name)\n" }.sorted()
        self.key = Hex.encode(SHA256.hash(Array(lines.joined().utf8)))
    }
}

extension Catalogue {
    /// The weights that what is deployed names, by their hashes. What can only be returned to is fetched again then.
    public var weightsInUse: Set<String> {
        Set(self.functions.values.flatMap { $0.manifest.weights.map(\.sha256) })
    }

    public var weightSetsInUse: Set<String> { Set(self.functions.values.compactMap { $0.weights?.key }) }

    /// What a set that workers are about to be given is made of.
    public func weights(ofSet key: String) -> WeightSet? {
        for function in self.functions.values { if let set = function.weights, set.key == key { return set } }
        return nil
    }
}

extension Catalogue.Function {
    public var weights: WeightSet? { WeightSet(self.manifest, bundle: self.bundle) }
}
