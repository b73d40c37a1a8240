internal import ApusCore
internal import ApusJSON

extension Command {
    static let get = Command(
        CommandDescription(
            name: "get",
            summary:
                "list functions, topics, tool servers, upstreams, agents, subscriptions, instances, devices, schedules, revisions or "
                + "invocations, or show one",
            positionals: [
                PositionalDescription(
                    name: "KIND",
                    summary:
                        "functions, topics, tool-servers, upstreams, agents, subscriptions, instances, devices, schedules, revisions or invocations",
                    values: .anything
                ),
                PositionalDescription(
                    name: "NAME", summary: "one of them; for revisions and subscriptions the function",
                    isOptional: true,
                    values: .functions),
            ],
            options: [
                .value("--function", "NAME", "invocations of this function only", values: .functions),
                .value(
                    "--state", "STATE", "invocations in this state only",
                    values: .oneOf(InvocationState.allCases.map(\.rawValue))),
                .value("--limit", "COUNT", "how many invocations at most (100)"),
                .flag("--partitions", "each partition of subscriptions"),
            ],
            examples: [
                .init("apus get functions", "What is deployed?"),
                .init("apus get topics -n search", "The topics of another namespace"),
                .init("apus get function embed-text --output yaml", "One function, whole"),
                .init("apus get tool-servers", "Which sets of tools agents can connect to"),
                .init("apus get upstreams", "Other MCP servers, and whether a tool of theirs waits to be accepted"),
                .init("apus get agents", "Which agents there are, and what they may call"),
                .init("apus get instances", "The workers that exist now, and what they do"),
                .init("apus get invocations --state failed", "Asynchronous invocations, the newest first"),
                .init("apus get subscriptions", "How far is each trigger on a topic, and what holds it up?"),
                .init("apus get subscriptions embed-text --partitions", "The same, partition by partition"),
                .init("apus get schedules", "What fires next, and what fired last"),
                .init("apus get command ID", "What became of a write that got no answer in time"),
                .init("apus get revisions embed-text", "The revisions that 'apus rollback' can return to"),
            ]
        )
    ) { context in
        if context.arguments["KIND"] == "command" { return try CommandLookup.show(context) }
        let kind = try ResourceKind(context.arguments["KIND"] ?? "")
        if kind == .device {
            guard context.arguments["NAME"] == nil else {
                throw UsageError("'apus get devices' lists all of them; --output json tells everything")
            }
            return try DevicesCommand(context: context).list()
        }
        let client = try context.client()
        if kind == .revision { return try GetCommand.revisions(client, context) }
        guard kind == .subscription || !context.arguments.has("--partitions") else {
            throw UsageError("--partitions is for subscriptions: 'apus get subscriptions --partitions'")
        }
        if kind == .subscription { return try GetCommand.subscriptions(client, context) }
        guard let name = context.arguments["NAME"] else {
            // Workers belong to the whole server, not to a namespace.
            let path = kind == .instance ? "/v1/instances" : client.path(kind.plural)
            let answer = try client.call(APIRequest(.get, path, query: try GetCommand.filters(kind, context))).json()
            return try context.show(answer) { GetCommand.table(kind, JSONLines.list(answer) ?? [], context) }
        }
        guard kind != .instance else {
            throw UsageError("an instance has no name; 'apus get instances' lists all of them")
        }
        if kind == .schedule { return try GetCommand.schedules(client, of: name, context) }
        let answer = try client.call(APIRequest(.get, client.path(kind.plural, name))).json()
        try context.show(answer) { GetCommand.table(kind, [answer], context) }
    }

