internal import ApusJSON

/// Subscriptions for people: a line for each trigger on a topic, or for each of their partitions.
struct SubscriptionTable {
    let context: CommandContext

    /// `NAME` of `apus get subscriptions NAME`: a function, or `function/trigger`.
    static func query(_ name: String?, partitions: Bool) -> [(name: String, value: String)] {
        var query: [(name: String, value: String)] = partitions ? [("partitions", "true")] : []
        guard let name else { return query }
        let parts = name.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
        query.append(("function", parts[0]))
        if parts.count == 2 { query.append(("trigger", parts[1])) }
        return query
    }

    func text(_ items: [JSONValue]) -> String {
        if items.isEmpty { return "no subscriptions\n" }
        if items.contains(where: { $0["partitions"] != nil }) { return self.partitions(items) }
        var table = TextTable([
            "FUNCTION", "TRIGGER", "TOPIC", "STATE", "LAG", "OLDEST", "RUNNING", "RETRYING", "DEAD", "WHY",
        ])
        for item in items {
            table.add([
                item["function"]?.string ?? "", Self.trigger(item), item["topic"]?.string ?? "", Self.state(item),
                Self.count(item["lag"]), Self.age(item), Self.count(item["running"]), Self.count(item["retrying"]),
                Self.count(item["counters"]?["deadLetters"]), Self.why(item),
            ])
        }
        return table.render(width: self.context.terminal.width)
    }

    private func partitions(_ items: [JSONValue]) -> String {
        var table = TextTable([
            "FUNCTION", "TRIGGER", "PARTITION", "POSITION", "END", "LAG", "OLDEST", "RUNNING", "READY", "RETRYING",
            "HELD",
        ])
        for item in items {
            for partition in item["partitions"]?.array ?? [] {
                table.add([
                    item["function"]?.string ?? "", Self.trigger(item), Self.count(partition["partition"]),
                    Self.count(partition["position"]), Self.count(partition["end"]), Self.count(partition["lag"]),
                    partition["oldest"]?.string == nil ? "-" : self.context.ago(partition["oldest"]),
                    Self.count(partition["running"]), Self.count(partition["ready"]),
                    Self.count(partition["retrying"]), Self.count(partition["held"]),
                ])
            }
        }
        return table.render(width: self.context.terminal.width)
    }

    private static func trigger(_ item: JSONValue) -> String {
        let trigger = item["trigger"]?.string ?? ""
        return item["replay"]?.string.map { "\(trigger) (replay \($0))" } ?? trigger
    }

    private static func state(_ item: JSONValue) -> String {
        let state = item["state"]?.string ?? ""
        return state == "caught_up" ? "caught up" : state
    }

    private static func count(_ value: JSONValue?) -> String { value?.integer.map(String.init) ?? "" }

    private static func age(_ item: JSONValue) -> String {
        guard let seconds = item["oldestSeconds"]?.double else { return "-" }
        return TimeText.age(seconds: Int64(seconds))
    }

    private static func why(_ item: JSONValue) -> String {
        let reasons = (item["blocked"]?.array ?? []).compactMap { $0["message"]?.string }
        return reasons.isEmpty ? "-" : reasons.joined(separator: "; ")
    }
}
