internal import ApusCore
internal import ApusStore

/// Budgets where nothing costs anything, which would never be used up.
extension Prices {
    private static let remedy = "set `pool.prices` in apus.yaml, or APUS_POOL_PRICES, on every server"

    private func neverUse(_ bounds: CallBounds) -> Bool { self.isEmpty && bounds.budgetPerDay != nil }

    /// - Throws: `invalid_argument`.
    func check(_ bounds: CallBounds, of agent: ResourceName) throws(ApusError) {
        guard self.neverUse(bounds) else { return }
        throw ApusError(
            .invalidArgument,
            "the budget of the agent '\(agent.name)' would never be used up, since nothing has a price here: \(Self.remedy), or leave the budget out")
    }

    /// Of an agent that got its budget when there were prices, or from another server.
    func warning(about rights: AgentRights?) -> String? {
        guard let rights, self.neverUse(rights.limits) else { return nil }
        return "its budget is never used up, since nothing has a price here: \(Self.remedy)"
    }

    /// Of all of them, a sentence; nil where each budget counts.
    func warning(about catalogue: Catalogue) -> String? {
        guard self.isEmpty else { return nil }
        let agents = catalogue.principals.filter { $0.value.revoked == nil && $0.value.agent.map { self.neverUse($0.limits) } ?? false }.keys
        guard let first = agents.min() else { return nil }
        let whose = agents.count == 1 ? "the budget of the agent '\(first)' is" : "the budgets of \(agents.count) agents, '\(first)' among them, are"
        return "\(whose) never used up, since nothing has a price here: \(Self.remedy)"
    }
}
