public import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusLoop
internal import ApusManifest
public import ApusSandbox
public import ApusStore
public import ApusTelemetry
internal import CShims
internal import Synchronization

/// One server: shards with their loops, the control topics, the projection, deployments. Made after privileges were dropped.
public final class Server: Sendable {
    /// What the composer opened before: while it was still root, or because it chose the log.
    public struct Parts {
        public var log: any EventLog
        public var journal: Log
        /// One listening socket per shard, all on one port.
        public var sockets: [CInt]
        /// Two channels more than shards: for builds, and for the egress process.
        public var channels: [CInt]
        public var report: HostReport
        /// Those that whoever runs the machine gave; nil lets the data directory have one of its own.
        public var keys: MasterKeys?
        /// Says what this node decides, where several write to one log; nil where this server alone does.
        public var ownership: (any CommandOwnership)?

        public init(
            log: any EventLog, journal: Log, sockets: [CInt], channels: [CInt], report: HostReport,
            keys: MasterKeys? = nil, ownership: (any CommandOwnership)? = nil
        ) {
            self.ownership = ownership
            self.keys = keys
            self.log = log
            self.journal = journal
            self.sockets = sockets
            self.channels = channels
            self.report = report
        }
    }

    let configuration: ServerConfiguration
    let log: any EventLog
    let journal: Log
    let report: HostReport
    let clock = SystemClock()
    /// The hash of the token in `run/admin.token`.
    let adminToken: TokenHash
    let sessions = Sessions()
    /// Believes tokens that others issue.
    let issuers: TokenIssuers
    let vault: SecretVault
    let tools: ToolRegistry
    let upstreams: UpstreamRunner
    let callCounts: CallCounts
    let embedder: ToolEmbedder
    let bundles: BundleStore
    /// Where servers share a log: `bundles/` is a cache of it.
    let bundleTopic: BundleTopic?
    let files: FunctionFiles
    let store: WorkThread
    let reader: WorkThread
    let projection: ProjectionFollower
    let control: Control
    /// What deployments and backups under way need of `bundles/` and `layers/`.
    let usage = FolderUsage()
    /// Makes backups, one after the other.
    let backups = WorkThread()
    let sweeper: Sweeper
    let sharedQueues: SharedQueues
    let invocations: InvocationQueue
    let deployer: Deployer
    let egress: EgressHost
    let weights: WeightStore
    let pool: PoolHost
    let accounts: UsageKeeper
    let devices: DeviceHost
    let schedules: ScheduleRunner
    let deciding: Deciding
    let shards: [ShardRuntime]
    /// Takes spans; nil when no receiver is configured.
    let tracer: Tracer?
    let audit: AuditJournal
    let approvals: Approvals
    let exporter: OTLPExporter?
    let topicRates = TopicRates()
    let startedAt: Timestamp
    let state = Mutex(State.starting)

    enum State: Sendable {
        /// Reading what is deployed; nothing is dispatched yet. To `serving`.
        case starting
        /// To `stopping`.
        case serving
        case stopping
    }

