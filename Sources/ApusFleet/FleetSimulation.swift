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
        /// Nil: nothing goes wrong.
        public var faults: FleetFaults?
        public init() {}
    }

    enum Step: Sendable {
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
        var state = InstanceState.absent
        var since = Timestamp.zero
    }

    public var pool: Pool
    public internal(set) var report = FleetReport()
    let fleet: Fleet
    let arrivals: [Arrival]
    /// Before it, nothing counts in the report.
    let countFrom: Timestamp
    private let isChecked: Bool
    var functions: [Function]
    var processes: [Process] = []
    var chance: SeededGenerator
    var now = Timestamp.zero
    private var events = BinaryHeap<Event>()
    private var order: UInt64 = 0
    /// When who still waits waits for ever.
    private var patience: Timestamp {
        (self.arrivals.last?.at ?? .zero) + .seconds(7 * 86_400)
    }

    /// - Parameters:
    ///   - countFrom: what was before is practice.
    ///   - isChecked: the accounts are added up after every event.
    public init(
        _ fleet: Fleet, arrivals: [Arrival], functions: Int, policy: KeepAliveChoice, countFrom: Timestamp = .zero,
        isChecked: Bool = false
    ) {
        self.fleet = fleet
        self.arrivals = arrivals
        self.countFrom = countFrom
        self.isChecked = isChecked
        self.chance = SeededGenerator(seed: fleet.faults?.seed ?? 0)
        self.pool = Pool(PoolConfiguration(hostMemory: fleet.hostMemory), policy: policy)
        self.functions = (0..<functions).map { Function(id: FunctionID(rawValue: UInt32($0))) }
        for (index, arrival) in arrivals.enumerated() { self.functions[arrival.function].arrivals.append(Int32(index)) }
        for _ in 0..<fleet.devices { self.pool.add(capacity: fleet.deviceBytes, now: .zero) }
        for function in self.functions {
            self.pool.deploy(
                PoolFunction(
                    function: function.id, deviceBytes: fleet.modelBytes, residueBytes: fleet.residueBytes,
                    hostBytes: fleet.modelBytes, concurrency: fleet.concurrency, wakePrior: fleet.wake,
                    coldPrior: fleet.cold),
                now: .zero)
        }
    }

    /// Runs the trace to its end and until the last request is served.
    /// - Returns: what broke a promise: the first fault of the accounts, or requests that nobody serves any more.
    public mutating func run() -> String? {
        var next = 0
        while true {
            let arrival = next < self.arrivals.count ? self.arrivals[next].at : .distantFuture
            let event = self.events.first?.at ?? .distantFuture
            let timer = self.pool.nextTimer ?? .distantFuture
            let first = min(arrival, min(event, timer))
            let isOver = next == self.arrivals.count && self.functions.allSatisfy { $0.queue.isEmpty && $0.running == 0 }
            if isOver { return nil }
            if first == .distantFuture || first > self.patience {
                let left = self.functions.reduce(0) { $0 + $1.queue.count + $1.running }
                return "\(left) requests are never served"
            }
            self.now = first
            self.report.events += 1
            if event == first, let event = self.events.popFirst() {
                self.perform(event.step)
            } else if arrival == first {
                self.arrive(Int32(next))
                next += 1
            } else {
                self.pool.tick(now: self.now)
            }
            self.settle()
            if self.isChecked, let fault = self.pool.fault() { return "at \(self.now.microseconds) us: \(fault)" }
        }
    }

    mutating func schedule(_ step: Step, after span: TimeSpan) {
        self.order += 1
        self.events.insert(Event(at: self.now + span, order: self.order, step: step))
    }

    /// Performs what the pool decided.
    private mutating func settle() {
        for transition in self.pool.takeTransitions() { self.account(transition) }
        for action in self.pool.takeActions() {
            switch action {
            case .start(let instance, let function, _, let tier):
                self.start(instance, Int(function.rawValue), from: tier)
            case .load(let instance): self.begin(.loaded(instance), instance, after: self.fleet.cold)
            case .wake(let instance):
                self.processes[instance.slot].origin = .host
                self.begin(.woken(instance), instance, after: self.fleet.wake)
            case .sleep(let instance):
                self.close(instance)
                self.begin(.slept(instance), instance, after: self.fleet.sleep)
            case .drain(let instance): self.close(instance)
            case .stop(let instance): self.stop(instance)
            }
        }
    }

    private mutating func account(_ transition: InstanceTransition) {
        let slot = transition.instance.slot
        while self.processes.count <= slot { self.processes.append(Process()) }
        let before = self.processes[slot]
        if before.instance == transition.instance {
            let span = max(0, (transition.at - max(before.since, self.countFrom)).microseconds)
            self.report.count(before.state, span, at: transition.at)
        }
        self.processes[slot].state = transition.to
        self.processes[slot].since = transition.at
        self.processes[slot].instance = transition.to == .absent ? nil : transition.instance
    }
}
