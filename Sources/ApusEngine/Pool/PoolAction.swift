public import ApusCore

/// What the host does for the pool.
public enum PoolAction: Sendable, Equatable {
    /// Starts an instance's process; it reports when it is forked, and then waits for `load`.
    case start(InstanceID, FunctionID, [DeviceID], from: Tier)
    /// The memory on its devices is its own now: it brings its weights there.
    case load(InstanceID)
    /// It moves its weights to the host's memory and reports `slept`.
    case sleep(InstanceID)
    /// The memory on its devices is its own again.
    case wake(InstanceID)
    /// Nothing new is given to it; when what runs is over, it is stopped.
    case drain(InstanceID)
    /// Its process is killed; the host reports when it is gone and the devices have their memory back.
    case stop(InstanceID)
}

/// One change of an instance's state, as it is logged: replaying them gives the accounts.
public struct InstanceTransition: Sendable, Hashable {
    public enum Cause: UInt8, Sendable, Hashable {
        /// Work waits for it; the manifest asks for it; it is expected to be needed.
        case demand, minimum, prediction
        /// It was used, or its use ended.
        case use, release
        /// It had nothing to do for as long as its policy keeps it.
        case idle
        /// Another function's start needs its room.
        case eviction
        /// A newer revision replaces it, or its function is gone.
        case rollout, removal
        /// The host reported the next phase, or the end.
        case progress, failure, ended
    }

    public var instance: InstanceID
    public var function: FunctionID
    public var device: DeviceID?
    public var from: InstanceState
    public var to: InstanceState
    public var at: Timestamp
    public var cause: Cause
}
