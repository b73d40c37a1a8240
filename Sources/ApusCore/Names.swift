/// A tenant. Every name, topic, secret, tool, cache and limit belongs to one.
public struct Namespace: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let name: String

    /// - Returns: nil unless `name` is a valid label (see ``isLabel(_:)``).
    public init?(_ name: String) {
        guard isLabel(name) else { return nil }
        self.name = name
    }

    private init(unchecked name: String) { self.name = name }

    public static let `default` = Namespace(unchecked: "default")
    public var description: String { self.name }
    public static func < (left: Namespace, right: Namespace) -> Bool { left.name < right.name }
}

/// A function, tool server or other named resource of a namespace.
public struct ResourceName: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let namespace: Namespace
    public let name: String

    /// - Returns: nil unless `name` is a valid label.
    public init?(_ namespace: Namespace, _ name: String) {
        guard isLabel(name) else { return nil }
        self.namespace = namespace
        self.name = name
    }

    /// The name alone in `default`, else `namespace/name`.
    public var description: String { self.namespace == .default ? self.name : "\(self.namespace)/\(self.name)" }
    public static func < (left: ResourceName, right: ResourceName) -> Bool {
        (left.namespace.name, left.name) < (right.namespace.name, right.name)
    }
}

/// A topic by its name on the log: `orders` in the namespace `default`, `ns.team.orders` in the namespace `team`.
public struct TopicName: Sendable, Hashable, Comparable, CustomStringConvertible {
    /// The name on the log, whichever log is underneath.
    public let onLog: String

    /// A topic of users.
    /// - Returns: nil when the name is malformed or reserved (`apus.…`, `ns.…`).
    public init?(_ namespace: Namespace, _ name: String) {
        guard TopicName.isWellFormed(name), !TopicName.isReserved(name) else { return nil }
        self.onLog = namespace == .default ? name : "ns.\(namespace.name).\(name)"
        guard self.onLog.utf8.count <= Limits.topicNameBytes else { return nil }
    }

    /// A topic by its name on the log, reserved ones included. Only for names that came from the log or from this code.
    public init?(onLog name: String) {
        guard TopicName.isWellFormed(name) else { return nil }
        self.onLog = name
    }

    private init(unchecked name: String) { self.onLog = name }

    public static let control = TopicName(unchecked: "apus.control")
    /// Writes that some node asks for, and what became of them; only where several nodes share a log.
    public static let commands = TopicName(unchecked: "apus.commands")
    public static let answers = TopicName(unchecked: "apus.answers")
    /// What nodes on one log tell each other of sessions.
    public static let nodes = TopicName(unchecked: "apus.nodes")
    public static let dead = TopicName(unchecked: "apus.dead")
    public static let logs = TopicName(unchecked: "apus.logs")
    public static let schedule = TopicName(unchecked: "apus.schedule")
    public static let invocations = TopicName(unchecked: "apus.invocations")
    public static let bundles = TopicName(unchecked: "apus.bundles")
    /// What agents did.
    public static let audit = TopicName(unchecked: "apus.audit")
    public static let blobs = TopicName(unchecked: "apus.blobs")
    /// What was used, by whom, of which device.
    public static let usage = TopicName(unchecked: "apus.usage")
    /// How many calls of tools each caller made, for bounds that hold on all nodes and through restarts.
    public static let calls = TopicName(unchecked: "apus.calls")

    private static let invokePrefix = "apus.invoke."

    /// The accepted asynchronous invocations of a function.
    public static func invoke(_ function: ResourceName) -> TopicName {
        TopicName(unchecked: "\(invokePrefix)\(function.namespace).\(function.name)")
    }

    /// The function whose accepted invocations lie here; nil for any other topic.
    public var invokedFunction: ResourceName? {
        guard self.onLog.hasPrefix(Self.invokePrefix) else { return nil }
        let parts = self.onLog.dropFirst(Self.invokePrefix.count).split(
            separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 2, let namespace = Namespace(String(parts[0])) else { return nil }
        return ResourceName(namespace, String(parts[1]))
    }

    public var isControl: Bool { self.onLog.hasPrefix("apus.") }

    /// The namespace the topic belongs to and its name there; control topics belong to none.
    public var local: (namespace: Namespace, name: String)? {
        if self.isControl { return nil }
        guard self.onLog.hasPrefix("ns.") else { return (.default, self.onLog) }
        let rest = self.onLog.dropFirst(3)
        guard let dot = rest.firstIndex(of: "."), let namespace = Namespace(String(rest[..<dot])) else { return nil }
        return (namespace, String(rest[rest.index(after: dot)...]))
    }

    /// ASCII letters, digits, `.`, `_` and `-`, 1 to 249 bytes, not `.` or `..`: what Kafka allows.
    public static func isWellFormed(_ name: String) -> Bool {
        guard (1...Limits.topicNameBytes).contains(name.utf8.count), name != ".", name != ".." else { return false }
        return name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"),
                UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                true
            default: false
            }
        }
    }

    public static func isReserved(_ name: String) -> Bool { name.hasPrefix("apus.") || name.hasPrefix("ns.") }

    public var description: String { self.onLog }
    public static func < (left: TopicName, right: TopicName) -> Bool { left.onLog < right.onLog }
}

/// Whether a name may name a namespace, function or trigger: 1 to 63 of `a-z 0-9 -`, first and last no hyphen, no dot.
public func isLabel(_ name: String) -> Bool {
    let bytes = Array(name.utf8)
    guard (1...Limits.labelBytes).contains(bytes.count), bytes.first != UInt8(ascii: "-"),
        bytes.last != UInt8(ascii: "-")
    else {
        return false
    }
    return bytes.allSatisfy { byte in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"): true
        default: false
        }
    }
}
