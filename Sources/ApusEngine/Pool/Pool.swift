public import ApusCore

/// Instances on devices: who is started where, who sleeps, who leaves. One for a server; shards and hosts send it values and perform
/// what it answers.
///
/// It decides on every change of demand and of an instance, never by looking around at intervals. Each device has one ledger, which
/// only this machine changes, and each function one count of wanted instances, which only ``balance(_:now:)`` reads.
public struct Pool: Sendable {
    struct Function: Sendable {
        var plan: PoolFunction
        var isRemoved = false
        /// Invocations that run, and those that wait for an instance.
        var running = 0
        var queued = 0
        var instances: [Int32] = []
        var starting = 0
        var ready = 0
        var busy = 0
        var sleeping = 0
        /// Uses per second, long-term: what its instances are worth.
        var rate = DecayedRate()
        /// When its last work ended; zero before the first.
        var idleSince = Timestamp.zero
        var failures = 0
        var blockedUntil = Timestamp.zero
        var virtualTime = 0.0
        var rollout = Rollout.none
        /// Its next use is expected: one instance is to be there.
        var isPrewarming = false
        /// When that is, as its policy says.
        var prewarm: Range<Timestamp>?

        var capacity: Int { self.starting + self.ready + self.busy }
    }

    struct Instance: Sendable {
        var generation: UInt32 = 0
        var function: Int32 = -1
        /// The revision it runs.
        var revision: UInt64 = 0
        var state = InstanceState.absent
        var since = Timestamp.zero
        var devices: [DeviceID] = []
        /// What the start under way began from, and when; the time that it waited for its device is left out.
        var startTier = Tier.disk
        var startedAt = Timestamp.zero
        /// How long the start under way was expected to take when it was placed.
        var expected = TimeSpan.zero
        /// When a start that has what it needs is given up.
        var startDeadline = Timestamp.distantFuture
        /// Since when it is ready for work, busy or not.
        var readyAt = Timestamp.zero
        /// Until when what it held of its devices was charged to its function.
        var chargedAt = Timestamp.zero
        /// Since when it has nothing to do; of one that sleeps, since before it slept.
        var idleSince = Timestamp.zero
        var keep = KeepAlive.unbounded
        /// The timer that is set for it; the distant future for none.
        var timer = Timestamp.distantFuture
        var passage = Passage.settled
        /// As it says itself when it is ready.
        var canSleep = true
    }

    /// What is under way where a newer revision takes the place of another.
    enum Rollout: Sendable {
        case none
        /// The newest starts; what is older serves until then, or sleeps where the devices have no room for both.
        case starting
        /// The newest did not start; what is older serves until the next deploy.
        case failed
    }

    /// What an instance waits for between two states.
    enum Passage: UInt8, Sendable {
        case settled
        /// Its weights have come, and there is no room on devices for it yet.
        case seeking
        /// Its start was placed; its bytes on the devices are claimed and not yet promised.
        case claiming
        /// Told to take nothing new: others wait for its devices, and it leaves them when what runs in it is over.
        case resting
        /// Told to let go of its bytes; they are still promised to it.
        case leaving
    }

    struct Device: Sendable {
        var ledger: DeviceLedger
        var kind: Int
        /// Instances that are on it or sleep there, in no order.
        var instances: [Int32] = []
        /// Starts that were placed here and wait for their bytes, in order.
        var gate: [Int32] = []
    }

    struct Timer: Sendable, Comparable {
        var due: Timestamp
        var instance: Int32
        var generation: UInt32
        static func < (left: Timer, right: Timer) -> Bool { left.due < right.due }
    }

    var functions: [Function] = []
    var functionSlots: [FunctionID: Int32] = [:]
    var instances: [Instance] = []
    var freeInstances: [Int32] = []
    var devices: [Device] = []
    var timers = BinaryHeap<Timer>()
    var waiting = FairQueue()
    var estimator = StartEstimator()
    var policy: KeepAliveChoice
    let configuration: PoolConfiguration
    /// Bytes of the host's memory that sleeping instances hold.
    var hostBytes: Int64 = 0
    var lastInstance: UInt32 = 0
    var retryAt = Timestamp.distantFuture
    /// Since when somebody waits for room; nil while nobody does.
    var contendedSince: Timestamp?

    public private(set) var transitions: [InstanceTransition] = []
    var actions: [PoolAction] = []

    public init(_ configuration: PoolConfiguration, policy: KeepAliveChoice = .rentOrBuy(RentOrBuy())) {
        self.configuration = configuration
        self.policy = policy
    }

