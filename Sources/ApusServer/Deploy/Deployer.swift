internal import ApusCore
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import Synchronization

/// Where a deployment gets the dependency layers of its functions from.
protocol LayerBuilding: Sendable {
    /// The key of the function's layer, built when it is not there yet; blocks until then.
    func layer(
        for function: FunctionManifest, _ dependencies: FunctionManifest.Dependencies, bundle: String,
        progress: (String) -> Void
    ) throws(ApusError) -> String
    /// Builds the layer under a key that was given to it before, here or on another server, unless it is there; blocks until then.
    func build(
        _ key: String, for function: FunctionManifest, _ dependencies: FunctionManifest.Dependencies, bundle: String,
        progress: (String) -> Void
    ) throws(ApusError)
    /// Makes the call under way, and every later one, end soon with `shutting_down`.
    func abandon()
    /// Lets go of everything. After ``abandon()``, when no call is under way.
    func stop()
}

/// Performs deployments, one after another, on a thread of its own: checks, builds layers, writes, and waits until this server runs
/// what was deployed.
final class Deployer: Sendable {
    /// What a deployment says while it runs: a line of progress, then the end.
    enum Report: Sendable {
        case progress(stage: String, message: String)
        case done(Control.Done)
        case failed(ApusError)
    }

    struct Order: Sendable {
        var request: DeployRequest
        var ifMatch: UInt64?
        /// Who deploys.
        var principal = "server"
    }

    private let thread = WorkThread(queueMax: Limits.Server.waitingDeployments)
    private let bundles: BundleStore
    /// Where servers share a log.
    private let topic: BundleTopic?
    private let layers: any LayerBuilding
    private let control: Control
    private let hooks: Hooks
    private let usage: FolderUsage
    private let isStopping = Atomic(false)
    private let waiting = Atomic(0)

    /// What a deployment waits for once it is written. Each calls its completion exactly once, within a bound.
    struct Hooks: Sendable {
        /// Starts a function once and tells how that went.
        var probe: @Sendable (ResourceName, _ completion: @escaping @Sendable (ApusError?) -> Void) -> Void
        /// Waits until queries show the record.
        var whenPassed: @Sendable (RecordPlace, _ completion: @escaping @Sendable (ApusError?) -> Void) -> Void
        /// Those that schedules may name.
        var zones = TimeZones()
        /// Layers of isolation that functions do without on this host.
        var missingLayers: [String] = []
        /// Whether the event log remembers keys, which `dedup` needs.
        var remembersKeys = true
    }

    init(
        bundles: BundleStore, topic: BundleTopic? = nil, layers: any LayerBuilding, control: Control,
        usage: FolderUsage = FolderUsage(), hooks: Hooks
    ) {
        self.topic = topic
        self.usage = usage
        self.bundles = bundles
        self.layers = layers
        self.control = control
        self.hooks = hooks
    }

    /// Queues a deployment. `report` is called on the deployer's thread; the last call is `done` or `failed`.
    func deploy(_ order: Order, _ report: @escaping @Sendable (Report) -> Void) {
        self.waiting.add(1, ordering: .relaxed)
        let isQueued = self.thread.run {
            self.waiting.subtract(1, ordering: .relaxed)
            do throws(ApusError) { report(.done(try self.perform(order, report))) } catch { report(.failed(error)) }
        }
        guard !isQueued else { return }
        self.waiting.subtract(1, ordering: .relaxed)
        let isStopping = self.isStopping.load(ordering: .acquiring)
        report(
            .failed(isStopping ? Self.stopping : ApusError(.overloaded, "too many deployments wait: try again later")))
    }

    /// Deployments that wait for the one under way.
    var waitingCount: Int { self.waiting.load(ordering: .relaxed) }

    private static let stopping = ApusError(.shuttingDown, "the server is stopping: deploy again when it is back")

    private func checkRunning() throws(ApusError) {
        if self.isStopping.load(ordering: .acquiring) { throw Self.stopping }
    }

    /// A function that demands every layer is told at its deploy, not at its first event.
    private func checkIsolation(of function: FunctionManifest) throws(ApusError) {
        guard function.isolation == .hostile, !self.hooks.missingLayers.isEmpty else { return }
        throw ApusError(
            .sandboxUnavailable,
            "the function '\(function.name)' demands `isolation: hostile`, and this host cannot give "
                + "\(self.hooks.missingLayers.joined(separator: ", ")): see `apus doctor`")
    }

    private func checkDedup(of function: FunctionManifest) throws(ApusError) {
        guard !self.hooks.remembersKeys, let trigger = function.triggers.first(where: { $0.dedupWindow != nil }) else {
            return
        }
        throw ApusError(
            .notYetSupported,
            "`dedup` of the trigger '\(trigger.name)' of '\(function.name)' is not yet supported on Kafka: leave it out"
        )
    }