    /// Reads what is deployed and starts to serve.
    /// - Parameter onNurseryDeath: called once, from a loop: without its nursery a server ends.
    /// - Throws: what the log, the projection or the sockets say.
    public init(_ configuration: ServerConfiguration, _ parts: Parts, onNurseryDeath: @escaping @Sendable () -> Void)
        throws(ApusError)
    {
        let data = configuration.dataDirectory
        let log = parts.log
        self.configuration = configuration
        self.log = log
        self.journal = parts.journal
        self.report = parts.report
        self.adminToken = try AdminToken.load(in: "\(data)/run").hash
        self.issuers = TokenIssuers(configuration.auth, journal: parts.journal)
        let keys = try Self.keys(parts.keys, run: "\(data)/run")
        let vault = SecretVault(keys: keys)
        self.vault = vault
        let talk = parts.ownership == nil ? nil : NodeTalk(log, parts.journal)
        let tools = ToolRegistry(
            keys: vault.keys, folder: "\(data)/run", version: configuration.version, node: configuration.node, prices: configuration.pool.prices,
            talk: talk)
        self.tools = tools
        let bundles = try BundleStore(folder: "\(data)/bundles")
        self.bundles = bundles
        self.bundleTopic = log.sharing.map { [clock = self.clock] _ in
            BundleTopic(log: log, bundles: bundles) { clock.now }
        }
        self.store = WorkThread()
        self.reader = WorkThread()
        try Self.createControlTopics(log, configuration.retention, isShared: parts.ownership != nil)
        self.audit = try AuditJournal(log, keys, server: configuration.node)
        let projection = try Projection(path: "\(data)/state.db", logIdentity: log.identity) { place in
            (try? log.bounds(of: place))?.end
        }
        if let remade = projection.remade {
            parts.journal.info("the projection is made again from the log (\(remade))")
        }
        let tracer = configuration.telemetry.endpoint.map { _ in Tracer(sample: configuration.telemetry.sample) }
        self.tracer = tracer
        self.exporter = try Self.makeExporter(configuration, tracer, parts.journal)
        self.startedAt = SystemClock().now
        let ended = InvocationsEnded()
        let replayEnds = ReplayEnds()
        let runtimes = ShardList()
        let egress = try Self.makeEgress(configuration, parts, runtimes, onNurseryDeath)
        self.egress = egress
        let weights = WeightStore(
            dataDirectory: data, egress: egress, quota: configuration.retention.weightsBytes)
        self.weights = weights
        let files = FunctionFiles(dataDirectory: data, topic: self.bundleTopic, weights: weights)
        self.files = files
        let poolShards = PoolShards()
        let pool = try Self.makePool(configuration, poolShards, weights, parts.journal)
        self.pool = pool
        let held = HeldApprovals()
        let shards = try Self.makeShards(
            configuration, parts, self.reader, files, tracer, vault, egress, pool, onNurseryDeath, ended, replayEnds,
            tools, held)
        runtimes.fill(shards)
        poolShards.fill(shards)
        self.shards = shards
        let embedder = ToolEmbedder(shards)
        self.embedder = embedder
        let invocations = InvocationQueue(log: log, shards: shards, openMax: configuration.invocationsPerFunction)
        self.invocations = invocations
        ended.tell(invocations)
        self.accounts = UsageKeeper(
            log: log, loop: shards[0].loop, node: configuration.node, journal: parts.journal)
        self.devices = DeviceHost(
            configuration.pool, dataDirectory: data, loop: shards[0].loop, journal: parts.journal)
        self.accounts.add(self.devices.inventory)
        Self.connect(pool, self.devices, self.accounts)
        Self.warnOfUnused(self.devices, isWorked: log.sharing?.classes.contains(.gpu) ?? true, parts.journal)
        let follower = ProjectionFollower(
            log: log, thread: self.store, projection: projection, loop: shards[0].loop, journal: parts.journal)
        self.projection = follower
        let journal = parts.journal
        let zones = TimeZones()
        let schedules = ScheduleRunner(
            loop: shards[0].loop, log: log, accepting: invocations, zones: zones, journal: journal)
        self.schedules = schedules
        let upstreams = UpstreamRunner(shards[0], tools, journal)
        self.upstreams = upstreams
        self.callCounts = CallCounts(
            log, tools, node: configuration.node, isShared: parts.ownership != nil, loop: shards[0].loop, journal)
        let adminToken = self.adminToken
        let deciding = Deciding(parts.ownership == nil)
        self.deciding = deciding
        self.control = Control(
            log: log, journal: journal, revisionsPerFunction: configuration.retention.revisions,
            ownership: parts.ownership,
            fateOf: { (id, place) throws(ApusError) in try follower.fate(of: id, after: place) }
        ) { changes, catalogue in
            follower.follow(Self.deadLetterTopics(catalogue))
            schedules.apply(changes)
            let isAboutTokens = changes.contains { if case .principalApplied = $0 { true } else { false } }
            if isAboutTokens { Self.apply(PrincipalDirectory(admin: adminToken, catalogue.principals), to: shards) }
            // Before the workers that are started because of them.
            vault.follow(catalogue)
            for case .functionApplied(let function, _) in changes { files.prepare(function, journal) }
            Self.keepBlobs(log, changes, journal)
            defer {
                if changes.contains(where: Self.concernsTools) {
                    Self.apply(tools, embedder, catalogue, to: shards)
                    upstreams.apply(catalogue)
                }
            }
            return Self.apply(
                changes, catalogue, to: shards, invocations, journal,
                decides: { deciding.isSo.load(ordering: .acquiring) })
        }
        let control = self.control
        let approvals = Approvals(control: control, audit: self.audit, log: log)
        self.approvals = approvals
        held.bind(approvals)
        let decided: InvocationQueue.DecidedWriter = { control.submitDecided($0, $1) }
        invocations.bind(projection: follower, decided: decided) { control.enqueue($0) }
        schedules.bind(decided: decided)
        replayEnds.bind(self.control)
        let buildLoop = EventLoop()
        let layers = try Self.makeLayers(configuration, parts, buildLoop, onNurseryDeath)
        let hooks = Deployer.Hooks(
            probe: { name, completion in
                let runtime = shards[FunctionDirectory.shard(of: name, among: shards.count)]
                weights.bring(control.catalogue.functions[name]?.weights) { error in
                    if let error { return completion(error) }
                    runtime.loop.post { runtime.warm(name, completion) }
                }
            },
            whenPassed: { place, completion in follower.whenPassed(place, completion) }, zones: zones,
            missingLayers: parts.report.missing.filter(\.concernsFunctions).map(\.description),
            remembersKeys: self.log.remembersKeys
        )
        let deployer = Deployer(
            bundles: bundles, topic: self.bundleTopic, layers: layers, control: self.control, usage: self.usage,
            hooks: hooks)
        self.deployer = deployer
        files.bind(
            source: { [control = self.control] layer in control.catalogue.source(ofLayer: layer) },
            sets: { [control = self.control] key in control.catalogue.weights(ofSet: key) }
        ) {
            deployer.rebuild($0, layer: $1, $2)
        }
        self.sharedQueues = SharedQueues(loop: shards[0].loop)
        self.sweeper = Sweeper(loop: shards[0].loop, journal: journal, clock: self.clock)
        weights.bind { [weak self] bytes in self?.makeRoom(forWeights: bytes) }
        if parts.ownership != nil { self.prepareSharing() }
        (log as? SealedLog)?.decideOnce { [weak control] batch, completion in
            guard let control else { return completion(.failure(Control.stopping)) }
            control.submitKeyed(batch, completion)
        }
        upstreams.bind(ask: { [weak self] runtime, function, data, sink in
            guard let self else { return Control.stopping }
            return self.askUpstream(runtime, function, data, sink)
        }) { control.perform($0, $1) }
        try self.control.replay()
        try (log as? SealedLog)?.checkKeys()
        try self.open(parts)
    }

