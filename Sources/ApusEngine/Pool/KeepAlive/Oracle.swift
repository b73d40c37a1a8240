public import ApusCore

/// Knows the next use of each function: what no policy can beat. Only a simulation can have it.
public struct Oracle: KeepAlivePolicy {
    /// The gap that begins now, by function; told by the simulation before each decision.
    public var next: [TimeSpan]
    public let prices: KeepAlivePrices

    public init(functions: Int, prices: KeepAlivePrices = KeepAlivePrices()) {
        self.next = [TimeSpan](repeating: .unbounded, count: functions)
        self.prices = prices
    }

    public mutating func observe(gap: TimeSpan, of function: Int) {}

    public mutating func keep(_ function: Int, _ view: KeepAliveView) -> KeepAlive {
        guard self.next.indices.contains(function) else { return KeepAlive(device: .zero, host: .zero) }
        let gap = self.next[function]
        let (seconds, wake, cold) = (Self.seconds(gap), Self.seconds(view.wake), Self.seconds(view.cold))
        let device = seconds * self.prices.deviceSecond
        let host = view.canSleep ? seconds * self.prices.hostSecond + wake * self.prices.waitingSecond : .infinity
        let nothing = cold * self.prices.waitingSecond
        // Just past the use, so that it is still there when the use comes.
        let kept = gap + .seconds(1)
        if device <= min(host, nothing) { return KeepAlive(device: kept, host: kept) }
        return host <= nothing ? KeepAlive(device: .zero, host: kept) : KeepAlive(device: .zero, host: .zero)
    }

    private static func seconds(_ span: TimeSpan) -> Double { Double(span.microseconds) * 1e-6 }
}