    /// What is to be done since the last call, in order.
    public mutating func takeActions() -> [PoolAction] {
        defer { self.actions.removeAll(keepingCapacity: true) }
        return self.actions
    }

    /// The changes since the last call, for the log and the accounts.
    public mutating func takeTransitions() -> [InstanceTransition] {
        defer { self.transitions.removeAll(keepingCapacity: true) }
        return self.transitions
    }

    /// The same into the caller's arrays, whose room is used again: nothing is allocated for an event.
    public mutating func takeActions(into actions: inout [PoolAction]) {
        actions.removeAll(keepingCapacity: true)
        swap(&actions, &self.actions)
    }

    public mutating func takeTransitions(into transitions: inout [InstanceTransition]) {
        transitions.removeAll(keepingCapacity: true)
        swap(&transitions, &self.transitions)
    }

    /// Tells an oracle when the function's next work comes. Simulations only.
    public mutating func foretell(_ gap: TimeSpan, of function: Int) {
        guard case .oracle(var oracle) = self.policy else { return }
        self.policy = .greedyDual(GreedyDual())
        oracle.next[function] = gap
        self.policy = .oracle(oracle)
    }

    /// When ``tick(now:)`` is wanted next.
    public var nextTimer: Timestamp? { self.timers.first?.due }

    // MARK: the one way to change an instance

    /// - Returns: whether the event was possible in its state; else nothing happened.
    @discardableResult
    mutating func move(_ slot: Int32, _ event: InstanceEvent, _ cause: InstanceTransition.Cause, now: Timestamp) -> Bool
    {
        let place = Int(slot)
        let before = self.instances[place].state
        guard let after = before.after(event) else { return false }
        self.instances[place].state = after
        self.instances[place].since = now
        let function = Int(self.instances[place].function)
        self.functions[function].count(before, -1)
        self.functions[function].count(after, 1)
        self.transitions.append(
            InstanceTransition(
                instance: self.id(slot), function: self.functions[function].plan.function,
                generation: self.instances[place].revision, devices: self.instances[place].devices, from: before,
                to: after, tier: self.instances[place].startTier, at: now, cause: cause))
        return true
    }

    func id(_ slot: Int32) -> InstanceID {
        InstanceID(slot: slot, generation: self.instances[Int(slot)].generation)
    }

    func slot(of instance: InstanceID) -> Int32? {
        guard self.instances.indices.contains(instance.slot),
            self.instances[instance.slot].generation == instance.generation
        else { return nil }
        return Int32(instance.slot)
    }

    public func state(of instance: InstanceID) -> InstanceState? {
        self.slot(of: instance).map { self.instances[Int($0)].state }
    }
}

extension Pool.Function {
    mutating func count(_ state: InstanceState, _ step: Int) {
        switch state {
        case .starting: self.starting += step
        case .ready: self.ready += step
        case .busy: self.busy += step
        case .sleeping: self.sleeping += step
        case .absent, .draining, .stopped, .quarantined: break
        }
    }
}

public struct PoolConfiguration: Sendable, Hashable {
    /// Bytes of the host's memory for sleeping instances.
    public var hostMemory: Int64

    public init(hostMemory: Int64) { self.hostMemory = hostMemory }
}

/// The policies, told apart without an existential: each use of an instance asks one.
public enum KeepAliveChoice: KeepAlivePolicy {
    case fixed(FixedTTL)
    case histogram(HistogramPolicy)
    case greedyDual(GreedyDual)
    case rentOrBuy(RentOrBuy)
    case oracle(Oracle)

    public mutating func observe(gap: TimeSpan, of function: Int) {
        switch self {
        case .fixed, .greedyDual, .oracle: break
        case .histogram(var policy):
            self = .greedyDual(GreedyDual())
            policy.observe(gap: gap, of: function)
            self = .histogram(policy)
        case .rentOrBuy(var policy):
            // The value must not be held twice while it changes, or its history would be copied.
            self = .greedyDual(GreedyDual())
            policy.observe(gap: gap, of: function)
            self = .rentOrBuy(policy)
        }
    }

    public mutating func keep(_ function: Int, _ view: KeepAliveView) -> KeepAlive {
        switch self {
        case .fixed(var policy): policy.keep(function, view)
        case .histogram(var policy): policy.keep(function, view)
        case .greedyDual(var policy): policy.keep(function, view)
        case .rentOrBuy(var policy): policy.keep(function, view)
        case .oracle(var policy): policy.keep(function, view)
        }
    }
}
