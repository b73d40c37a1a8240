public import ApusCore

/// A run of a pool as text: what it was made with, then each input with its time, and after it what the pool decided of it.
///
///     pool 1 4294967296 1.0 0.02 90.0
///     1767225600000000 device 85899345920 0
///     1767225600500000 demand 3 0 1
///     > start 4294967296 3 0 disk
///     = 4294967296 absent starting.forking disk demand
public enum PoolRecording {
    /// Of lines as they are written now.
    public static let version = 1

    /// What is repeated needs a pool with the same memory and prices.
    public static func head(_ configuration: PoolConfiguration, _ prices: KeepAlivePrices) -> String {
        "pool \(Self.version) \(configuration.hostMemory) \(prices.deviceSecond) \(prices.hostSecond) "
            + "\(prices.waitingSecond)\n"
    }

    /// An input and what came of it, each a line.
    public static func block(
        _ input: PoolInput, at now: Timestamp, _ actions: [PoolAction], _ transitions: [InstanceTransition]
    ) -> String {
        var text = "\(now.microseconds) \(input.line)\n"
        for action in actions { text += "> \(action.line)\n" }
        for transition in transitions { text += "= \(transition.line)\n" }
        return text
    }

    /// The last line: from here on nothing was written down. One without it broke off.
    public static let end = "end\n"

    static func pool(head line: Substring) -> Pool? {
        var words = PoolWords(line)
        guard words.word() == "pool", words.number(Int.self) == Self.version, let host = words.number(Int64.self),
            let device = words.real(), let sleeping = words.real(), let waiting = words.real()
        else { return nil }
        let prices = KeepAlivePrices(deviceSecond: device, hostSecond: sleeping, waitingSecond: waiting)
        return Pool(PoolConfiguration(hostMemory: host), policy: .rentOrBuy(RentOrBuy(prices: prices)))
    }
}

extension PoolAction {
    fileprivate var line: String {
        switch self {
        case .fetch(let instance, let function): "fetch \(instance.rawValue) \(function.rawValue)"
        case .start(let instance, let function, let devices, let tier):
            "start \(instance.rawValue) \(function.rawValue) \(devices.map { "\($0.index)" }.joined(separator: ",")) \(tier)"
        case .load(let instance): "load \(instance.rawValue)"
        case .rest(let instance): "rest \(instance.rawValue)"
        case .sleep(let instance): "sleep \(instance.rawValue)"
        case .wake(let instance): "wake \(instance.rawValue)"
        case .drain(let instance): "drain \(instance.rawValue)"
        case .stop(let instance): "stop \(instance.rawValue)"
        }
    }
}

extension InstanceTransition {
    fileprivate var line: String {
        "\(self.instance.rawValue) \(self.from.word) \(self.to.word) \(self.tier) \(self.cause)"
    }
}

extension InstanceState {
    fileprivate var word: String {
        switch self {
        case .absent: "absent"
        case .starting(let phase): "starting.\(phase)"
        case .ready: "ready"
        case .busy(let running): "busy.\(running)"
        case .sleeping: "sleeping"
        case .draining: "draining"
        case .stopped: "stopped"
        case .quarantined: "quarantined"
        }
    }
}
