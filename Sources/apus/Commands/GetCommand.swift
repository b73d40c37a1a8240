internal import ApusCore
internal import ApusJSON

extension Command {
    static let get = Command(
        CommandDescription(
            name: "get", summary: "list functions, topics or instances, or show one",
            positionals: [
                PositionalDescription(
                    name: "KIND", summary: "functions, topics or instances", values: .anything
                ),
                PositionalDescription(name: "NAME", summary: "one of them", isOptional: true, values: .functions),
            ],
            examples: [
                .init("apus get functions", "What is deployed?"),
                .init("apus get topics -n search", "The topics of another namespace"),
                .init("apus get function embed-text --output yaml", "One function, whole"),
                .init("apus get instances", "The workers that exist now, and what they do"),
            ]
        )
    ) { context in
        let kind = try ResourceKind(context.arguments["KIND"] ?? "")
        let client = try context.client()
        guard let name = context.arguments["NAME"] else {
            // Workers belong to the whole server, not to a namespace.
            let path = kind == .instance ? "/v1/instances" : client.path(kind.plural)
            let answer = try client.call(APIRequest(.get, path)).json()
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
            name: "describe", summary: "show everything about a function or topic",
            positionals: [
                PositionalDescription(name: "KIND", summary: "function or topic; left out for a function"),
                PositionalDescription(name: "NAME", summary: "its name", isOptional: true, values: .functions),
            ],
            examples: [
                .init("apus describe embed-text", "A function, its triggers and positions"),
                .init("apus describe topic documents", "A topic and its partitions"),
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
            name: "delete", summary: "delete a function, or a topic with its events",
            details: "A topic that a function still uses is not deleted.",
            positionals: [
                PositionalDescription(name: "KIND", summary: "function or topic; left out for a function"),
                PositionalDescription(name: "NAME", summary: "its name", isOptional: true, values: .functions),
            ],
            options: [.value("--if-generation", "NUMBER", "only while it is at this generation")],
            examples: [
                .init("apus delete embed-text", "Delete a function"),
                .init("apus delete topic documents", "Delete a topic and its events"),
            ]
        )
    ) { context in
        let (kind, name) = try ResourceKind.parse(context.arguments)
        let client = try context.client()
        var headers: [(name: String, value: String)] = []
        if let generation = try context.arguments.integer("--if-generation", in: 1...Int.max) {
            headers.append(("If-Match", "\"\(generation)\""))
        }
        _ = try client.call(APIRequest(.delete, client.path(kind.plural, name), headers: headers))
        try context.show(["kind": .string(kind.rawValue), "name": .string(name), "action": "deleted"]) {
            "deleted \(kind.rawValue) \(name)\n"
        }
    }
}

private enum GetCommand {
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
