internal import ApusCore
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry
internal import Glibc
internal import Synchronization

/// What a worker needs on this machine before it starts: its bundle, fetched where servers share a log, and its dependency layer,
/// built where it is missing.
///
/// Each is brought once, however many wait for it.
final class FunctionFiles: Sendable {
    /// Calls its completion once.
    typealias Build =
        @Sendable (LayerSource, _ layer: String, _ completion: @escaping @Sendable (ApusError?) -> Void) -> Void
    typealias Completion = @Sendable (ApusError?) -> Void

    private struct Need: Hashable {
        var bundle: String
        var layer: String
        var weights: String
    }

    private struct Layers: Sendable {
        var source: @Sendable (String) -> LayerSource?
        var build: Build
    }

    private let dataDirectory: String
    /// Nil where the log belongs to this server alone: what is not here is nowhere.
    private let topic: BundleTopic?
    private let waiting = Mutex<[Need: [Completion]]>([:])
    private let layers = Mutex<Layers?>(nil)
    private let weights: WeightStore?
    /// What a set of weights is made of.
    private let sets = Mutex<(@Sendable (String) -> WeightSet?)?>(nil)

    init(dataDirectory: String, topic: BundleTopic?, weights: WeightStore? = nil) {
        self.dataDirectory = dataDirectory
        self.weights = weights
        self.topic = topic
    }

    /// How layers are made; before any worker starts.
    /// - Parameters:
    ///   - source: what a layer of what is deployed is built of.
    ///   - sets: what a set of weights of what is deployed is made of.
    func bind(
        source: @escaping @Sendable (String) -> LayerSource?,
        sets: @escaping @Sendable (String) -> WeightSet? = { _ in nil },
        build: @escaping Build
    ) {
        self.sets.withLock { $0 = sets }
        self.layers.withLock { $0 = Layers(source: source, build: build) }
    }

    /// Three questions at most to the file system, that it answers from memory.
    func areThere(bundle: String, layer: String, weights: String = "") -> Bool {
        self.hasBundle(bundle) && self.hasLayer(layer) && (weights.isEmpty || self.weights?.folder.isThere(set: weights) ?? false)
    }

    private func hasBundle(_ bundle: String) -> Bool { access("\(self.dataDirectory)/bundles/\(bundle)", F_OK) == 0 }
    private func hasLayer(_ layer: String) -> Bool {
        layer.isEmpty || access("\(self.dataDirectory)/layers/\(layer)", F_OK) == 0
    }

    /// Brings what is missing. From any thread; never blocks.
    /// - Parameter completion: called once, on whichever thread knows the end.
    func bring(bundle: String, layer: String, weights: String = "", _ completion: @escaping Completion) {
        let need = Need(bundle: bundle, layer: layer, weights: weights)
        enum Place { case first, later, none }
        let place = self.waiting.withLock { waiting -> Place in
            guard let others = waiting[need] else {
                guard waiting.count < Limits.Server.waitingBundles else { return .none }
                waiting[need] = [completion]
                return .first
            }
            guard others.count < Limits.Server.waitingForFiles else { return .none }
            waiting[need]?.append(completion)
            return .later
        }
        switch place {
        case .later: break
        case .none:
            completion(ApusError(.overloaded, "too much waits for the files of functions: try again in a moment"))
        case .first: self.bringBundle(need)
        }
    }

    /// Brings what a function will need before anything waits for it. What cannot be brought now is tried again by its first worker.
    func prepare(_ function: Catalogue.Function, _ journal: Log) {
        let (name, layer) = (function.name, function.layer ?? "")
        guard !self.areThere(bundle: function.bundle, layer: layer) else { return }
        self.bring(bundle: function.bundle, layer: layer) { error in
            guard let error else { return journal.info("the files of \(name) were fetched") }
            journal.warning("the files of \(name) cannot be fetched: \(error.message)", ["code": error.code.rawValue])
        }
    }

    private func bringBundle(_ need: Need) {
        if self.hasBundle(need.bundle) { return self.bringLayer(need) }
        guard let topic = self.topic else {
            return self.finish(
                need,
                ApusError(
                    .bundleNotFound,
                    "the bundle \(need.bundle) is no longer in the data directory: deploy the function's source again"))
        }
        topic.bring(need.bundle) { error in
            if let error { self.finish(need, error) } else { self.bringLayer(need) }
        }
    }

    private func bringLayer(_ need: Need) {
        if self.hasLayer(need.layer) { return self.bringWeights(need) }
        let layers = self.layers.withLock { $0 }
        guard let layers, let source = layers.source(need.layer) else {
            return self.finish(
                need,
                ApusError(
                    .bundleNotFound,
                    "the dependencies \(need.layer) are no longer in the data directory: deploy the function's source again"
                ))
        }
        layers.build(source, need.layer) { error in
            if let error { self.finish(need, error) } else { self.bringWeights(need) }
        }
    }

    private func bringWeights(_ need: Need) {
        guard !need.weights.isEmpty else { return self.finish(need, nil) }
        guard let store = self.weights, let set = self.sets.withLock({ $0 })?(need.weights) else {
            return self.finish(
                need, ApusError(.weightsUnavailable, "no function that is deployed names the weights \(need.weights)"))
        }
        store.bring(set) { self.finish(need, $0) }
    }

    private func finish(_ need: Need, _ error: ApusError?) {
        let completions = self.waiting.withLock { $0.removeValue(forKey: need) ?? [] }
        for completion in completions { completion(error) }
    }
}