    /// Those that were given, or else one that is made here. One that was made before there were others still opens what it sealed.
    public static func keys(_ given: MasterKeys?, run folder: String) throws(ApusError) -> MasterKeys {
        let own = try MasterKeyFile.generated(in: folder, makes: given == nil)
        if let given { return given.after(own) }
        guard let own else { preconditionFailure("a key was to be made") }
        return own
    }

    /// The control topics this version knows.
    private static func createControlTopics(
        _ log: any EventLog, _ retention: RetentionConfiguration, isShared: Bool
    ) throws(ApusError) {
        if isShared {
            let kept = TopicConfiguration(
                partitions: Limits.ControlCommands.partitions, retentionTime: Limits.ControlCommands.kept)
            try log.createTopic(.commands, kept)
            try log.createTopic(.answers, kept)
            try log.createTopic(.nodes, TopicConfiguration(partitions: 1, retentionTime: Limits.Nodes.kept))
        }
        try log.createTopic(.control, TopicConfiguration(partitions: 1, isCompacted: true))
        try log.createTopic(
            .invocations, TopicConfiguration(partitions: Limits.Invocations.partitions, isCompacted: true))
        try log.createTopic(.schedule, TopicConfiguration(partitions: 1, isCompacted: true))
        if log.sharing != nil {
            try log.createTopic(
                .bundles, TopicConfiguration(partitions: Limits.Bundle.partitions, isCompacted: true))
        }
        try Self.ensure(.dead, TopicConfiguration(partitions: 16, retentionTime: retention.dead), log)
        try Self.ensure(
            .logs,
            TopicConfiguration(
                partitions: 16, retentionTime: retention.logsTime, retentionBytes: retention.logsBytes),
            log)
        try Self.ensure(
            .usage, TopicConfiguration(partitions: Limits.Server.usagePartitions, retentionTime: retention.usage), log)
        try log.createTopic(.calls, TopicConfiguration(partitions: 1, isCompacted: true))
        // By age, as soon as an anchor says from where on it is whole.
        try Self.ensure(.audit, TopicConfiguration(partitions: Limits.Audit.partitions), log)
        try BlobStore.keepTopic(log)
    }

