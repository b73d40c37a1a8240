internal import ApusCore
internal import ApusJSON

/// Agents, a line each: what `apus agent list` and `apus get agents` show.
struct AgentTable {
    let context: CommandContext

    func text(_ items: [JSONValue]) -> String {
        var table = TextTable(["NAME", "ID", "SERVERS", "SCOPES", "LIMITS", "STATE", "CREATED", "EXPIRES"])
        for item in items {
            func list(_ name: String, _ none: String) -> String {
                let texts = (item[name]?.array ?? []).compactMap(\.string)
                return texts.isEmpty ? none : texts.joined(separator: ",")
            }
            table.add([
                item["name"]?.string ?? "", item["id"]?.string ?? "-", list("servers", "all"), list("scopes", "none"),
                Self.limits(item["limits"], isCounted: item["warnings"] == nil), item["state"]?.string ?? "", self.context.ago(item["created"]),
                item["expires"].map { self.context.ago($0) } ?? "never",
            ])
        }
        return table.render(width: self.context.terminal.width)
    }

    private static func limits(_ json: JSONValue?, isCounted: Bool) -> String {
        let names = [("callsPerMinute", "/min"), ("callsPerDay", "/day"), ("concurrent", " at once")]
        let texts = names.compactMap { name, unit in json?[name]?.integer.map { "\($0)\(unit)" } }
        let budget = json?["budgetPerDay"]?.double.flatMap { Money($0) }.map { ["\($0.text) spent/day" + (isCounted ? "" : " (no prices)")] } ?? []
        return texts.isEmpty && budget.isEmpty ? "none" : (texts + budget).joined(separator: ", ")
    }
}
