internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import Synchronization

/// The one pool of this server, and what connects it with shards, devices and accounts. Values go in from any thread; what the pool
/// decides is posted to the loops of the shards, in the order in which it was decided.
///
/// Simulated devices move no bytes. What a device of theirs would take for it passes before the order to load or to wake goes out, and
/// after the process said that it sleeps: an instance that was told to sleep takes no work from then on.
final class PoolHost: Sendable {
    /// What the pool decided about instances on one shard.
    private struct Order: Sendable {
        var shard: Int
        var action: PoolAction
        var devices: [DeviceDescription]
    }

    /// What waits until the bytes would have been moved: an order to a shard, or that an instance sleeps.
    private enum Held: Sendable {
        case order(Order)
        case slept(InstanceID)
    }

    private struct Delayed: Sendable, Comparable {
        var due: Timestamp
        var number: UInt64
        var held: Held
        static func < (left: Delayed, right: Delayed) -> Bool {
            left.due != right.due ? left.due < right.due : left.number < right.number
        }
        static func == (left: Delayed, right: Delayed) -> Bool { left.number == right.number }
    }

    struct Entry: Sendable {
        var deployment: PoolDeployment
        var story = StartStory()
    }

    private struct State: Sendable {
        var pool: Pool
        /// What the pool was told by the change under way.
        var told: PoolInput?
        var devices: [DeviceDescription] = []
        var kinds: [String: Int] = [:]
        var functions: [FunctionID: Entry] = [:]
        /// The names of revisions by generation, for instances that outlive theirs.
        var instances: [InstanceID: (function: FunctionID, deployment: PoolDeployment)] = [:]
        /// Instances whose weights come, and since when.
        var fetching: [InstanceID: Timestamp] = [:]
        var delayed = BinaryHeap<Delayed>()
        var number: UInt64 = 0
        var armedFor: Timestamp?
        /// What the change under way decided; their room is used again.
        var actions: [PoolAction] = []
        var transitions: [InstanceTransition] = []
        var isClosed = false
    }

    /// Told of every transition, in order; before any instance starts. From any thread; must not block.
    let onChanges = Mutex<(@Sendable ([InstanceChange]) -> Void)?>(nil)
    /// Asked whether the devices have their memory back after a process ended or fell asleep; without it they always have. Answers once,
    /// from any thread.
    let memoryCheck = Mutex<
        (@Sendable (_ devices: [String], _ hasEnded: Bool, @escaping @Sendable (_ isBack: Bool) -> Void) -> Void)?
    >(nil)

    private let state: Mutex<State>
    private let shards: PoolShards
    private let clock = SystemClock()
    private let recorder: PoolRecorder?
    private let weights: WeightStore

    /// - Parameter record: opens the file of a recording that begins with those lines; nil writes none.
    init(
        hostMemory: Int64, prices: KeepAlivePrices = KeepAlivePrices(), shards: PoolShards,
        weights: WeightStore, record: ((_ head: String) throws(ApusError) -> PoolRecorder)? = nil
    ) throws(ApusError) {
        self.shards = shards
        self.weights = weights
        let configuration = PoolConfiguration(hostMemory: hostMemory)
        self.recorder = try record?(PoolRecording.head(configuration, prices))
        self.state = Mutex(State(pool: Pool(configuration, policy: .rentOrBuy(RentOrBuy(prices: prices)))))
    }

    // MARK: what is deployed

    /// A function, or a newer revision of one. Before its shard is told.
    func deploy(_ deployment: PoolDeployment) {
        self.change { state, now in
            var deployment = deployment
            deployment.plan.kind = deployment.kind.map { Self.number(of: $0, &state) }
            deployment.plan.fetch = deployment.weights.flatMap { self.weights.estimate($0) }
            let id = deployment.plan.function
            state.functions[id, default: Entry(deployment: deployment)].deployment = deployment
            self.tell(.message(.deploy(deployment.plan)), &state, now)
        }
    }

    /// Its shard knows the function: it is told how long a start takes, for those who wait for one.
    func isServed(_ function: FunctionID) {
        self.state.withLock { state in
            if let deployment = state.functions[function]?.deployment { self.foretell(deployment, state) }
        }
    }

    func knows(_ function: FunctionID) -> Bool { self.state.withLock { $0.functions[function] != nil } }