    static let describe = Command(
        CommandDescription(
            name: "describe",
            summary: "show everything about a function, topic, tool server, upstream, agent, subscription or invocation",
            positionals: [
                PositionalDescription(
                    name: "KIND",
                    summary:
                        "function, topic, tool-server, upstream, agent, subscription or invocation; left out for a function"),
                PositionalDescription(
                    name: "NAME", summary: "its name; of a subscription FUNCTION/TRIGGER", isOptional: true,
                    values: .functions),
            ],
            examples: [
                .init("apus describe embed-text", "A function, its triggers and positions"),
                .init("apus describe topic documents", "A topic and its partitions"),
                .init("apus describe tool-server search", "A tool server: what it shows, and where"),
                .init("apus describe subscription embed-text/documents", "Positions, counters and what holds it up"),
                .init("apus describe invocation ID", "Its state, timings and failure"),
            ]
        )
    ) { context in
        let (kind, name) = try ResourceKind.parse(context.arguments, besides: [.subscription])
        let client = try context.client()
        if kind == .subscription { return try GetCommand.describeSubscription(name, client, context) }
        let answer = try client.call(APIRequest(.get, client.path(kind.plural, name))).json()
        try context.show(answer) { DescribeText.of(answer, context) }
    }

    static let delete = Command(
        CommandDescription(
            name: "delete",
            summary: "delete a function, a tool server, an upstream, or a topic with its events; revoke an agent; cancel an invocation",
            details:
                "A topic that a function still uses is not deleted. The tools of a tool server stay. The token of an agent is refused at "
                + "once, as by 'apus agent revoke'.",
            positionals: [
                PositionalDescription(
                    name: "KIND", summary: "function, topic, tool-server, upstream, agent or invocation; left out for a function"),
                PositionalDescription(name: "NAME", summary: "its name", isOptional: true, values: .functions),
            ],
            options: [.value("--if-generation", "NUMBER", "only while it is at this generation")],
            examples: [
                .init("apus delete embed-text", "Delete a function"),
                .init("apus delete topic documents", "Delete a topic and its events"),
                .init("apus delete tool-server search", "Delete a tool server, not its tools"),
                .init("apus delete invocation ID", "Cancel an invocation that waits or runs"),
            ]
        )
    ) { context in
        let (kind, name) = try ResourceKind.parse(context.arguments)
        let client = try context.client()
        var headers: [(name: String, value: String)] = []
        if let generation = try context.arguments.integer("--if-generation", in: 1...Int.max) {
            headers.append(("If-Match", "\"\(generation)\""))
        }
        let response = try client.call(APIRequest(.delete, client.path(kind.plural, name), headers: headers))
        if kind == .invocation {
            let answer = try response.json()
            return try context.show(answer) {
                answer["state"]?.string == "cancelled"
                    ? "cancelled invocation \(name)\n"
                    : "invocation \(name) will be cancelled once its worker is gone\n"
            }
        }
        try context.show(["kind": .string(kind.rawValue), "name": .string(name), "action": "deleted"]) {
            "deleted \(kind.rawValue) \(name)\n"
        }
    }
}

private enum GetCommand {
    /// What narrows a list of invocations; other kinds have no filters.
    static func filters(_ kind: ResourceKind, _ context: CommandContext) throws -> [(name: String, value: String)] {
        let limit = try context.arguments.integer("--limit", in: 1...Limits.Commands.listRows)
        let query = [
            ("function", context.arguments["--function"]), ("state", context.arguments["--state"]),
            ("limit", limit.map(String.init)),
        ].compactMap { name, value in value.map { (name: name, value: $0) } }
        guard kind == .invocation || query.isEmpty else {
            throw UsageError("--\(query[0].name) is for invocations: 'apus get invocations --\(query[0].name) …'")
        }
        return query
    }

    private static func state(_ function: JSONValue) -> String {
        if function["paused"]?.boolean == true { return "paused" }
        return function["pausedTriggers"]?.array?.isEmpty ?? true ? "active" : "partly paused"
    }

    /// The scheduled triggers of one function.
    static func schedules(_ client: APIClient, of name: String, _ context: CommandContext) throws {
        let all = try client.call(APIRequest(.get, client.path("schedules"))).json()
        let items = (JSONLines.list(all) ?? []).filter { $0["function"]?.string == name }
        try context.show(["items": .array(items)]) { self.table(.schedule, items, context) }
    }

