public import ApusCore
public import ApusEngine

/// One worker as `GET /v1/instances` shows it.
public struct InstanceSnapshot: Sendable, Equatable {
    public enum State: String, Sendable, CaseIterable { case starting, ready, busy, sleeping, draining, stopped }

    public var worker: WorkerID
    public var function: ResourceName
    public var revision: String
    public var state: State
    /// Since when it is in this state.
    public var since: Timestamp
    /// Attempts in flight.
    public var inFlight: Int
    /// What its runtime calls itself; empty before it said so.
    public var runtime: String
    public var isolation: WorkerIsolation
    /// It starts, and its files come to this machine first.
    public var isFetching = false
}