    /// A function that is gone, or that its shard scales itself now.
    func remove(_ function: FunctionID) {
        self.change { state, now in
            guard state.functions.removeValue(forKey: function) != nil else { return }
            self.tell(.message(.remove(function)), &state, now)
        }
    }

    var slowestLinks: DeviceLinks {
        self.state.withLock { state in
            state.devices.map(\.links).min { $0.fromHost < $1.fromHost } ?? DeviceLinks()
        }
    }

    // MARK: what shards say

    func receive(_ message: PoolMessage) {
        if case .report(let instance, .slept) = message { return self.slept(instance) }
        self.change { state, now in
            self.tell(.message(message), &state, now)
            if case .demand(let function, _, let queued) = message, queued > 0 { self.refuse(function, &state) }
        }
        if case .ended(let instance) = message { self.check(instance) }
    }

    /// No device could ever take an instance: those who wait hear of it instead of waiting.
    private func refuse(_ function: FunctionID, _ state: inout State) {
        guard let deployment = state.functions[function]?.deployment, deployment.plan.deviceCount > 0 else { return }
        let plan = deployment.plan
        let fitting = state.devices.indices.count { index in
            let ledger = state.pool.ledger(DeviceID(index))
            return (deployment.kind == nil || deployment.kind == state.devices[index].kind)
                && ledger.usable >= plan.deviceBytes && ledger.health != .lost
        }
        guard fitting < plan.deviceCount else { return }
        let kind = deployment.kind.map { " of the kind \($0)" } ?? ""
        let failure = Failure(
            .startFailed,
            "\(deployment.name) asks for \(plan.deviceCount) devices\(kind) with \(plan.deviceBytes) bytes each; "
                + "this server has \(fitting): see `apus devices` and `pool.devices` in apus.yaml")
        self.shards.post(to: deployment.shard) { $0.refuseStart(of: function, failure) }
    }

    private func check(_ instance: InstanceID) {
        self.check(instance, hasEnded: true) { self.receive(.report(instance, $0 ? .returned : .leaked)) }
    }

    private func check(_ instance: InstanceID, hasEnded: Bool, _ report: @escaping @Sendable (Bool) -> Void) {
        let devices = self.state.withLock { state in
            state.pool.devices(of: instance).map { state.devices[$0.index].id }
        }
        guard !devices.isEmpty, let check = self.memoryCheck.withLock({ $0 }) else { return report(true) }
        check(devices, hasEnded, report)
    }

    /// Its process says that it sleeps. Where the bytes would still be under way, that counts when they have come.
    private func slept(_ instance: InstanceID) {
        let isHeld = self.change { state, now in
            let delay = Self.transfer(.sleep(instance), instance, state)
            guard delay > .zero else { return false }
            Self.hold(.slept(instance), until: now + delay, &state)
            return true
        }
        if !isHeld { self.checkSleeper(instance) }
    }

    /// One that keeps more of its devices than it may ends: others are placed by what it was to leave. What is then still missing sets its
    /// devices apart.
    private func checkSleeper(_ instance: InstanceID) {
        self.check(instance, hasEnded: false) { isBack in
            self.change { state, now in
                // It may have ended, or been told to, meanwhile.
                guard state.pool.state(of: instance) == .sleeping else { return }
                self.tell(.message(.report(instance, isBack ? .slept : .failed)), &state, now)
            }
        }
    }

    // MARK: devices

    /// A device that was found, or is declared.
    func add(_ device: DeviceDescription) {
        self.change { state, now in
            guard !state.devices.contains(where: { $0.id == device.id }) else { return }
            let kind = Self.number(of: device.kind, &state)
            state.devices.append(device)
            self.tell(.device(capacity: device.memoryBytes, kind: kind), &state, now)
        }
    }

    /// What its driver saw in use, and of it what belongs to instances.
    func observed(_ device: String, used: Int64, attributed: Int64) {
        self.change(device) { .observed($0, used: used, attributed: attributed) }
    }

    func quarantine(_ device: String, _ reason: String) {
        self.change(device) { .quarantined($0, reason) }
    }

    func lost(_ device: String) { self.change(device) { .lost($0) } }
    /// - Returns: false where there is no such device; so the next.
    @discardableResult
    func drain(_ device: String) -> Bool { self.change(device) { .draining($0) } }
    @discardableResult
    func clear(_ device: String) -> Bool { self.change(device) { .cleared($0) } }