    static func subscriptions(_ client: APIClient, _ context: CommandContext) throws {
        let query = SubscriptionTable.query(
            context.arguments["NAME"], partitions: context.arguments.has("--partitions"))
        let answer = try client.call(APIRequest(.get, client.path("subscriptions"), query: query)).json()
        try context.show(answer) { SubscriptionTable(context: context).text(JSONLines.list(answer) ?? []) }
    }

    /// The trigger with its partitions, and behind it its replays.
    static func describeSubscription(_ name: String, _ client: APIClient, _ context: CommandContext) throws {
        let query = SubscriptionTable.query(name, partitions: true)
        let answer = try client.call(APIRequest(.get, client.path("subscriptions"), query: query)).json()
        let items = JSONLines.list(answer) ?? []
        guard let first = items.first else {
            throw ApusError(
                .notFound,
                "there is no subscription '\(name)': name a FUNCTION/TRIGGER that 'apus get subscriptions' lists")
        }
        let whole = items.count == 1 ? first : answer
        try context.show(whole) {
            items.map { DescribeText.of($0, context) }.joined(separator: "\n")
        }
    }

    static func revisions(_ client: APIClient, _ context: CommandContext) throws {
        guard let name = context.arguments["NAME"] else {
            throw UsageError(
                "NAME is missing: revisions are those of a function, as in 'apus get revisions embed-text'")
        }
        let answer = try client.call(APIRequest(.get, client.path("functions", name, "revisions"))).json()
        try context.show(answer) { self.table(.revision, JSONLines.list(answer) ?? [], context) }
    }

    static func table(_ kind: ResourceKind, _ items: [JSONValue], _ context: CommandContext) -> String {
        if items.isEmpty { return "no \(kind.plural)\n" }
        switch kind {
        case .function:
            var table = TextTable(["NAME", "RUNTIME", "TRIGGERS", "STATE", "GENERATION", "REVISION", "UPDATED"])
            for item in items {
                let spec = item["manifest"]?["spec"]
                let triggers = (spec?["triggers"]?.array ?? []).compactMap {
                    $0["topic"]?.string ?? $0["schedule"]?["cron"]?.string.map { "cron \($0)" }
                }
                table.add([
                    item["name"]?.string ?? "", spec?["runtime"]?.string ?? "",
                    triggers.isEmpty ? "-" : triggers.joined(separator: ","), self.state(item),
                    item["generation"]?.unsigned.map(String.init) ?? "",
                    String((item["revision"]?.string ?? "").prefix(12)),
                    context.ago(item["updated"]),
                ])
            }
            return table.render(width: context.terminal.width)
        case .topic:
            var table = TextTable(["NAME", "PARTITIONS", "RETENTION", "COMPACT", "GENERATION", "UPDATED"])
            for item in items {
                let spec = item["manifest"]?["spec"]
                let retention = [spec?["retention"]?["time"]?.string, spec?["retention"]?["size"]?.string].compactMap {
                    $0
                }
                table.add([
                    item["name"]?.string ?? "", spec?["partitions"]?.int.map(String.init) ?? "",
                    retention.joined(separator: " "),
                    spec?["compact"]?.boolean == true ? "yes" : "no",
                    item["generation"]?.unsigned.map(String.init) ?? "",
                    context.ago(item["updated"]),
                ])
            }
            return table.render(width: context.terminal.width)
        case .toolServer:
            var table = TextTable(["NAME", "PATH", "TOOLS", "MODE", "AUTH", "GENERATION", "UPDATED"])
            for item in items {
                let spec = item["manifest"]?["spec"]
                table.add([
                    item["name"]?.string ?? "", item["path"]?.string ?? "", self.selector(spec?["tools"]),
                    spec?["mode"]?.string ?? "", spec?["auth"]?.string ?? "",
                    item["generation"]?.unsigned.map(String.init) ?? "", context.ago(item["updated"]),
                ])
            }
            return table.render(width: context.terminal.width)
        case .upstream:
            var table = TextTable(["NAME", "FUNCTION", "PREFIX", "AVAILABLE", "OFFERED", "QUARANTINED", "ASKED", "PROBLEM"])
            for item in items {
                let counts = item["counts"]
                table.add([
                    item["name"]?.string ?? "", item["function"]?.string ?? "", item["prefix"]?.string ?? "",
                    item["available"]?.boolean == true ? "yes" : "no",
                    String(counts?["offered"]?.int ?? 0), String(counts?["quarantined"]?.int ?? 0),
                    item["asked"]?.string == nil ? "-" : context.ago(item["asked"]),
                    SafeText.of(item["problem"]?.string ?? "-"),
                ])
            }
            return table.render(width: context.terminal.width)
        case .agent: return AgentTable(context: context).text(items)
        case .invocation:
            var table = TextTable(["ID", "FUNCTION", "STATE", "ATTEMPTS", "QUEUED", "FINISHED", "BY", "MESSAGE"])
            for item in items {
                table.add([
                    item["id"]?.string ?? "", item["function"]?.string ?? "", item["state"]?.string ?? "",
                    item["attempts"]?.int.map(String.init) ?? "", context.ago(item["queued"]),
                    item["finished"] == nil ? "-" : context.ago(item["finished"]), item["principal"]?.string ?? "",
                    item["message"]?.string ?? "-",
                ])
            }
            return table.render(width: context.terminal.width)
        case .schedule: return self.schedules(items, context)
        case .revision: return self.revisions(items, context)
        case .subscription: return SubscriptionTable(context: context).text(items)
        // Listed by `apus devices`.
        case .device: return ""
        case .instance:
            var table = TextTable(["WORKER", "FUNCTION", "STATE", "IN FLIGHT", "SINCE", "RUNTIME", "REVISION"])
            for item in items {
                table.add([
                    item["worker"]?.unsigned.map { $0 == 0 ? "" : String($0) } ?? "", item["function"]?.string ?? "",
                    (item["state"]?.string ?? "") + (item["weights"].map { " (fetching, \(FetchText.of($0)))" } ?? ""),
                    item["inFlight"]?.int.map(String.init) ?? "", context.ago(item["since"]),
                    item["runtime"]?.string ?? "",
                    String((item["revision"]?.string ?? "").prefix(12)),
                ])
            }
            return table.render(width: context.terminal.width)
        }
    }

