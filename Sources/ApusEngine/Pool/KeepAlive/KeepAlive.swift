public import ApusCore

/// How long an idle instance keeps what it holds.
public struct KeepAlive: Sendable, Hashable {
    /// After its last use, how long its weights stay on the device. Then it sleeps, or stops where it cannot sleep.
    public var device: TimeSpan
    /// After its last use, how long they stay in the host's memory. Never shorter than ``device``.
    public var host: TimeSpan
    /// After its last use, between when and when it is on the device again, ahead of a predicted use. Nil: never.
    public var prewarm: Range<TimeSpan>?

    public init(device: TimeSpan, host: TimeSpan, prewarm: Range<TimeSpan>? = nil) {
        self.device = device
        self.host = max(device, host)
        self.prewarm = prewarm
    }

    /// As long as nothing else wants the room.
    public static let unbounded = KeepAlive(device: .unbounded, host: .unbounded)
}

extension TimeSpan {
    /// Longer than any server runs, and small enough to be added to any moment.
    static let unbounded = TimeSpan(microseconds: Int64.max / 4)

    static func + (left: TimeSpan, right: TimeSpan) -> TimeSpan {
        let (sum, isOver) = left.microseconds.addingReportingOverflow(right.microseconds)
        return TimeSpan(microseconds: isOver ? .max : sum)
    }

    static func * (left: TimeSpan, right: Int64) -> TimeSpan {
        let (product, isOver) = left.microseconds.multipliedReportingOverflow(by: right)
        return TimeSpan(microseconds: isOver ? .max : product)
    }
}

/// What a policy is told of a function whose instance became idle.
public struct KeepAliveView: Sendable, Hashable {
    /// How long a start from the host's memory takes; zero where the function cannot sleep.
    public var wake: TimeSpan
    /// How long a start from disk takes.
    public var cold: TimeSpan
    /// What its weights take on the device, and as much in the host's memory while it sleeps.
    public var bytes: Int64
    /// It has hooks that let it move between the device and the host's memory.
    public var canSleep: Bool

    public init(wake: TimeSpan, cold: TimeSpan, bytes: Int64, canSleep: Bool) {
        self.wake = wake
        self.cold = cold
        self.bytes = bytes
        self.canSleep = canSleep
    }
}

/// What a second of each thing is worth, all in the same unit.
public struct KeepAlivePrices: Sendable, Hashable {
    /// A second that one instance holds a device.
    public var deviceSecond: Double
    /// A second that one instance's weights lie in the host's memory.
    public var hostSecond: Double
    /// A second that somebody waits for a start.
    public var waitingSecond: Double

    public init(deviceSecond: Double = 1, hostSecond: Double = 0.02, waitingSecond: Double = 94) {
        self.deviceSecond = deviceSecond
        self.hostSecond = hostSecond
        self.waitingSecond = waitingSecond
    }
}

/// Decides how long what is idle stays. Pure: the same gaps give the same answer, live and simulated.
public protocol KeepAlivePolicy: Sendable {
    /// A function's next use came `gap` after its last one had ended.
    mutating func observe(gap: TimeSpan, of function: Int)

    /// - Parameter function: the place of the function, from 0; the policy keeps room for as many as it has seen.
    mutating func keep(_ function: Int, _ view: KeepAliveView) -> KeepAlive
}