    @discardableResult
    private func change(_ device: String, _ input: (DeviceID) -> PoolInput) -> Bool {
        self.change { state, now in
            guard let index = state.devices.firstIndex(where: { $0.id == device }) else { return false }
            self.tell(input(DeviceID(index)), &state, now)
            state.devices[index].health = state.pool.ledger(DeviceID(index)).health
            return true
        }
    }

    private static func number(of kind: String, _ state: inout State) -> Int {
        if let known = state.kinds[kind] { return known }
        state.kinds[kind] = state.kinds.count
        return state.kinds.count - 1
    }

    // MARK: what others see

    /// Devices as they are now, with what is promised of each.
    func deviceReport() -> [(device: DeviceDescription, ledger: DeviceLedger)] {
        self.state.withLock { state in
            state.devices.indices.map { (state.devices[$0], state.pool.ledger(DeviceID($0))) }
        }
    }

    /// Instances that have no process yet: their weights come first.
    var fetches: [PoolFetch] {
        self.state.withLock { state in
            state.fetching.compactMap { instance, since in
                state.instances[instance].map {
                    PoolFetch(
                        function: $0.deployment.name, revision: $0.deployment.revision, since: since,
                        isolation: $0.deployment.isolation)
                }
            }
        }
    }

    /// Why the function last started as it did; nil for one that the pool does not start, or that never started.
    func lastStart(of function: FunctionID) -> StartStory.Start? {
        self.state.withLock { $0.functions[function]?.story.last }
    }

    // MARK: what the pool decides

    private func change<Result: Sendable>(_ body: (inout State, Timestamp) -> Result) -> Result {
        let (result, changes) = self.state.withLock { state in
            let now = self.clock.now
            let result = body(&state, now)
            let changes = self.settle(&state, now)
            return (result, changes)
        }
        if !changes.isEmpty { self.onChanges.withLock { $0 }?(changes) }
        return result
    }

    /// The one way to the pool, once in a change.
    private func tell(_ input: PoolInput, _ state: inout State, _ now: Timestamp) {
        if self.recorder != nil { state.told = input }
        state.pool.receive(input, now: now)
    }

    /// Sends out what was decided, and sees to it that the pool is asked again in time. Under the lock, so that orders leave in the
    /// order of their making.
    private func settle(_ state: inout State, _ now: Timestamp) -> [InstanceChange] {
        state.pool.takeActions(into: &state.actions)
        state.pool.takeTransitions(into: &state.transitions)
        if let told = state.told.take() { self.recorder?.note(told, at: now, state.actions, state.transitions) }
        for index in state.actions.indices { self.send(state.actions[index], &state, now) }
        var changes: [InstanceChange] = []
        for index in state.transitions.indices {
            self.foretell(state.transitions[index], state)
            if let change = self.note(state.transitions[index], &state) { changes.append(change) }
        }
        let due = [state.pool.nextTimer, state.delayed.first?.due].compactMap { $0 }.min()
        if let due, !state.isClosed, state.armedFor.map({ due < $0 || $0 <= now }) ?? true {
            state.armedFor = due
            self.shards.arm(after: due - now) { self.tick() }
        }
        return changes
    }

    /// The time that the pool asked for has come, or that something was held until.
    func tick() {
        let sleepers = self.change { state, now in
            var sleepers: [InstanceID] = []
            state.armedFor = nil
            while let next = state.delayed.first, next.due <= now {
                state.delayed.popFirst()
                switch next.held {
                case .order(let order): self.post(order)
                case .slept(let instance): sleepers.append(instance)
                }
            }
            self.tell(.tick, &state, now)
            return sleepers
        }
        for instance in sleepers { self.checkSleeper(instance) }
    }

    private static func hold(_ held: Held, until due: Timestamp, _ state: inout State) {
        state.number += 1
        state.delayed.insert(Delayed(due: due, number: state.number, held: held))
    }