    /// `all`, `team=search`, or how many names.
    private static func selector(_ value: JSONValue?) -> String {
        if let word = value?.string { return word }
        if let labels = value?["labels"]?.object {
            return labels.map { "\($0.name)=\($0.value.string ?? "")" }.joined(separator: ",")
        }
        let names = value?["names"]?.array ?? []
        return names.count == 1 ? "1 name" : "\(names.count) names"
    }

    private static func schedules(_ items: [JSONValue], _ context: CommandContext) -> String {
        var table = TextTable(["FUNCTION", "TRIGGER", "CRON", "ZONE", "MISSED", "STATE", "NEXT", "LAST", "INVOCATION"])
        for item in items {
            let isPaused = item["paused"]?.boolean == true
            table.add([
                item["function"]?.string ?? "", item["trigger"]?.string ?? "", item["cron"]?.string ?? "",
                item["zone"]?.string ?? "", item["missed"]?.string ?? "",
                isPaused ? "paused" : item["problem"]?.string ?? "active", item["next"]?.string ?? "-",
                item["last"]?["scheduled"]?.string ?? "-", item["last"]?["invocation"]?.string ?? "-",
            ])
        }
        return table.render(width: context.terminal.width)
    }

    private static func revisions(_ items: [JSONValue], _ context: CommandContext) -> String {
        var table = TextTable(["REVISION", "GENERATION", "STATE", "DEPLOYED"])
        for item in items {
            let state = item["current"]?.boolean == true ? "runs" : item["kept"]?.boolean == true ? "kept" : "gone"
            table.add([
                String((item["revision"]?.string ?? "").prefix(12)),
                item["generation"]?.unsigned.map(String.init) ?? "",
                state, context.ago(item["deployed"]),
            ])
        }
        return table.render(width: context.terminal.width)
    }
}
