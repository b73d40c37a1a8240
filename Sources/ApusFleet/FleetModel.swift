public import ApusCore
public import ApusEngine

/// A function of a simulated fleet: what the pool plans with, and how long it really takes.
public struct FleetModel: Sendable {
    /// Its number is its place in the trace, whatever stands here.
    public var plan: PoolFunction
    public var times: StartTimes

    public init(plan: PoolFunction, times: StartTimes) {
        self.plan = plan
        self.times = times
    }

    /// As the fleet's own figures say.
    init(_ fleet: FleetSimulation.Fleet) {
        self.plan = PoolFunction(
            function: FunctionID(rawValue: 0), deviceBytes: fleet.modelBytes, residueBytes: fleet.residueBytes,
            hostBytes: fleet.modelBytes, concurrency: fleet.concurrency, wakePrior: fleet.wake, coldPrior: fleet.cold)
        self.times = StartTimes(load: fleet.cold, wake: fleet.wake, sleep: fleet.sleep, stop: fleet.stop)
    }
}

/// How long each step of an instance's life takes on a host.
public struct StartTimes: Sendable, Hashable {
    /// From the order until its process speaks.
    public var fork: TimeSpan
    /// From the moment that its memory on the device is its own until it is ready.
    public var load: TimeSpan
    public var wake: TimeSpan
    public var sleep: TimeSpan
    /// From the order until its device was seen to have the memory back.
    public var stop: TimeSpan
    /// Until what is not on the host's disk is there; of the first start, where its plan says that something is to be fetched.
    public var fetch: TimeSpan

    public init(
        fork: TimeSpan = .milliseconds(5), load: TimeSpan, wake: TimeSpan, sleep: TimeSpan, stop: TimeSpan,
        fetch: TimeSpan = .zero
    ) {
        self.fork = fork
        self.load = load
        self.wake = wake
        self.sleep = sleep
        self.stop = stop
        self.fetch = fetch
    }
}

/// How one request of a trace came to run.
public struct RequestStart: Sendable, Hashable {
    /// Where the weights of the instance that took it had come from; the device where it was ready.
    public var from: Tier
    public var after: TimeSpan

    public init(from: Tier, after: TimeSpan) {
        self.from = from
        self.after = after
    }
}