    private func send(_ action: PoolAction, _ state: inout State, _ now: Timestamp) {
        let instance = action.instance
        switch action {
        case .fetch(_, let function), .start(_, let function, _, _):
            if state.instances[instance] == nil, let entry = state.functions[function] {
                state.instances[instance] = (function, entry.deployment)
            }
        case .load, .rest, .sleep, .wake, .drain, .stop: break
        }
        guard let known = state.instances[instance] else { return }
        let devices = state.pool.devices(of: instance).map { state.devices[$0.index] }
        let order = Order(shard: known.deployment.shard, action: action, devices: devices)
        if case .fetch = action { return self.fetch(instance, known.deployment) }
        if case .sleep = action { return self.post(order) }
        let delay = Self.transfer(action, instance, state)
        guard delay > .zero else { return self.post(order) }
        Self.hold(.order(order), until: now + delay, &state)
    }

    /// Brings what its function lacks on this disk. Asked under the lock, goes on without it.
    private func fetch(_ instance: InstanceID, _ deployment: PoolDeployment) {
        let (function, shard) = (deployment.plan.function, deployment.shard)
        let ended: @Sendable (ApusError?) -> Void = { error in
            if let error {
                let failure = Failure(error.code, error.message)
                self.shards.post(to: shard) { $0.refuseStart(of: function, failure) }
                return self.receive(.ended(instance))
            }
            self.receive(.fetches(function, nil))
            self.receive(.report(instance, .fetched))
        }
        // Never here: the lock is held.
        self.weights.bring(deployment.weights) { error in self.shards.post(to: shard) { _ in ended(error) } }
    }

    private func post(_ order: Order) {
        self.shards.post(to: order.shard) { $0.perform(order.action, devices: order.devices) }
    }

    /// What moving the bytes would take on a simulated device.
    private static func transfer(_ action: PoolAction, _ instance: InstanceID, _ state: State) -> TimeSpan {
        guard let plan = state.instances[instance]?.deployment.plan,
            let device = state.pool.devices(of: instance).first.map({ state.devices[$0.index] }), device.isSimulated
        else { return .zero }
        return switch action {
        case .load: PoolDeployment.span(plan.deviceBytes, at: min(device.links.fromDisk, device.links.fromHost))
        case .wake: PoolDeployment.span(plan.deviceBytes - plan.residueBytes, at: device.links.fromHost)
        case .sleep: PoolDeployment.span(plan.deviceBytes - plan.residueBytes, at: device.links.toHost)
        case .fetch, .start, .rest, .drain, .stop: .zero
        }
    }

    /// One fell asleep, or is gone: whoever comes next hears how long the start takes from there.
    private func foretell(_ transition: InstanceTransition, _ state: State) {
        guard transition.to == .sleeping || transition.to == .absent,
            let deployment = state.functions[transition.function]?.deployment
        else { return }
        self.foretell(deployment, state)
    }

    private func foretell(_ deployment: PoolDeployment, _ state: State) {
        let function = deployment.plan.function
        guard let span = state.pool.nextStart(of: function) else { return }
        self.shards.post(to: deployment.shard) { $0.startTakes(function, span) }
    }

    private func note(_ transition: InstanceTransition, _ state: inout State) -> InstanceChange? {
        guard let (function, deployment) = state.instances[transition.instance] else { return nil }
        if transition.to == .absent { state.instances[transition.instance] = nil }
        state.fetching[transition.instance] = transition.to == .starting(.fetching) ? transition.at : nil
        if StartStory.isAbout(transition) {
            let others = state.instances.count {
                $0.key != transition.instance && $0.value.function == function
                    && state.pool.state(of: $0.key)?.isCapacity ?? false
            }
            state.functions[function]?.story.note(transition, others: others)
        }
        let devices = transition.devices.map { state.devices[$0.index] }
        return InstanceChange(
            name: deployment.name, revision: deployment.revision, labels: deployment.labels,
            deviceIDs: devices.map(\.id), isSimulated: devices.contains(where: \.isSimulated),
            deviceBytes: deployment.plan.deviceBytes, residueBytes: deployment.plan.residueBytes,
            hostBytes: deployment.plan.hostBytes, transition: transition)
    }

    /// Nothing is asked again: the shards end their workers.
    func close() {
        self.state.withLock { $0.isClosed = true }
        self.shards.close()
        self.recorder?.close()
    }
}

extension PoolAction {
    fileprivate var instance: InstanceID {
        switch self {
        case .fetch(let instance, _), .start(let instance, _, _, _), .load(let instance), .rest(let instance), .sleep(let instance),
            .wake(let instance), .drain(let instance), .stop(let instance):
            instance
        }
    }
}