    /// Data beside topics stays as long as their events do, and that has just changed.
    private static func keepBlobs(_ log: any EventLog, _ changes: [Catalogue.Change], _ journal: Log) {
        let isAboutTopics = changes.contains {
            switch $0 {
            case .topicApplied, .topicRemoved: true
            default: false
            }
        }
        guard isAboutTopics else { return }
        do throws(ApusError) { try BlobStore.keepTopic(log) } catch {
            journal.warning("apus.blobs keeps data as it did before: \(error.message)", ["code": error.code.rawValue])
        }
    }

    /// What is kept may change from start to start.
    private static func ensure(_ topic: TopicName, _ configuration: TopicConfiguration, _ log: any EventLog)
        throws(ApusError)
    {
        if log.topic(topic) == nil {
            try log.createTopic(topic, configuration)
        } else if log.topic(topic) != configuration {
            try log.alterTopic(topic, configuration)
        }
    }

    private static func makeShards(
        _ configuration: ServerConfiguration, _ parts: Parts, _ reader: WorkThread,
        _ files: FunctionFiles, _ tracer: Tracer?,
        _ vault: SecretVault, _ egress: EgressHost, _ pool: PoolHost, _ onNurseryDeath: @escaping @Sendable () -> Void,
        _ ended: InvocationsEnded, _ replayEnds: ReplayEnds, _ tools: ToolRegistry, _ held: HeldApprovals
    ) throws(ApusError) -> [ShardRuntime] {
        var shards: [ShardRuntime] = []
        for index in 0..<configuration.shards {
            let loop = EventLoop()
            let (log, channel, report, journal) = (parts.log, parts.channels[index], parts.report, parts.journal)
            let result = loop.runAndWait { () -> Result<ShardRuntime, ApusError> in
                do throws(ApusError) {
                    let runtime = try ShardRuntime(
                        index: index, loop: loop, log: log, channel: channel, report: report, reader: reader,
                        files: files, tracer: tracer, vault: vault, egress: egress, pool: pool,
                        workers: Limits.Server.workers(slots: report.slots, shards: configuration.shards),
                        onNurseryDeath: onNurseryDeath,
                        onInvocationsEnded: { ended.tell($0, $1) },
                        onReplayComplete: { replayEnds.ended($0, $1) },
                        onInvocationAttempt: { tools.charge($1, in: $0.namespace, for: $0, running: $2, now: SystemClock().now) },
                        passCall: { tools.waiting.pass($1, to: $0) }, approvals: held,
                        note: { journal.info($0) })
                    if index == 0 { runtime.watchAuditor(journal) }
                    return .success(runtime)
                } catch { return .failure(error) }
            }
            shards.append(try result.get())
        }
        return shards
    }

    private static func makeLayers(
        _ configuration: ServerConfiguration, _ parts: Parts, _ loop: EventLoop,
        _ onNurseryDeath: @escaping @Sendable () -> Void
    ) throws(ApusError) -> LayerBuilds {
        let (channel, index, report, journal) = (
            parts.channels[configuration.shards], configuration.shards, parts.report, parts.journal
        )
        let result = loop.runAndWait { () -> Result<LayerBuilds, ApusError> in
            do throws(ApusError) {
                let nursery = try NurseryClient(
                    loop, channel: channel, shard: index, report: report, onDeath: onNurseryDeath)
                return .success(
                    LayerBuilds(
                        loop: loop, nursery: nursery, dataDirectory: configuration.dataDirectory,
                        environment: configuration.buildEnvironment, journal: journal
                    )
                )
            } catch { return .failure(error) }
        }
        return try result.get()
    }

