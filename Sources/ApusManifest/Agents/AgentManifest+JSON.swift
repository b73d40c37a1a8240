internal import ApusCore
internal import ApusJSON

extension AgentManifest {
    var json: JSONValue {
        var limits: JSONValue = [:]
        for (name, value) in [
            ("callsPerMinute", self.limits.callsPerMinute), ("concurrent", self.limits.concurrent),
            ("callsPerDay", self.limits.callsPerDay),
        ] {
            if let value { limits[name] = .integer(value) }
        }
        if let budget = self.limits.budgetPerDay { limits["budgetPerDay"] = .double(budget.amount) }
        let spec: JSONValue = [
            "servers": .array(self.servers.map { .string($0) }), "scopes": .array(self.scopes.map { .string($0) }),
            "limits": limits,
        ]
        return Manifest.document(Manifest.agent(self).identity, self.labels, spec)
    }
}
