public import ApusCore
public import ApusEngine

/// A fleet of devices under a virtual clock: the pool that serves live decides, a trace brings the work.
public struct FleetSimulation {
    public struct Fleet: Sendable {
        public var devices = 8
        public var deviceBytes: Int64 = 80 << 30
        public var hostMemory: Int64 = 1 << 40
        public var modelBytes: Int64 = 16 << 30
        public var residueBytes: Int64 = 1_200 << 20
        public var cold: TimeSpan = .seconds(47)
        public var wake: TimeSpan = .seconds(3)
        public var sleep: TimeSpan = .seconds(1)
        public var stop: TimeSpan = .milliseconds(500)
        public var concurrency = 8
        /// What each function of the trace is, by its place; empty makes all alike, of the figures above.
        public var models: [FleetModel] = []
        /// Nil: nothing goes wrong.
        public var faults: FleetFaults?
        /// A promise that this fleet breaks on purpose, so that a test sees it noticed.
        public var broken: FleetInvariant?
        public init() {}
    }

    enum Step: Sendable {
        case fetched(InstanceID)
        case forked(InstanceID)
        case loaded(InstanceID)
        case woken(InstanceID)
        case slept(InstanceID)
        case gone(InstanceID, isClean: Bool)
        case done(InstanceID, run: Int32)
        case crashed(InstanceID)
        case deviceLost(Int)
        case deviceCleared(Int)
    }

    private struct Event: Comparable {
        var at: Timestamp
        var order: UInt64
        var step: Step
        static func < (left: Event, right: Event) -> Bool {
            left.at != right.at ? left.at < right.at : left.order < right.order
        }
        static func == (left: Event, right: Event) -> Bool { left.order == right.order }
    }

    struct Function {
        var id: FunctionID
        var queue = Deque<Int32>()
        var running = 0
        /// Its arrivals in the trace, and how many of them have come.
        var arrivals: [Int32] = []
        var came = 0
        /// Instances with room, the one used last at the end.
        var open: [InstanceID] = []
    }

    /// An instance as the host sees it, by its slot.
    struct Process {
        var instance: InstanceID?
        var function = 0
        var origin = Tier.disk
        var free = 0
        /// The requests that it runs, by their place in the trace.
        var running: [Int32] = []
        var isOpen = false
        /// It takes nothing new until it was put to sleep and woken.
        var isResting = false
        var state = InstanceState.absent
        var since = Timestamp.zero
        /// Whether there is a process, and what it really holds on each of its devices.
        var isAlive = false
        var held: Int64 = 0
        var devices: [DeviceID] = []
    }

    public var pool: Pool
    public internal(set) var report = FleetReport()
    let fleet: Fleet
    let arrivals: [Arrival]
    /// Before it, nothing counts in the report.
    let countFrom: Timestamp
    let isChecked: Bool
    var invariants: FleetInvariants
    /// The policy is an oracle.
    let isForetold: Bool
    let models: [FleetModel]
    /// What the pool was told and decided, where it is written down.
    public internal(set) var recording: String?
    /// What was written down and is still to be performed.
    var decided: (actions: [PoolAction], transitions: [InstanceTransition]) = ([], [])
    /// How each request of the trace began, where that is asked for.
    public internal(set) var beginnings: [RequestStart?]?
    var functions: [Function]
    var processes: [Process] = []
    var chance: SeededGenerator
    var now = Timestamp.zero
    private var events = BinaryHeap<Event>()
    private var order: UInt64 = 0
    /// Requests that are not served yet.
    var open: Int
    private var transitions: [InstanceTransition] = []
    private var actions: [PoolAction] = []
    /// When who still waits waits for ever.
    private var patience: Timestamp {
        (self.arrivals.last?.at ?? .zero) + .seconds(7 * 86_400)
    }

    /// - Parameters:
    ///   - countFrom: what was before is practice.
    ///   - isChecked: the accounts are added up after every event.
    ///   - isRecorded: what the pool is told and decides is kept as text, and how each request began.
    public init(
        _ fleet: Fleet, arrivals: [Arrival], functions: Int, policy: KeepAliveChoice, countFrom: Timestamp = .zero,
        isChecked: Bool = false, isRecorded: Bool = false
    ) {
        precondition(fleet.models.isEmpty || fleet.models.count == functions, "a model for each function")
        self.fleet = fleet
        self.arrivals = arrivals
        self.open = arrivals.count
        self.countFrom = countFrom
        self.isChecked = isChecked
        self.invariants = FleetInvariants(fleet, functions: functions)
        if case .oracle = policy { self.isForetold = true } else { self.isForetold = false }
        self.chance = SeededGenerator(seed: fleet.faults?.seed ?? 0)
        self.pool = Pool(PoolConfiguration(hostMemory: fleet.hostMemory), policy: policy)
        self.functions = (0..<functions).map { Function(id: FunctionID(rawValue: UInt32($0))) }
        for (index, arrival) in arrivals.enumerated() { self.functions[arrival.function].arrivals.append(Int32(index)) }
        self.models = fleet.models.isEmpty ? Array(repeating: FleetModel(fleet), count: functions) : fleet.models
        let configuration = PoolConfiguration(hostMemory: fleet.hostMemory)
        if isRecorded {
            let prices = if case .rentOrBuy(let choice) = policy { choice.prices } else { KeepAlivePrices() }
            self.recording = PoolRecording.head(configuration, prices)
            self.beginnings = Array(repeating: nil, count: arrivals.count)
        }
        // A driver that lies.
        let told = fleet.broken == .noDeviceOverCapacity ? 2 * fleet.deviceBytes : fleet.deviceBytes
        for _ in 0..<fleet.devices { self.tell(.device(capacity: told, kind: 0)) }
        for index in 0..<functions {
            var plan = self.models[index].plan
            plan.function = self.functions[index].id
            self.tell(.message(.deploy(plan)))
        }
    }

