internal import ApusCore
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTools
internal import Synchronization

/// What the shards share of tools: keys, sessions, large results, and the catalogs that each loop has a copy of.
final class ToolRegistry: Sendable {
    let sealer: Sealer
    let tasks: TaskNames
    let sessions: ToolSessions
    /// Nil where this server shares its log with nobody.
    let relay: SessionRelay?
    let results: LargeResults
    let modern: MessageWriter
    let legacy: MessageWriter
    let serverInfo: [UInt8]
    private let cursorKey: [UInt8]
    /// Who may call now; shared, since one caller's requests come to any loop.
    let limits = Mutex(CallLimits())
    /// What their calls cost.
    let rates: CallRates
    /// Which upstreams answer; shared, since their calls come to any loop.
    let breakers = Mutex<[ResourceName: CircuitBreaker]>([:])
    /// Results of tools that let theirs be kept; shared for the same reason.
    let cache = Mutex(ResultCache())
    let waiting = WaitingCalls()
    private let catalogs = Mutex<[Namespace: ToolCatalog]>([:])

    /// - Parameters:
    ///   - folder: where large results are written.
    ///   - node: what this server is called.
    ///   - prices: of what its functions use.
    ///   - talk: with the servers that share its log.
    init(keys: MasterKeys, folder: String, version: String, node: String, prices: Prices = Prices(), talk: NodeTalk?) {
        self.rates = CallRates(prices)
        self.sealer = Sealer(keys.derived(for: "apus tool requests 1"))
        self.tasks = TaskNames(keys.derived(for: "apus tool tasks 1").map(\.bytes))
        self.cursorKey = keys.derived(for: "apus tool cursors 1").last?.bytes ?? []
        self.serverInfo = MessageWriter.serverInfo(name: "apus", title: "Apus", version: version)
        self.modern = MessageWriter(.modern, serverInfo: self.serverInfo)
        self.legacy = MessageWriter(.legacy, serverInfo: self.serverInfo)
        let sessions = ToolSessions(sealer: self.sealer, node: node)
        self.sessions = sessions
        self.relay = talk.map { SessionRelay(sessions, $0) }
        self.results = LargeResults(sealer: self.sealer, folder: folder, thread: WorkThread())
    }

    func writer(_ era: Era) -> MessageWriter { era == .modern ? self.modern : self.legacy }

    /// What a namespace offers in which nothing is deployed.
    func empty(_ namespace: Namespace) -> ToolCatalog { .empty(namespace, secret: self.cursorKey) }

    /// From any thread.
    subscript(namespace: Namespace) -> ToolCatalog {
        self.catalogs.withLock { $0[namespace] } ?? self.empty(namespace)
    }

    /// Makes the catalogs of what is deployed.
    func update(_ catalogue: Catalogue) -> ToolUpdate {
        self.rates.update(catalogue)
        var sources: [Namespace: [ToolCatalog.Source]] = [:]
        for function in catalogue.functions.values
        where function.manifest.tool != nil || function.manifest.prompt != nil || function.manifest.resource != nil {
            // Agents neither see nor call what was not signed by whom it has to be.
            if let trust = function.trust, trust.isHeld(function.manifest) { continue }
            sources[function.name.namespace, default: []].append(
                ToolCatalog.Source(manifest: function.manifest, revision: function.revision))
        }
        var offers: [Namespace: [UpstreamOffer]] = [:]
        for (name, upstream) in catalogue.upstreams {
            let offered = catalogue.upstreamTools[name]?.entries.values.compactMap(\.offered) ?? []
            offers[name.namespace, default: []].append(UpstreamOffer(upstream: upstream.manifest, definitions: offered))
        }
        self.breakers.withLock { breakers in breakers = breakers.filter { catalogue.upstreams[$0.key] != nil } }
        let servers = Dictionary(grouping: catalogue.toolServers.values.map(\.manifest), by: \.namespace)
        return self.catalogs.withLock { catalogs in
            var update = ToolUpdate(catalogs: [:])
            for namespace in Set(sources.keys).union(servers.keys).union(offers.keys).union(catalogs.keys) {
                let previous = catalogs[namespace]
                let catalog = ToolCatalog(
                    namespace: namespace, functions: sources[namespace] ?? [], servers: servers[namespace] ?? [],
                    upstreams: offers[namespace] ?? [],
                    disabled: Set(catalogue.disabledTools[namespace]?.keys.map { $0 } ?? []), secret: self.cursorKey, previous: previous)
                update.catalogs[namespace] = catalog
                // Here, so that the first question holds up no loop.
                if catalog.servers.contains(where: { $0.mode == .search }) { catalog.prepareSearch() }
                let change = catalog.change(from: previous ?? self.empty(namespace))
                if !change.isEmpty { update.changes[namespace] = change }
                let resources = catalog.changedResources(from: previous)
                if !resources.isEmpty { update.resources[namespace] = resources }
            }
            catalogs = update.catalogs
            return update
        }
    }
}
