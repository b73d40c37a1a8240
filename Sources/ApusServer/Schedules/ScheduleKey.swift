internal import ApusCore

/// Names a scheduled trigger.
struct ScheduleKey: Sendable, Hashable, Comparable, CustomStringConvertible {
    var function: ResourceName
    var trigger: String

    /// `namespace/function/trigger`: the key of its record on `apus.schedule`.
    var description: String { "\(self.function.namespace)/\(self.function.name)/\(self.trigger)" }

    init(function: ResourceName, trigger: String) {
        self.function = function
        self.trigger = trigger
    }

    init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3, let namespace = Namespace(parts[0]), let function = ResourceName(namespace, parts[1]),
            isLabel(parts[2])
        else { return nil }
        self.init(function: function, trigger: parts[2])
    }

    static func < (left: ScheduleKey, right: ScheduleKey) -> Bool {
        (left.function, left.trigger) < (right.function, right.trigger)
    }
}
