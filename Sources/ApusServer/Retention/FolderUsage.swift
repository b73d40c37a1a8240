internal import Synchronization

/// Which bundles are needed although no control record names them yet, or any more: those of deployments and of a backup under way.
/// No sweep removes them.
final class FolderUsage: Sendable {
    private struct State {
        /// How many deployments under way name a bundle.
        var bundles: [String: Int] = [:]
        var deployments = 0
        /// Nil while no backup is under way.
        var backup: Set<String>?
    }

    private let state = Mutex(State())

    func deploymentBegins(bundles: [String]) {
        self.state.withLock { state in
            state.deployments += 1
            for bundle in bundles { state.bundles[bundle, default: 0] += 1 }
        }
    }

    func deploymentEnds(bundles: [String]) {
        self.state.withLock { state in
            state.deployments -= 1
            for bundle in bundles {
                let count = (state.bundles[bundle] ?? 1) - 1
                state.bundles[bundle] = count == 0 ? nil : count
            }
        }
    }

    func backupBegins(bundles: [String]) { self.state.withLock { $0.backup = Set(bundles) } }
    func backupEnds() { self.state.withLock { $0.backup = nil } }

    func needsBundle(_ bundle: String) -> Bool {
        self.state.withLock { $0.bundles[bundle] != nil || $0.backup?.contains(bundle) ?? false }
    }

    /// Whether a layer may be about to be named: which one is known only once its deployment has got so far.
    var mayNeedLayers: Bool { self.state.withLock { $0.deployments > 0 } }
}
