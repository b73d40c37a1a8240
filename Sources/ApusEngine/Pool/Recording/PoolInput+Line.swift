internal import ApusCore

/// Inputs as lines of words, for recordings. Times are microseconds, sizes bytes, `-` is what was left open.
extension PoolInput {
    public var line: String {
        switch self {
        case .message(let message): message.line
        case .device(let capacity, let kind): "device \(capacity) \(kind)"
        case .observed(let device, let used, let attributed): "observed \(device.index) \(used) \(attributed)"
        case .quarantined(let device, let reason):
            "quarantined \(device.index) \(String(reason.map { $0.isNewline ? " " : $0 }))"
        case .lost(let device): "lost \(device.index)"
        case .draining(let device): "draining \(device.index)"
        case .cleared(let device): "cleared \(device.index)"
        case .used(let instance, let count): "used \(instance.rawValue) \(count)"
        case .released(let instance, let count): "released \(instance.rawValue) \(count)"
        case .drained(let instance): "drained \(instance.rawValue)"
        case .tick: "tick"
        }
    }

    /// - Returns: nil for what no ``line`` is.
    public init?(line: Substring) {
        var words = PoolWords(line)
        guard let kind = words.word(), let input = Self.read(kind, &words), words.isAtEnd else { return nil }
        self = input
    }

    private static func read(_ kind: Substring, _ words: inout PoolWords) -> PoolInput? {
        switch kind {
        case "tick": return .tick
        case "device":
            guard let capacity = words.number(Int64.self), let kind = words.number(Int.self) else { return nil }
            return .device(capacity: capacity, kind: kind)
        case "observed", "quarantined", "lost", "draining", "cleared":
            return words.device().flatMap { Self.read(kind, of: $0, &words) }
        case "used", "released", "drained":
            guard let instance = words.instance() else { return nil }
            if kind == "drained" { return .drained(instance) }
            guard let count = words.number(Int.self) else { return nil }
            return kind == "used" ? .used(instance, count) : .released(instance, count)
        default: return PoolMessage.read(kind, &words).map { .message($0) }
        }
    }

    private static func read(_ kind: Substring, of device: DeviceID, _ words: inout PoolWords) -> PoolInput? {
        switch kind {
        case "quarantined": return .quarantined(device, words.rest())
        case "lost": return .lost(device)
        case "draining": return .draining(device)
        case "cleared": return .cleared(device)
        default:
            guard let used = words.number(Int64.self), let attributed = words.number(Int64.self) else { return nil }
            return .observed(device, used: used, attributed: attributed)
        }
    }
}
