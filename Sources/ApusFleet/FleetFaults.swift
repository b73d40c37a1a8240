public import ApusCore
internal import ApusEngine

/// What goes wrong in a simulated fleet, each by chance in a thousand, until a moment from which on all is well.
public struct FleetFaults: Sendable {
    public var seed: UInt64
    public var until: Timestamp
    /// A process dies while it runs a request, while it starts, while it sleeps.
    public var crash = 20
    /// A start that never says another word.
    public var hang = 20
    /// A disk, or a link, ten times as slow.
    public var slow = 50
    /// Memory that does not come back after a process is gone.
    public var leak = 5
    /// A device that disappears, seen at a request's end.
    public var loss = 1

    public init(seed: UInt64, until: Timestamp) {
        self.seed = seed
        self.until = until
    }
}
