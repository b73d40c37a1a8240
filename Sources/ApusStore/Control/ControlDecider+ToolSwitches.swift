public import ApusCore

/// A tool of a function that nobody sees for now: who hid it, and when.
public struct DisabledTool: Sendable, Equatable {
    public var principal: String
    public var since: Timestamp

    public init(principal: String, since: Timestamp) {
        self.principal = principal
        self.since = since
    }
}

/// Tools of functions that are hidden from agents and shown again. It is the name that is hidden: a deploy of the function, or of another one
/// that offers it, does not bring it back.
extension ControlDecider {
    func switchTool(
        _ namespace: Namespace, _ tool: String, isDisabled: Bool, by principal: String
    ) throws(ApusError) -> ControlDecision {
        let known = self.catalogue.disabledTools[namespace]?[tool]
        let generation = self.catalogue.generation(.toolSwitch, namespace, tool)
        var outcome = ControlDecision.Outcome(
            kind: .toolSwitch, namespace: namespace, name: tool, action: .unchanged, generation: generation)
        guard (known != nil) != isDisabled else { return ControlDecision(outcomes: [outcome]) }
        let count = self.catalogue.disabledTools.values.reduce(0) { $0 + $1.count }
        guard !isDisabled || count < Limits.Control.disabledTools else {
            throw ApusError(
                .limitReached, "\(Limits.Control.disabledTools) tools are hidden, no more are possible: delete their functions")
        }
        outcome.action = .updated
        outcome.generation = generation + 1
        return ControlDecision(
            records: [
                ControlRecord(
                    kind: .toolSwitch, namespace: namespace, name: tool, generation: generation + 1, time: self.now,
                    content: isDisabled ? .toolDisabled(principal: principal) : .deleted)
            ],
            outcomes: [outcome])
    }
}
