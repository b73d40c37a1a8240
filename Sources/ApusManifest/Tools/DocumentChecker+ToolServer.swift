internal import ApusCore

extension DocumentChecker {
    mutating func toolServer(_ document: Checked) -> ToolServerManifest? {
        guard let spec = document["spec"],
            let name = document["metadata"]?["name"]?.text.flatMap({ ResourceName(self.namespace(document), $0) })
        else { return nil }
        self.lint(spec["instructions"], of: nil)
        return ToolServerManifest(
            name: name, labels: document["metadata"]?["labels"]?.texts ?? [:], title: spec["title"]?.text,
            tools: self.selector(spec["tools"]), prompts: self.selector(spec["prompts"]),
            resources: self.selector(spec["resources"]), instructions: spec["instructions"]?.text,
            mode: spec["mode"]?.text == "search" ? .search : .full,
            authentication: spec["auth"]?.text == "none" ? .none : .required, keep: spec["keep"]?.span ?? .zero,
            bounds: Self.bounds(spec["limits"]),
            approval: Self.approval(spec["approval"]),
            locations: self.checker.locations)
    }

    /// What `approval` says, of a tool or of a tool server.
    static func approval(_ field: Checked?) -> ToolManifest.Approval {
        ToolManifest.Approval(
            when: field?["when"]?.text.flatMap { .init(rawValue: $0) } ?? .never,
            by: field?["by"]?.text.flatMap { .init(rawValue: $0) } ?? .caller)
    }

    /// What `limits` says, of a tool or of a tool server.
    static func bounds(_ field: Checked?) -> ToolManifest.Bounds {
        ToolManifest.Bounds(
            callsPerSecond: field?["callsPerSecond"]?.integer.map(Int.init),
            callsPerDay: field?["callsPerDay"]?.integer.map(Int.init),
            concurrency: field?["concurrency"]?.integer.map(Int.init))
    }

    private func selector(_ field: Checked?) -> ToolServerManifest.Selector {
        guard let field else { return .none }
        if let word = field.text { return word == "all" ? .all : .none }
        if let labels = field["labels"] { return .labels(labels.texts) }
        return .names(field["names"]?.list.compactMap(\.text) ?? [])
    }
}
