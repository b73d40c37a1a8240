/// What the host does for the pool.
public enum PoolAction: Sendable, Equatable {
    /// Brings what the function lacks on this machine's disk; the host reports `fetched`. Devices are chosen after that.
    case fetch(InstanceID, FunctionID)
    /// Starts an instance's process; it reports when it is forked, and then waits for `load`.
    case start(InstanceID, FunctionID, [DeviceID], from: Tier)
    /// The memory on its devices is its own now: it brings its weights there.
    case load(InstanceID)
    /// Nothing new is given to it: others wait for its devices. When what runs is over, it is told to sleep or to stop.
    case rest(InstanceID)
    /// It moves its weights to the host's memory and reports `slept`.
    case sleep(InstanceID)
    /// The memory on its devices is its own again.
    case wake(InstanceID)
    /// Nothing new is given to it; when what runs is over, it is stopped.
    case drain(InstanceID)
    /// Its process is killed; the host reports when it is gone and the devices have their memory back.
    case stop(InstanceID)
}
