internal import ApusCore
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON

/// How answers and states say where an attempt's time went.
extension AttemptTiming {
    /// For browsers and proxies: milliseconds, as their tools show them.
    static let serverTimingHeader = "Server-Timing"
    /// For programs: whole microseconds.
    static let header = "Apus-Timing"

    var parts: [(name: String, span: TimeSpan)] {
        [("queued", self.queued), ("starting", self.starting), ("running", self.running)]
            + (self.committing.map { [("committing", $0)] } ?? [])
    }

    /// `queued;dur=0.041, starting;dur=0;desc="ready", running;dur=1.207, committing;dur=0`
    var serverTiming: String {
        self.parts.map { name, span in
            let description = name == "starting" ? ";desc=\"\(self.startTier.rawValue)\"" : ""
            return "\(name);dur=\(Self.milliseconds(span))\(description)"
        }.joined(separator: ", ")
    }

    /// `queued=41, start=ready, starting=0, running=1207, committing=0`
    var headerValue: String {
        var parts = self.parts.map { "\($0.name)=\($0.span.microseconds)" }
        parts.insert("start=\(self.startTier.rawValue)", at: 1)
        return parts.joined(separator: ", ")
    }

    /// As states of invocations and recent deliveries hold it: microseconds.
    var json: JSONValue {
        [
            "queued": .number(self.queued.microseconds), "start": .string(self.startTier.rawValue),
            "starting": .number(self.starting.microseconds), "running": .number(self.running.microseconds),
            "committing": self.committing.map { .number($0.microseconds) } ?? .null,
        ]
    }

    private static func milliseconds(_ span: TimeSpan) -> String {
        let rest = span.microseconds % 1_000
        guard rest != 0 else { return "\(span.microseconds / 1_000)" }
        let digits = String(rest + 1_000).dropFirst()
        return "\(span.microseconds / 1_000).\(digits)"
    }
}

extension HTTPExchange {
    /// Puts the timing into the head of the answer that follows.
    func add(_ timing: AttemptTiming) {
        self.add(header: AttemptTiming.serverTimingHeader, timing.serverTiming)
        self.add(header: AttemptTiming.header, timing.headerValue)
    }
}