    /// The one way to the pool.
    mutating func tell(_ input: PoolInput) {
        self.pool.receive(input, now: self.now)
        guard self.recording != nil else { return }
        let (actions, transitions) = (self.pool.takeActions(), self.pool.takeTransitions())
        self.recording?.append(PoolRecording.block(input, at: self.now, actions, transitions))
        self.decided.actions += actions
        self.decided.transitions += transitions
    }

    /// Runs the trace to its end and until the last request is served.
    /// - Parameter progress: told now and then how far it is, from 0 to 1, and how many events it took.
    /// - Returns: what broke a promise: the first fault of the accounts, or requests that nobody serves any more.
    public mutating func run(_ progress: ((Double, Int) -> Void)? = nil) -> String? {
        var next = 0
        while true {
            let arrival = next < self.arrivals.count ? self.arrivals[next].at : .distantFuture
            let event = self.events.first?.at ?? .distantFuture
            let timer = self.pool.nextTimer ?? .distantFuture
            let first = min(arrival, min(event, timer))
            if self.open == 0 { return self.isChecked ? self.closed() : nil }
            if first == .distantFuture || first > self.patience {
                return "\(FleetInvariant.noLostRequest): \(self.open) requests are never served"
            }
            if self.isChecked { self.invariants.passed(first - self.now, self.processes) }
            self.now = first
            self.report.events += 1
            if let progress, self.report.events & 0xFFFFF == 0 {
                progress(Double(next) / Double(self.arrivals.count), self.report.events)
            }
            if event == first, let event = self.events.popFirst() {
                self.perform(event.step)
            } else if arrival == first {
                self.arrive(Int32(next))
                next += 1
            } else {
                self.tell(.tick)
            }
            self.settle()
            guard self.isChecked else { continue }
            if let fault = self.pool.fault() { return "at \(self.now.microseconds) us: the accounts: \(fault)" }
            if let fault = self.invariants.fault(self.pool, self.processes) {
                return "at \(self.now.microseconds) us: \(fault)"
            }
        }
    }

    mutating func schedule(_ step: Step, after span: TimeSpan) {
        self.order += 1
        self.events.insert(Event(at: self.now + span, order: self.order, step: step))
    }

    /// Performs what the pool decided, and what it decides of that.
    private mutating func settle() {
        while true {
            self.take()
            if self.transitions.isEmpty, self.actions.isEmpty { return }
            for transition in self.transitions {
                if self.isChecked { self.invariants.changed(transition) }
                self.account(transition)
            }
            for action in self.actions { self.perform(action) }
        }
    }

    private mutating func take() {
        guard self.recording != nil else {
            self.pool.takeTransitions(into: &self.transitions)
            return self.pool.takeActions(into: &self.actions)
        }
        (self.actions, self.transitions) = self.decided
        self.decided = ([], [])
    }

    /// What an instance's function is.
    func model(_ instance: InstanceID) -> FleetModel { self.models[self.processes[instance.slot].function] }

    private mutating func perform(_ action: PoolAction) {
        switch action {
        case .fetch(let instance, let function): self.fetch(instance, Int(function.rawValue))
        case .start(let instance, let function, let devices, let tier):
            self.start(instance, Int(function.rawValue), from: tier)
            self.processes[instance.slot].devices = devices
        case .load(let instance):
            self.processes[instance.slot].held = self.model(instance).plan.deviceBytes
            self.begin(.loaded(instance), instance, after: self.model(instance).times.load)
        case .wake(let instance):
            self.processes[instance.slot].origin = .host
            self.processes[instance.slot].held = self.model(instance).plan.deviceBytes
            self.begin(.woken(instance), instance, after: self.model(instance).times.wake)
        case .rest(let instance):
            self.processes[instance.slot].isResting = true
            self.close(instance)
        case .sleep(let instance):
            if self.isChecked { self.look(at: instance) }
            self.close(instance)
            self.begin(.slept(instance), instance, after: self.model(instance).times.sleep)
        case .drain(let instance): self.close(instance)
        case .stop(let instance): self.stop(instance)
        }
    }

    /// Whoever is told to sleep has nothing to do. A fleet that breaks this promise tells somebody who has.
    private mutating func look(at instance: InstanceID) {
        let isBroken = self.fleet.broken == .noBusyEviction
        let busy = isBroken ? self.processes.firstIndex { !$0.running.isEmpty && $0.instance != nil } : nil
        self.invariants.told(instance, self.processes[busy ?? instance.slot])
    }

    /// Functions that took an instance within a minute after they had given one back.
    public var flaps: Int { self.invariants.flaps }

    /// The end of the run: what lasts until now is counted, and nothing may be left over.
    private mutating func closed() -> String? {
        for slot in self.processes.indices where self.processes[slot].instance != nil {
            let since = max(self.processes[slot].since, self.countFrom)
            self.report.count(self.processes[slot].state, max(0, (self.now - since).microseconds), at: self.now)
        }
        return self.countFrom == .zero ? self.invariants.costFault(self.report) : nil
    }

    private mutating func account(_ transition: InstanceTransition) {
        let slot = transition.instance.slot
        while self.processes.count <= slot { self.processes.append(Process()) }
        if self.processes[slot].instance == transition.instance {
            let since = max(self.processes[slot].since, self.countFrom)
            self.report.count(
                self.processes[slot].state, max(0, (transition.at - since).microseconds), at: transition.at)
        }
        self.processes[slot].state = transition.to
        self.processes[slot].since = transition.at
        self.processes[slot].instance = transition.to == .absent ? nil : transition.instance
    }
}
