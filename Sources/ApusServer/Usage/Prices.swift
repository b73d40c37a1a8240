/// What things cost, as the configuration says. Without a price a part costs nothing, and answers say that there is none.
public struct Prices: Sendable, Equatable {
    /// Of an hour of a device, by kind.
    public var devices: [String: Double] = [:]
    /// Of a GiB of the host's memory for an hour: what workers may take, and the tier of what sleeps.
    public var host: Double = 0
    /// Of a processor for an hour.
    public var processor: Double = 0
    public var currency = "USD"

    public init() {}

    public var isEmpty: Bool { self.devices.isEmpty && self.host == 0 && self.processor == 0 }
}

/// What something came to.
struct Cost: Sendable, Equatable {
    var device = 0.0
    var host = 0.0
    var memory = 0.0
    var processor = 0.0

    var total: Double { self.device + self.host + self.memory + self.processor }

    static func += (left: inout Cost, right: Cost) {
        left.device += right.device
        left.host += right.host
        left.memory += right.memory
        left.processor += right.processor
    }

    static func * (cost: Cost, factor: Double) -> Cost {
        Cost(
            device: cost.device * factor, host: cost.host * factor, memory: cost.memory * factor,
            processor: cost.processor * factor)
    }
}