    private func perform(_ order: Order, _ report: (Report) -> Void) throws(ApusError) -> Control.Done {
        try self.checkRunning()
        let request = order.request
        // From before they are looked for until a record names them: no sweep takes them in between.
        let empty = try Self.empty().hash
        let named = request.documents.compactMap(\.bundle) + [empty]
        self.usage.deploymentBegins(bundles: named)
        defer { self.usage.deploymentEnds(bundles: named) }
        report(.progress(stage: "checking", message: "\(request.documents.count) documents"))
        var documents: [DeployDocument] = []
        for document in request.documents {
            if case .upstream(let upstream) = document.manifest, upstream.ownFunction != nil {
                documents.append(DeployDocument(manifest: document.manifest, bundle: try self.emptyBundle()))
                continue
            }
            guard case .function(let function) = document.manifest else {
                documents.append(DeployDocument(manifest: document.manifest))
                continue
            }
            try self.hooks.zones.check(function)
            try self.checkIsolation(of: function)
            try self.checkDedup(of: function)
            // What would happen can be told without the bundle.
            let bundle = request.isDryRun ? document.bundle : try self.bundle(of: function, document.bundle)
            documents.append(DeployDocument(manifest: document.manifest, bundle: bundle))
        }
        // Everything that needs no build is checked before minutes are spent on one. The layer is not known yet; it decides nothing.
        let preview = try self.control.perform(
            .deploy(documents, ifMatch: order.ifMatch, isDryRun: true, by: order.principal)
        ).get()
        if request.isDryRun { return preview }
        for index in documents.indices {
            guard case .function(let function) = documents[index].manifest, let dependencies = function.dependencies,
                let bundle = documents[index].bundle
            else { continue }
            documents[index].layer = try self.layers.layer(for: function, dependencies, bundle: bundle) {
                report(.progress(stage: "building", message: $0))
            }
        }
        try self.checkRunning()
        try self.keepOnLog(documents)
        let done = try self.control.perform(
            .deploy(documents, ifMatch: order.ifMatch, isDryRun: false, by: order.principal)
        ).get()
        // A sweep of another server may have begun before it could know of the record.
        try self.keepOnLog(documents)
        self.waitUntilShown(done)
        if request.waits { try self.wait(for: documents, report) }
        return done
    }

    /// It is deployed already, so that a projection which does not come along in time makes no failure of it.
    private func waitUntilShown(_ done: Control.Done) {
        guard let position = done.position else { return }
        let slot = ResultSlot<Bool>()
        self.hooks.whenPassed(position) { slot.fill($0 == nil) }
        _ = slot.take()
    }

    private func bundle(of function: FunctionManifest, _ hash: String?) throws(ApusError) -> String {
        guard let hash else {
            throw ApusError(
                .bundleNotFound,
                "\(function.name): no bundle was named: upload it to /v1/bundles and name its hash in `bundle`")
        }
        if !self.bundles.contains(hash) {
            try self.fetch(hash)
            guard self.bundles.contains(hash) else {
                throw ApusError(
                    .bundleNotFound,
                    "\(function.name): the server has no bundle \(hash): upload it to /v1/bundles first")
            }
        }
        return hash
    }

    /// What a function of the runtime's own code comes with.
    private static func empty() throws(ApusError) -> (archive: [UInt8], hash: String) {
        let archive = try Archive.encode([])
        return (archive, BundleHash.of(archive))
    }

    private func emptyBundle() throws(ApusError) -> String {
        let (archive, hash) = try Self.empty()
        _ = try self.bundles.store(archive, hash: hash)
        return hash
    }

    /// It may have been uploaded to another server.
    private func fetch(_ hash: String) throws(ApusError) {
        guard let topic = self.topic, BundleHash.isWellFormed(hash) else { return }
        let slot = ResultSlot<ApusError?>()
        topic.bring(hash) { slot.fill($0) }
        if let error = slot.take(), error.code != .bundleNotFound { throw error }
    }

    private func keepOnLog(_ documents: [DeployDocument]) throws(ApusError) {
        guard let topic = self.topic else { return }
        for bundle in documents.compactMap(\.bundle) { try topic.keep(bundle) }
    }

    /// Builds the layer of a function that is deployed, where this server does not have it. After the deployments that wait.
    func rebuild(
        _ source: LayerSource, layer: String, _ completion: @escaping @Sendable (ApusError?) -> Void
    ) {
        guard let dependencies = source.function.dependencies else {
            return completion(ApusError(.internal, "\(source.function.name) has a layer and no dependencies"))
        }
        let isQueued = self.thread.run {
            do throws(ApusError) {
                try self.checkRunning()
                try self.layers.build(layer, for: source.function, dependencies, bundle: source.bundle) { _ in }
                completion(nil)
            } catch { completion(error) }
        }
        if !isQueued { completion(ApusError(.overloaded, "too many deployments wait: try again later")) }
    }

    private func wait(for documents: [DeployDocument], _ report: (Report) -> Void) throws(ApusError) {
        // All start at once, so that one deadline bounds the wait for all of them.
        var starts: [ResultSlot<ApusError?>] = []
        for document in documents {
            guard case .function(let function) = document.manifest else { continue }
            report(.progress(stage: "starting", message: "\(function.name)"))
            let slot = ResultSlot<ApusError?>()
            self.hooks.probe(function.name) { slot.fill($0) }
            starts.append(slot)
        }
        // One that is paused is deployed as it should be.
        for slot in starts { if let failure = slot.take(), failure.code != .functionPaused { throw failure } }
    }

    /// Gives up the build under way, answers what waits with `shutting_down`, ends.
    func stop() {
        self.isStopping.store(true, ordering: .releasing)
        self.layers.abandon()
        self.thread.stop()
        self.layers.stop()
    }
}
