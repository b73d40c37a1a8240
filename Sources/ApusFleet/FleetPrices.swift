internal import ApusEngine

/// What a fleet costs, in any currency.
public struct FleetPrices: Sendable, Hashable {
    /// A device for an hour, whole.
    public var device = 2.5
    /// A GiB of the host's memory for an hour.
    public var host = 0.001
    /// A second that somebody waits for a start; nil is found on the first half of the trace, see ``PolicyComparison/tune(_:)``.
    public var waiting: Double?

    public init() {}

    /// What the policies weigh, in seconds of holding one model on a device.
    func keepAlive(_ fleet: FleetSimulation.Fleet, waitingSecond: Double) -> KeepAlivePrices {
        let device = max(1e-9, self.deviceHour(fleet))
        return KeepAlivePrices(
            deviceSecond: 1, hostSecond: min(1, self.hostHour(fleet) / device), waitingSecond: waitingSecond)
    }

    /// One model on a device for an hour: its part of the memory.
    public func deviceHour(_ fleet: FleetSimulation.Fleet) -> Double {
        self.device * Double(fleet.modelBytes) / Double(max(1, fleet.deviceBytes))
    }

    /// One model in the host's memory for an hour.
    public func hostHour(_ fleet: FleetSimulation.Fleet) -> Double {
        self.host * Double(fleet.modelBytes) / Double(1 << 30)
    }
}
