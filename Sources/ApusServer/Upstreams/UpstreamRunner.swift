internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry
internal import ApusTools
internal import Synchronization

/// Asks upstreams for their lists and has what they say decided. Lists that agents see are made from what was decided, so that an upstream
/// that is slow or down holds nobody up.
final class UpstreamRunner: @unchecked Sendable {
    // SAFETY: everything but `states` is touched on the first shard's loop only; the others get there by `loop.post`.

    /// What people are told of an upstream besides what was decided.
    struct Shown: Sendable {
        var asked: Timestamp?
        var problem: String?
    }

    private struct Known {
        var upstream: Catalogue.Upstream
        var tools: UpstreamTools
    }

    private let runtime: ShardRuntime
    private let registry: ToolRegistry
    private let journal: Log
    /// Runs a function for a sink on the loop of the runtime; says why not.
    typealias Ask = (ShardRuntime, ResourceName, [UInt8], any ResponseSink) -> ApusError?
    typealias Perform = (ControlCommand, @escaping @Sendable (Result<Control.Done, ApusError>) -> Void) -> Void

    private var ask: Ask?
    private var perform: Perform?
    private var watch = UpstreamWatch()
    private var known: [ResourceName: Known] = [:]
    private var lists: [ResourceName: UpstreamList] = [:]
    private var timer: LoopTimer?
    private var isStopped = false
    private let states = Mutex<[ResourceName: Shown]>([:])

    init(_ runtime: ShardRuntime, _ registry: ToolRegistry, _ journal: Log) {
        self.runtime = runtime
        self.registry = registry
        self.journal = journal
    }

    /// Before anything is deployed.
    func bind(ask: @escaping Ask, perform: @escaping Perform) {
        self.ask = ask
        self.perform = perform
    }

    /// From any thread.
    func shown(_ name: ResourceName) -> Shown { self.states.withLock { $0[name] } ?? Shown() }

    /// What is deployed now. From any thread.
    func apply(_ catalogue: Catalogue) {
        let known = Dictionary(
            uniqueKeysWithValues: catalogue.upstreams.map { name, upstream in
                (name, Known(upstream: upstream, tools: catalogue.upstreamTools[name] ?? UpstreamTools()))
            })
        // A new revision of the function may list other tools.
        let generations = catalogue.upstreams.mapValues { upstream in
            upstream.generation &* 1_000_003 &+ (catalogue.functions[upstream.manifest.function]?.generation ?? 0)
        }
        self.runtime.loop.post {
            guard !self.isStopped else { return }
            self.known = known
            self.watch.apply(
                known.map { ($0.key, generations[$0.key] ?? 0, $0.value.upstream.manifest.refresh) }, now: self.runtime.now)
            self.states.withLock { shown in shown = shown.filter { known[$0.key] != nil } }
            self.turn()
        }
    }

    /// A result said that the list behind it changed. From any thread.
    func changed(_ name: ResourceName) {
        self.runtime.loop.post {
            self.watch.changed(name, now: self.runtime.now)
            self.turn()
        }
    }

    func stop() {
        self.runtime.loop.post {
            self.isStopped = true
            self.timer?.close()
            self.timer = nil
        }
    }

    // MARK: on the loop

    private func turn() {
        guard !self.isStopped else { return }
        let now = self.runtime.now
        for name in self.watch.due(now: now) { self.begin(name) }
        guard let due = self.watch.nextDue else { return }
        let timer = self.timer ?? LoopTimer(self.runtime.loop) { [weak self] in self?.turn() }
        self.timer = timer
        timer.start(milliseconds: UInt64(max(1, (due - now).milliseconds + 1)))
    }

    private func begin(_ name: ResourceName) {
        guard let known = self.known[name] else { return self.ended(name, "it is not deployed any more") }
        let list = UpstreamList { [weak self] outcome in self?.took(outcome, from: name) }
        self.lists[name] = list
        list.onNext = { [weak self, weak list] kind, cursor in
            guard let self, let list else { return }
            let data = UpstreamMessage.list(kind, cursor: cursor)
            if let error = self.ask?(self.runtime, known.upstream.manifest.function, data, list) {
                list.onFailure(Failure(error.code, error.message))
            }
        }
        list.begin()
    }

    private func took(_ outcome: Result<UpstreamList.Lists, UpstreamList.Problem>, from name: ResourceName) {
        self.lists[name] = nil
        guard let known = self.known[name] else { return self.ended(name, "it is not deployed any more") }
        let lists: UpstreamList.Lists
        switch outcome {
        case .failure(let problem): return self.ended(name, problem.text)
        case .success(let taken): lists = taken
        }
        var tools = known.tools
        tools.take(lists.definitions, of: lists.kinds, pins: known.upstream.manifest.pins)
        guard tools != known.tools else { return self.ended(name, nil) }
        self.perform?(.takeUpstreamList(name, lists.definitions, of: lists.kinds)) { [weak self] answer in
            guard let self else { return }
            self.runtime.loop.post {
                switch answer {
                case .success: self.ended(name, nil)
                case .failure(let error): self.ended(name, error.message)
                }
            }
        }
    }

    private func ended(_ name: ResourceName, _ problem: String?) {
        let now = self.runtime.now
        let before = self.shown(name).problem
        self.states.withLock { $0[name] = Shown(asked: now, problem: problem) }
        if let problem, problem != before { self.journal.warning("the upstream '\(name)' gives no list: \(problem)") }
        if problem == nil { self.registry.breakers.withLock { $0[name]?.succeeded() } }
        self.watch.answered(name, isGood: problem == nil, now: now)
        self.turn()
    }
}
