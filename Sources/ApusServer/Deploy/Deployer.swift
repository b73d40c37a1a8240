internal import ApusCore
internal import ApusLoop
internal import ApusManifest
internal import ApusStore

/// Performs deployments, one after another, on a thread of its own: checks, builds layers, writes, and waits until this server runs
/// what was deployed.
final class Deployer: Sendable {
    /// What a deployment says while it runs: a line of progress, then the end.
    enum Report: Sendable {
        case progress(stage: String, message: String)
        case done([ControlDecision.Outcome])
        case failed(ApusError)
    }

    struct Order: Sendable {
        var request: DeployRequest
        var ifMatch: UInt64?
    }

    private let thread = WorkThread(queueMax: Limits.Server.waitingDeployments)
    private let bundles: BundleStore
    private let layers: LayerBuilds
    private let control: Control
    /// Starts the function once and tells how that went.
    private let probe: @Sendable (ResourceName) -> ApusError?

    init(bundles: BundleStore, layers: LayerBuilds, control: Control, probe: @escaping @Sendable (ResourceName) -> ApusError?) {
        self.bundles = bundles
        self.layers = layers
        self.control = control
        self.probe = probe
    }

    /// Queues a deployment. `report` is called on the deployer's thread; the last call is `done` or `failed`.
    func deploy(_ order: Order, _ report: @escaping @Sendable (Report) -> Void) {
        let isQueued = self.thread.run {
            do throws(ApusError) { report(.done(try self.perform(order, report))) } catch { report(.failed(error)) }
        }
        if !isQueued { report(.failed(ApusError(.overloaded, "too many deployments wait: try again later"))) }
    }

    private func perform(_ order: Order, _ report: (Report) -> Void) throws(ApusError) -> [ControlDecision.Outcome] {
        let request = order.request
        report(.progress(stage: "checking", message: "\(request.documents.count) documents"))
        var documents: [DeployDocument] = []
        for document in request.documents {
            guard case .function(let function) = document.manifest else {
                documents.append(DeployDocument(manifest: document.manifest))
                continue
            }
            // What would happen can be told without the bundle.
            let bundle = request.isDryRun ? document.bundle : try self.bundle(of: function, document.bundle)
            documents.append(DeployDocument(manifest: document.manifest, bundle: bundle))
        }
        // Everything that needs no build is checked before minutes are spent on one. The layer is not known yet; it decides nothing.
        let preview = try self.control.perform(.deploy(documents, ifMatch: order.ifMatch, isDryRun: true)).get()
        if request.isDryRun { return preview }
        for index in documents.indices {
            guard case .function(let function) = documents[index].manifest, let dependencies = function.dependencies,
                let bundle = documents[index].bundle
            else { continue }
            documents[index].layer = try self.layers.layer(for: function, dependencies, bundle: bundle) {
                report(.progress(stage: "building", message: $0))
            }
        }
        let outcomes = try self.control.perform(.deploy(documents, ifMatch: order.ifMatch, isDryRun: false)).get()
        if request.waits { try self.wait(for: documents, report) }
        return outcomes
    }

    private func bundle(of function: FunctionManifest, _ hash: String?) throws(ApusError) -> String {
        guard let hash else {
            throw ApusError(.bundleNotFound, "\(function.name): no bundle was named: upload it to /v1/bundles and name its hash in `bundle`")
        }
        guard self.bundles.contains(hash) else {
            throw ApusError(.bundleNotFound, "\(function.name): the server has no bundle \(hash): upload it to /v1/bundles first")
        }
        return hash
    }

    private func wait(for documents: [DeployDocument], _ report: (Report) -> Void) throws(ApusError) {
        for document in documents {
            guard case .function(let function) = document.manifest else { continue }
            report(.progress(stage: "starting", message: "\(function.name)"))
            if let failure = self.probe(function.name) { throw failure }
        }
    }

    func stop() {
        self.layers.stop()
        self.thread.stop()
    }
}
