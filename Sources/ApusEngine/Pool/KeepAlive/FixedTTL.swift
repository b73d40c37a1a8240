public import ApusCore

/// The same stay for everyone: what most platforms do, and the line that the others are measured against.
public struct FixedTTL: KeepAlivePolicy {
    public var keepAlive: KeepAlive

    /// - Parameter host: nil stops the instance when it leaves the device.
    public init(device: TimeSpan, host: TimeSpan? = nil) {
        self.keepAlive = KeepAlive(device: device, host: host ?? device)
    }

    public mutating func observe(gap: TimeSpan, of function: Int) {}

    public mutating func keep(_ function: Int, _ view: KeepAliveView) -> KeepAlive { self.keepAlive }
}
