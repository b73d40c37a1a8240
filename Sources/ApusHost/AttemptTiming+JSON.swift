internal import ApusCore
public import ApusJSON

extension AttemptTiming {
    /// What records and answers say of it, in microseconds, but for ``committing``: not known when a record is written.
    public var members: [(String, JSONValue)] {
        var members: [(String, JSONValue)] = [
            ("queued", .number(self.queued.microseconds)), ("start", .string(self.startTier.rawValue)),
            ("starting", .number(self.starting.microseconds)), ("running", .number(self.running.microseconds)),
            ("isolation", .string(self.isolation.level.name)),
            ("isolationMode", .string(self.isolation.mode.rawValue)),
            ("calls", .string(self.isolation.calls.rawValue)),
            ("missingLayers", .array(self.isolation.missingLayers.map { .string($0) })),
        ]
        if !self.denials.isEmpty { members.append(("denied", .array(self.denials.map(Self.json)))) }
        return members
    }

    private static func json(_ denial: Denial) -> JSONValue {
        [
            "call": .string(denial.call), "arguments": .string(denial.arguments),
            "count": .number(Int64(denial.count)),
        ]
    }
}
