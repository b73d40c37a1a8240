internal import ApusCore
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTools
internal import Synchronization

/// What the tools of each namespace mean, by the function `embed-text` of that namespace where one is deployed: drives an
/// ``EmbeddingPlan`` for each. Texts of one namespace are given to no function of another.
final class ToolEmbedder: @unchecked Sendable {
    // SAFETY: `plans`, `timer` and `isClosed` are touched on the home's loop only; `published` has its lock.

    static let function = "embed-text"

    /// The tools of one namespace, and the revision of its embedder.
    struct Offer: Sendable {
        var tools: [Tool]
        var revision: String?
        /// A tool server lists nothing but the search.
        var isSearched: Bool
    }

    private let shards: [ShardRuntime]
    private var home: ShardRuntime { self.shards[0] }
    private var plans: [Namespace: EmbeddingPlan] = [:]
    private var timer: LoopTimer?
    private var restsUntil = Timestamp.distantFuture
    private var isClosed = false
    private let published = Mutex<[Namespace: ToolVectors]>([:])

    init(_ shards: [ShardRuntime]) { self.shards = shards }

    static func name(in namespace: Namespace) -> ResourceName? { ResourceName(namespace, Self.function) }

    /// Vectors of the namespace's tools; nil while there is none. From any thread.
    func vectors(of namespace: Namespace) -> ToolVectors? { self.published.withLock { $0[namespace] } }

    /// Takes what is offered now. From any thread but a loop.
    func offer(_ offers: [Namespace: Offer]) {
        self.home.loop.post {
            for (namespace, offer) in offers {
                // A namespace without an embedder that never had one costs nothing.
                guard offer.revision != nil || self.plans[namespace] != nil else { continue }
                let now = self.home.now
                var actions = self.plans[namespace, default: EmbeddingPlan()].offer(
                    offer.tools, embedder: offer.revision, now: now)
                if offer.isSearched { actions += self.plans[namespace]?.want(now: now) ?? [] }
                self.perform(actions, namespace)
            }
        }
    }

    /// Somebody searches there: from now on its tools are embedded. From any thread.
    func want(_ namespace: Namespace) {
        self.home.loop.post { self.perform(self.plans[namespace]?.want(now: self.home.now) ?? [], namespace) }
    }

    /// Nothing is embedded any more. From any thread but a loop.
    func stop() {
        self.home.loop.runAndWait {
            self.isClosed = true
            self.timer?.close()
            self.timer = nil
        }
    }

    /// After a deploy. From any thread but a loop.
    func offer(_ catalogs: [Namespace: ToolCatalog], _ catalogue: Catalogue) {
        self.offer(
            Dictionary(
                uniqueKeysWithValues: catalogs.map { namespace, catalog in
                    let function = Self.name(in: namespace).flatMap { catalogue.functions[$0] }
                    let isSearched = catalog.servers.contains { $0.mode == .search }
                    return (
                        namespace,
                        Offer(tools: catalog.allTools, revision: function?.revision, isSearched: isSearched)
                    )
                }))
    }

    private func perform(_ actions: [EmbeddingPlan.Action], _ namespace: Namespace) {
        guard !self.isClosed else { return }
        for action in actions {
            switch action {
            case .embed(let digest, let text, let round): self.embed(digest, text, round, namespace)
            case .publish:
                guard let vectors = self.plans[namespace]?.vectors else { continue }
                self.published.withLock { $0[namespace] = vectors.count == 0 ? nil : vectors }
            case .rest(let until): self.rest(until)
            }
        }
    }

    private func embed(_ digest: String, _ text: String, _ round: UInt64, _ namespace: Namespace) {
        guard let name = Self.name(in: namespace), let entry = self.home.directory[name], entry.isServedHere else {
            // On a later turn: the plan is not asked again while it decides.
            return self.home.loop.post { self.answered(digest, nil, round, namespace) }
        }
        let sink = Embedding { self.answered(digest, $0, round, namespace) }
        let id = self.home.invocationIDs.next()
        _ = ShardInvocation(
            shards: self.shards, runtime: self.home, entry: entry, id: id,
            deadline: InvocationPreferences().deadline(now: self.home.now, timeout: entry.timeout)
        ).begin(Embedding.event(text, id: id), sink: sink)
    }

    private func answered(_ digest: String, _ vector: [Float]?, _ round: UInt64, _ namespace: Namespace) {
        let actions = self.plans[namespace]?.answered(digest, vector, round: round, now: self.home.now)
        self.perform(actions ?? [], namespace)
    }

    /// One timer for all namespaces: who is not due yet rests again.
    private func rest(_ until: Timestamp) {
        let now = self.home.now
        guard self.timer == nil || until < self.restsUntil || self.restsUntil <= now else { return }
        self.restsUntil = until
        let timer =
            self.timer
            ?? LoopTimer(self.home.loop) { [weak self] in
                guard let self else { return }
                for namespace in self.plans.keys {
                    self.perform(self.plans[namespace]?.due(now: self.home.now) ?? [], namespace)
                }
            }
        self.timer = timer
        timer.start(milliseconds: UInt64(max(1, (until - now).milliseconds + 1)))
    }
}

extension FunctionDirectory.Entry {
    /// Not paused, and not run by other servers only.
    var isServedHere: Bool { !self.isPaused && !self.isElsewhere }
}
