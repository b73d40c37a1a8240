internal import ApusCore
internal import ApusJSON

extension Command {
    static let get = Command(
        CommandDescription(
            name: "get", summary: "list functions, topics, instances or invocations, or show one",
            positionals: [
                PositionalDescription(
                    name: "KIND", summary: "functions, topics, instances or invocations", values: .anything
                ),
                PositionalDescription(name: "NAME", summary: "one of them", isOptional: true, values: .functions),
            ],
            options: [
                .value("--function", "NAME", "invocations of this function only", values: .functions),
                .value(
                    "--state", "STATE", "invocations in this state only",
                    values: .oneOf(InvocationState.allCases.map(\.rawValue))),
                .value("--limit", "COUNT", "how many invocations at most (100)"),
            ],
            examples: [
                .init("apus get functions", "What is deployed?"),
                .init("apus get topics -n search", "The topics of another namespace"),
                .init("apus get function embed-text --output yaml", "One function, whole"),
                .init("apus get instances", "The workers that exist now, and what they do"),
                .init("apus get invocations --state failed", "Asynchronous invocations, the newest first"),
            ]
        )
    ) { context in
        let kind = try ResourceKind(context.arguments["KIND"] ?? "")
        let client = try context.client()
        guard let name = context.arguments["NAME"] else {
            // Workers belong to the whole server, not to a namespace.
            let path = kind == .instance ? "/v1/instances" : client.path(kind.plural)
            let answer = try client.call(APIRequest(.get, path, query: try GetCommand.filters(kind, context))).json()
            return try context.show(answer) { GetCommand.table(kind, JSONLines.list(answer) ?? [], context) }
        }
        guard kind != .instance else {
            throw UsageError("an instance has no name; 'apus get instances' lists all of them")
        }
        let answer = try client.call(APIRequest(.get, client.path(kind.plural, name))).json()
        try context.show(answer) { GetCommand.table(kind, [answer], context) }
    }

    static let describe = Command(
        CommandDescription(
            name: "describe", summary: "show everything about a function, topic or invocation",
            positionals: [
                PositionalDescription(name: "KIND", summary: "function, topic or invocation; left out for a function"),
                PositionalDescription(name: "NAME", summary: "its name", isOptional: true, values: .functions),
            ],
            examples: [
                .init("apus describe embed-text", "A function, its triggers and positions"),
                .init("apus describe topic documents", "A topic and its partitions"),
                .init("apus describe invocation ID", "Its state, timings and failure"),
            ]
        )
    ) { context in
        let (kind, name) = try ResourceKind.parse(context.arguments)
        let client = try context.client()
        let answer = try client.call(APIRequest(.get, client.path(kind.plural, name))).json()
        try context.show(answer) { DescribeText.of(answer, context) }
    }

    static let delete = Command(
        CommandDescription(
            name: "delete", summary: "delete a function, or a topic with its events; cancel an invocation",
            details: "A topic that a function still uses is not deleted.",
            positionals: [
                PositionalDescription(name: "KIND", summary: "function, topic or invocation; left out for a function"),
                PositionalDescription(name: "NAME", summary: "its name", isOptional: true, values: .functions),
            ],
            options: [.value("--if-generation", "NUMBER", "only while it is at this generation")],
            examples: [
                .init("apus delete embed-text", "Delete a function"),
                .init("apus delete topic documents", "Delete a topic and its events"),
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

    static func table(_ kind: ResourceKind, _ items: [JSONValue], _ context: CommandContext) -> String {
        if items.isEmpty { return "no \(kind.plural)\n" }
        switch kind {
        case .function:
            var table = TextTable(["NAME", "RUNTIME", "TRIGGERS", "GENERATION", "REVISION", "UPDATED"])
            for item in items {
                let spec = item["manifest"]?["spec"]
                let triggers = (spec?["triggers"]?.array ?? []).compactMap { $0["topic"]?.string }
                table.add([
                    item["name"]?.string ?? "", spec?["runtime"]?.string ?? "",
                    triggers.isEmpty ? "-" : triggers.joined(separator: ","),
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
        case .instance:
            var table = TextTable(["WORKER", "FUNCTION", "STATE", "IN FLIGHT", "SINCE", "RUNTIME", "REVISION"])
            for item in items {
                table.add([
                    item["worker"]?.unsigned.map(String.init) ?? "", item["function"]?.string ?? "",
                    item["state"]?.string ?? "",
                    item["inFlight"]?.int.map(String.init) ?? "", context.ago(item["since"]),
                    item["runtime"]?.string ?? "",
                    String((item["revision"]?.string ?? "").prefix(12)),
                ])
            }
            return table.render(width: context.terminal.width)
        }
    }
}