    /// Gives the shards what is deployed, then lets callers in.
    private func open(_ parts: Parts) throws(ApusError) {
        let catalogue = self.control.catalogue
        self.vault.follow(catalogue)
        let queues = self.invocations.restore(catalogue, self.journal)
        let applied = catalogue.functions.values.sorted { $0.id.rawValue < $1.id.rawValue }.map {
            Catalogue.Change.functionApplied($0, previous: nil)
        }
        for function in catalogue.functions.values { self.files.prepare(function, self.journal) }
        // One function that cannot run is no reason to keep the others from it: the journal says which.
        _ = Self.apply(applied, catalogue, to: self.shards, self.invocations, self.journal)
        Self.apply(self.tools, self.embedder, catalogue, to: self.shards)
        self.upstreams.apply(catalogue)
        Self.apply(PrincipalDirectory(admin: self.adminToken, catalogue.principals), to: self.shards)
        if catalogue.functions.values.contains(where: { $0.manifest.network != nil }) { self.egress.prepare() }
        self.projection.follow(
            Self.deadLetterTopics(catalogue).union(queues).union([.control, .logs, .dead, .invocations, .usage]))
        if parts.ownership == nil { try self.schedules.start(catalogue) }
        // Before anybody calls.
        try self.callCounts.start()
        for (shard, socket) in zip(self.shards, parts.sockets) {
            let result = shard.loop.runAndWait { () -> Result<Void, ApusError> in
                do throws(ApusError) {
                    let listener = Routes(self, shard).listener()
                    shard.listener = listener
                    try listener.listen(socket: OwnedDescriptor(adopting: socket))
                    return .success(())
                } catch { return .failure(error) }
            }
            try result.get()
        }
        self.sampleRates()
        self.accounts.start(self.shards)
        self.devices.start()
        self.watchIssuers()
        if parts.ownership != nil { try self.share() }
        self.state.withLock { $0 = .serving }
        self.sweeper.start(SweepSteps(server: self))
        self.shareQueues()
    }

    /// Where nodes share the work, each sees to queues that others made and to cancellations that were asked for elsewhere.
    private func shareQueues() {
        guard self.invocations.isShared else { return }
        let (invocations, control, journal) = (self.invocations, self.control, self.journal)
        self.projection.onCancelRequest.withLock { $0 = { invocations.cancelRequested($0) } }
        self.projection.onAnswers.withLock { $0 = { invocations.answered($0) } }
        self.sharedQueues.start {
            // One look that finds no place in the queue is made up for by the next.
            _ = control.enqueue { catalogue in
                if let catalogue { invocations.takeUpShared(catalogue, journal) }
            }
        }
    }

    /// The first shard's loop looks once a second at what was appended.
    private func sampleRates() {
        let (runtime, log, rates, store) = (self.shards[0], self.log, self.topicRates, self.store)
        runtime.loop.runAndWait {
            var heap = HeapRest()
            let timer = LoopTimer(runtime.loop) {
                let totals = log.appended()
                rates.sample(totals, now: runtime.shard.now)
                let changes = totals.first { $0.topic == .control }?.records ?? 0
                // It takes milliseconds, and a look that finds no place in the queue costs memory only.
                if heap.look(changes: changes) { _ = store.run { apus_give_back_memory() } }
            }
            timer.start(milliseconds: 0, repeating: Limits.Server.rateMilliseconds)
            runtime.rateTimer = timer
        }
    }

    private static func makeExporter(_ configuration: ServerConfiguration, _ tracer: Tracer?, _ journal: Log)
        throws(ApusError) -> OTLPExporter?
    {
        guard let tracer, let endpoint = configuration.telemetry.endpoint else { return nil }
        return try OTLPExporter(
            tracer, configuration.telemetry, endpoint: endpoint, version: configuration.version, journal: journal)
    }

    // MARK: what is deployed

