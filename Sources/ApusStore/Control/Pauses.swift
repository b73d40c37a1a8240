public import ApusCore
internal import ApusManifest

/// What an operator paused: a function, or one of its triggers. Records of a kind of their own, so that a deploy undoes
/// none.
public struct PauseTarget: Sendable, Hashable {
    public var function: ResourceName
    /// Nil for the function whole.
    public var trigger: String?

    public init(_ function: ResourceName, trigger: String? = nil) {
        self.function = function
        self.trigger = trigger
    }

    /// The name of its control record: `function`, or `function/trigger`.
    var recordName: String { self.trigger.map { "\(self.function.name)/\($0)" } ?? self.function.name }

    init?(_ namespace: Namespace, recordName: String) {
        let parts = recordName.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard (1...2).contains(parts.count), let function = ResourceName(namespace, parts[0]),
            parts.count == 1 || isLabel(parts[1])
        else { return nil }
        self.init(function, trigger: parts.count == 2 ? parts[1] : nil)
    }
}

/// The pauses of one function that hold now.
public struct Pauses: Sendable, Equatable {
    /// Who paused it, and when.
    public struct Pause: Sendable, Equatable {
        public var principal: String
        public var since: Timestamp
    }

    public internal(set) var function: Pause?
    public internal(set) var triggers: [String: Pause] = [:]

    var isEmpty: Bool { self.function == nil && self.triggers.isEmpty }

    subscript(trigger: String?) -> Pause? {
        get { trigger.map { self.triggers[$0] } ?? self.function }
        set { if let trigger { self.triggers[trigger] = newValue } else { self.function = newValue } }
    }
}

extension Catalogue.Function {
    /// No work of it is begun.
    public var isPaused: Bool { self.pauses.function != nil }

    /// Whether a trigger brings nothing: it is paused itself, by its manifest or an operator, or its function is.
    public func isPaused(_ trigger: String) -> Bool {
        self.isPaused || self.pauses.triggers[trigger] != nil
            || self.manifest.pausedTriggers.contains(trigger)
    }

    /// All triggers that bring nothing.
    public var pausedTriggers: Set<String> { Set(self.manifest.triggerNames.filter { self.isPaused($0) }) }
}
