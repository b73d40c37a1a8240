internal import ApusCore
internal import ApusEngine
internal import ApusJSON

/// Why the last start of a function was what it was, for people: made of its instances' transitions.
struct StartStory: Sendable, Equatable {
    /// How the last instance that could have served ended, and when.
    private var ending: (cause: InstanceTransition.Cause, at: Timestamp)?
    private(set) var last: Start?

    struct Start: Sendable, Equatable {
        var at: Timestamp
        var tier: Tier
        var cause: InstanceTransition.Cause
        /// A sentence.
        var why: String
        /// How long it took; nil while it is under way.
        var took: TimeSpan?
    }

    static func == (left: StartStory, right: StartStory) -> Bool {
        left.last == right.last && left.ending?.at == right.ending?.at && left.ending?.cause == right.ending?.cause
    }

    /// Most transitions are uses, which tell nothing of starts.
    static func isAbout(_ transition: InstanceTransition) -> Bool {
        switch (transition.from, transition.to) {
        case (.busy, .stopped), (_, .busy), (.busy, _): transition.to == .stopped
        default: true
        }
    }

    /// - Parameter others: its other instances that serve already, or start.
    mutating func note(_ transition: InstanceTransition, others: Int) {
        switch (transition.from, transition.to) {
        case (.absent, .starting), (.sleeping, .starting):
            self.last = Start(
                at: transition.at, tier: transition.tier, cause: transition.cause,
                why: self.why(transition, others: others))
        case (.starting, .ready):
            if let start = self.last { self.last?.took = transition.at - start.at }
        case (_, .stopped) where others == 0:
            self.ending = (transition.cause, transition.at)
        default: break
        }
    }

    private func why(_ transition: InstanceTransition, others: Int) -> String {
        if transition.tier == .remote { return "cold, and fetched first: its weights are not all on this machine's disk" }
        if transition.tier == .host { return "warm in the host's memory: its instance slept there and was woken" }
        if others > 0 { return "cold: \(others) instances were there already, and more work came than they take" }
        switch transition.cause {
        case .rollout: return "cold: a new revision starts from its files"
        case .minimum: return "cold: `scale.min` asks for an instance"
        case .prediction: return "cold: its next use is expected"
        default: break
        }
        guard let ending = self.ending else {
            return "cold: no instance was there; it is the first since the server's start"
        }
        let ago = TimeSpan(microseconds: (transition.at - ending.at).microseconds / 1_000_000 * 1_000_000)
        let before = "cold: no instance was there; the last one ended \(ago) before"
        return switch ending.cause {
        case .idle: "\(before), idle for as long as `scale.gpuIdle` and `scale.hostIdle` keep it"
        case .eviction:
            "\(before), to make room for another function: there was none for it in the host's memory, or it cannot sleep"
        case .rollout: "\(before), replaced by a new revision"
        case .failure: "\(before): it failed"
        case .removal: "\(before), with its deployment"
        default: before
        }
    }
}

extension StartStory.Start {
    var json: JSONValue {
        [
            "at": .string(RFC3339.format(self.at)), "from": .string("\(self.tier)"), "cause": .string("\(self.cause)"),
            "why": .string(self.why), "seconds": self.took.map { .double(Double($0.microseconds) * 1e-6) } ?? .null,
        ]
    }
}
