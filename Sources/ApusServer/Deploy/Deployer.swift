internal import ApusCore
internal import ApusJSON
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
        var documents: [JSONValue]
        /// The bundle of each function, by `namespace/name`.
        var bundles: [String: String]
        var namespace: Namespace
        var ifMatch: UInt64?
        var isDryRun = false
        /// Wait until each function has started once.
        var waits = false
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
        report(.progress(stage: "checking", message: "checking \(order.documents.count) documents"))
        let manifests = try self.manifests(order)
        var documents: [DeployDocument] = []
        for manifest in manifests {
            guard case .function(let function) = manifest else {
                documents.append(DeployDocument(manifest: manifest))
                continue
            }
            documents.append(DeployDocument(manifest: manifest, bundle: try self.bundle(of: function, order)))
        }
        // Everything that needs no build is checked before minutes are spent on one. The layer is not known yet; it decides nothing.
        _ = try self.control.perform(.deploy(documents, ifMatch: order.ifMatch, isDryRun: true)).get()
        if !order.isDryRun {
            for index in documents.indices {
                guard case .function(let function) = documents[index].manifest, let dependencies = function.dependencies,
                    let bundle = documents[index].bundle
                else { continue }
                documents[index].layer = try self.layers.layer(for: function, dependencies, bundle: bundle) {
                    report(.progress(stage: "building", message: $0))
                }
            }
        }
        let outcomes = try self.control.perform(.deploy(documents, ifMatch: order.ifMatch, isDryRun: order.isDryRun)).get()
        for outcome in outcomes {
            report(.progress(stage: "deployed", message: "\(outcome.kind.rawValue) \(outcome.name) \(outcome.action.rawValue)"))
        }
        if order.waits, !order.isDryRun { try self.wait(for: manifests, report) }
        return outcomes
    }

    private func manifests(_ order: Order) throws(ApusError) -> [Manifest] {
        var manifests: [Manifest] = []
        for document in order.documents {
            do throws(ManifestErrors) { manifests.append(try Manifest(json: document, namespace: order.namespace)) } catch {
                throw error.asApusError
            }
        }
        return manifests
    }

    private func bundle(of function: FunctionManifest, _ order: Order) throws(ApusError) -> String {
        guard let hash = order.bundles["\(function.namespace)/\(function.name.name)"] else {
            throw ApusError(.bundleNotFound, "\(function.name): no bundle was named: upload it to /v1/bundles and name its hash in `bundles`")
        }
        guard self.bundles.contains(hash) else {
            throw ApusError(.bundleNotFound, "\(function.name): the server has no bundle \(hash): upload it to /v1/bundles first")
        }
        return hash
    }

    private func wait(for manifests: [Manifest], _ report: (Report) -> Void) throws(ApusError) {
        for case .function(let function) in manifests {
            report(.progress(stage: "starting", message: "starting \(function.name)"))
            if let failure = self.probe(function.name) { throw failure }
        }
    }

    func stop() {
        self.layers.stop()
        self.thread.stop()
    }
}
