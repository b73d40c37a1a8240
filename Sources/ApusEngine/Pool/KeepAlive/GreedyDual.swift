public import ApusCore

/// Nothing leaves before the room is wanted; then what is cheapest to bring back for the room it gives leaves first
/// (Fuerst and Sharma, FaasCache, ASPLOS 2021). The order of leaving is ``EvictionValue``; this is its stay.
public struct GreedyDual: KeepAlivePolicy {
    public init() {}

    public mutating func observe(gap: TimeSpan, of function: Int) {}

    public mutating func keep(_ function: Int, _ view: KeepAliveView) -> KeepAlive { .unbounded }
}
