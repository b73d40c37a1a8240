public import ApusCore

/// One invocation of a trace.
public struct Arrival: Sendable, Hashable {
    public var at: Timestamp
    /// The function's place in the trace.
    public var function: Int
    /// How long it runs once it has an instance.
    public var service: TimeSpan

    public init(at: Timestamp, function: Int, service: TimeSpan) {
        self.at = at
        self.function = function
        self.service = service
    }
}