    /// Gives the shards what a control write changed. From any thread but a loop.
    /// - Returns: the first error of a function that is deployed and yet cannot run.
    private static func apply(
        _ changes: [Catalogue.Change], _ catalogue: Catalogue, to shards: [ShardRuntime],
        _ invocations: InvocationQueue, _ journal: Log, decides: () -> Bool = { true }
    ) -> ApusError? {
        for case .approvalChanged(let id) in changes {
            for runtime in shards { runtime.loop.post { runtime.shard.approvalChanged(id.description) } }
        }
        // Nothing else concerns them, and there may be many.
        if changes.allSatisfy({ if case .approvalChanged = $0 { true } else { $0 == .none } }) { return nil }
        var first: ApusError?
        for change in changes {
            switch change {
            case .functionApplied(let function, _):
                let failure = Self.apply(function, to: shards, invocations, journal)
                first = first ?? failure
            case .secretApplied(_, let functions):
                for function in functions {
                    let failure = Self.apply(function, to: shards, invocations, journal)
                    first = first ?? failure
                }
            case .functionRemoved(let function):
                let runtime = shards[FunctionDirectory.shard(of: function.name, among: shards.count)]
                invocations.close(function.name)
                Self.remove(function, from: runtime)
                // What it left open is finished once, by whoever decided that it goes.
                guard decides() else { continue }
                do throws(ApusError) { try invocations.finish(function.name) } catch {
                    journal.error(
                        "invocations of the deleted '\(function.name)' are finished at the next start: \(error.message)"
                    )
                }
            case .topicApplied, .topicRemoved, .fateDecided, .principalApplied, .toolServerChanged, .approvalChanged,
                .upstreamChanged, .toolSwitched, .none:
                break
            }
        }
        var directory = FunctionDirectory()
        for function in catalogue.functions.values {
            directory[function.name] = FunctionDirectory.Entry(
                id: function.id, shard: FunctionDirectory.shard(of: function.name, among: shards.count),
                timeout: function.manifest.timeout, origin: function.origin, isPaused: function.isPaused,
                isElsewhere: invocations.isElsewhere(function),
                isForApproval: function.manifest.tool?.needsApproval ?? false,
                devices: (function.manifest.resources.gpu?.count ?? 0, function.manifest.resources.gpu?.kind),
                secrets: function.manifest.secretUses.map(\.name),
                pausedTriggers: function.pausedTriggers
            )
        }
        let triggers = HTTPTriggerTable(catalogue)
        for runtime in shards {
            runtime.loop.runAndWait { [directory, triggers] in
                runtime.directory = directory
                runtime.triggers = triggers
            }
        }
        return first
    }

    private static func apply(
        _ function: Catalogue.Function, to shards: [ShardRuntime], _ invocations: InvocationQueue, _ journal: Log
    ) -> ApusError? {
        let runtime = shards[FunctionDirectory.shard(of: function.name, among: shards.count)]
        let plan = invocations.hostFunction(function)
        let deployment = PoolDeployment(function, shard: runtime.index, links: runtime.pool.slowestLinks)
        // What the pool starts of a newer revision must find it; one that is new to both is made known before it is asked for.
        let isKnown = runtime.pool.knows(function.id)
        if let deployment, !isKnown { runtime.pool.deploy(deployment) }
        let failure = runtime.loop.runAndWait { () -> ApusError? in
            do throws(ApusError) {
                try runtime.shard.apply(plan)
                return nil
            } catch { return error }
        }
        if let deployment, isKnown { runtime.pool.deploy(deployment) }
        if deployment == nil { runtime.pool.remove(function.id) } else { runtime.pool.isServed(function.id) }
        guard let failure else { return nil }
        let error = ApusError(failure.code, "\(function.name) is deployed but cannot run: \(failure.message)")
        journal.error(error.message, ["code": error.code.rawValue])
        return error
    }

    /// Returns once the shard writes nothing of the function any more.
    private static func remove(_ function: Catalogue.Function, from runtime: ShardRuntime) {
        let written = ResultSlot<Bool>()
        runtime.pool.remove(function.id)
        runtime.loop.post {
            runtime.shard.remove(function.id, forgettingPositions: true)
            runtime.shard.whenWritten { written.fill(true) }
        }
        _ = written.take()
    }

    /// From then on no loop admits a token that was revoked.
    private static func apply(_ directory: PrincipalDirectory, to shards: [ShardRuntime]) {
        for runtime in shards { runtime.loop.runAndWait { runtime.apply(directory) } }
    }

    private static func concernsTools(_ change: Catalogue.Change) -> Bool {
        switch change {
        case .functionApplied, .functionRemoved, .toolServerChanged, .upstreamChanged, .toolSwitched: true
        default: false
        }
    }

    /// Shows agents what they may use from now on, and tells those who listen.
    private static func apply(
        _ tools: ToolRegistry, _ embedder: ToolEmbedder, _ catalogue: Catalogue, to shards: [ShardRuntime]
    ) {
        let update = tools.update(catalogue)
        for runtime in shards { runtime.loop.runAndWait { runtime.tools.apply(update) } }
        tools.sessions.changed(update)
        embedder.offer(update.catalogs, catalogue)
    }

    private static func deadLetterTopics(_ catalogue: Catalogue) -> Set<TopicName> {
        Set(
            catalogue.functions.values.flatMap {
                $0.triggers.filter { !$0.manifest.isTable }.map(\.manifest.deadLetterTopic)
            })
    }
}
