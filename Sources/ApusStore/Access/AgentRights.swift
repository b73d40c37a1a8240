public import ApusCore
public import ApusJSON

/// What a principal that is an agent may do of what its role lets it: which tool servers it reaches, which scopes of tools it
/// holds, and how much it may ask for.
public struct AgentRights: Sendable, Equatable {
    /// Names of tool servers; none means all of its namespace.
    public var servers: [String]
    public var scopes: [String]
    public var limits: CallBounds

    public init(servers: [String] = [], scopes: [String] = [], limits: CallBounds = CallBounds()) {
        self.servers = servers
        self.scopes = scopes
        self.limits = limits
    }
}

extension AgentRights {
    public var json: JSONValue {
        var limits = JSONObject()
        for (name, value) in self.limits.members { limits[name] = value.map { .integer($0) } }
        if let budget = self.limits.budgetPerDay { limits["budgetPerDay"] = .double(budget.amount) }
        return [
            "servers": .array(self.servers.map { .string($0) }), "scopes": .array(self.scopes.map { .string($0) }),
            "limits": .object(limits),
        ]
    }

    /// Reads a record's, or an order's, member `agent`. What is missing is nothing.
    /// - Throws: the name of the member that is wrong.
    public init(json: JSONValue) throws(AgentRightsError) {
        guard let object = json.object else { throw AgentRightsError(member: "agent") }
        for name in object.names where !["servers", "scopes", "limits"].contains(name) {
            throw AgentRightsError(member: name)
        }
        self.init(
            servers: try Self.texts(json, "servers") { isLabel($0) },
            scopes: try Self.texts(json, "scopes") { text in
                (1...Limits.Control.scopeBytes).contains(text.utf8.count)
                    && text.utf8.allSatisfy { $0 > 0x20 && $0 < 0x7F && $0 != 0x22 && $0 != 0x5C }
            },
            limits: try CallBounds(json: json["limits"] ?? [:]))
    }

    private static func texts(
        _ json: JSONValue, _ name: String, _ isRight: (String) -> Bool
    ) throws(AgentRightsError) -> [String] {
        guard let member = json[name] else { return [] }
        guard let list = member.array, list.count <= Limits.Control.rightsPerAgent else {
            throw AgentRightsError(member: name)
        }
        var texts: [String] = []
        for element in list {
            guard let text = element.string, isRight(text) else { throw AgentRightsError(member: name) }
            if !texts.contains(text) { texts.append(text) }
        }
        return texts
    }
}

extension CallBounds {
    /// Those that are counts.
    var members: [(String, Int64?)] {
        [
            ("callsPerMinute", self.callsPerMinute), ("concurrent", self.concurrent), ("callsPerDay", self.callsPerDay),
        ]
    }

    init(json: JSONValue) throws(AgentRightsError) {
        guard let object = json.object else { throw AgentRightsError(member: "limits") }
        self.init()
        for name in object.names where name != "budgetPerDay" {
            guard let value = object[name]?.integer, (1...1_000_000_000).contains(value) else {
                throw AgentRightsError(member: "limits.\(name)")
            }
            switch name {
            case "callsPerMinute": self.callsPerMinute = value
            case "concurrent": self.concurrent = value
            case "callsPerDay": self.callsPerDay = value
            default: throw AgentRightsError(member: "limits.\(name)")
            }
        }
        guard let budget = object["budgetPerDay"] else { return }
        guard let amount = budget.double.flatMap({ Money($0) }), amount > .zero else {
            throw AgentRightsError(member: "limits.budgetPerDay")
        }
        self.budgetPerDay = amount
    }
}

/// Which member of an agent's rights is none.
public struct AgentRightsError: Error, Equatable { public let member: String }
