internal import ApusCore
internal import ApusJSON

extension DocumentChecker {
    mutating func agent(_ document: Checked) -> AgentManifest? {
        guard let spec = document["spec"],
            let name = document["metadata"]?["name"]?.text.flatMap({ ResourceName(self.namespace(document), $0) })
        else { return nil }
        let limits = spec["limits"]
        var agent = AgentManifest(
            name: name, labels: document["metadata"]?["labels"]?.texts ?? [:], servers: Self.distinct(spec["servers"]),
            scopes: Self.distinct(spec["scopes"]),
            limits: CallBounds(
                callsPerMinute: limits?["callsPerMinute"]?.integer, concurrent: limits?["concurrent"]?.integer,
                callsPerDay: limits?["callsPerDay"]?.integer,
                budgetPerDay: limits?["budgetPerDay"]?.plain.double.flatMap { Money($0) }))
        agent.locations = self.checker.locations
        return agent
    }

    /// Saying a thing twice says it once.
    private static func distinct(_ field: Checked?) -> [String] {
        (field?.list.compactMap(\.text) ?? []).reduce(into: []) { if !$0.contains($1) { $0.append($1) } }
    }
}
