internal import ApusCore
internal import ApusJSON

extension Command {
    static let dead = Command(
        CommandDescription(
            name: "dead", summary: "look at dead letters, run them again or drop them",
            subcommands: [
                CommandDescription(
                    name: "list", summary: "list dead letters, oldest first",
                    options: DeadCommand.filters + [
                        .value(
                            "--state", "STATE", "open (default), redriven, dropped or all",
                            values: .oneOf(["open", "redriven", "dropped", "all"])),
                        .value("--limit", "COUNT", "how many at most (100)"),
                    ],
                    examples: [.init("apus dead list --function embed-text", "What did this function give up on?")]
                ),
                CommandDescription(
                    name: "show", summary: "show a dead letter with its event",
                    positionals: [
                        PositionalDescription(name: "ID", summary: "the dead letter's id", values: .deadLetters)
                    ],
                    examples: [.init("apus dead show ID", "The whole of it: key, data, attributes and reason")]
                ),
                CommandDescription(
                    name: "redrive", summary: "run dead letters again, each under its key",
                    positionals: [
                        PositionalDescription(
                            name: "ID", summary: "ids of dead letters", isOptional: true, repeats: true,
                            values: .deadLetters)
                    ],
                    options: DeadCommand.filters + [
                        .flag("--all", "all open ones that the filters leave; needed only without a filter")
                    ],
                    examples: [
                        .init("apus dead redrive ID", "One of them"),
                        .init("apus dead redrive --all --function embed-text", "All of a function, once it is fixed"),
                        .init(
                            "apus dead redrive --topic documents --since 2h", "What a topic's events came to since then"
                        ),
                        .init("apus dead redrive --reason deadline_exceeded", "What took too long"),
                    ]
                ),
                CommandDescription(
                    name: "drop", summary: "give dead letters up for good",
                    positionals: [
                        PositionalDescription(
                            name: "ID", summary: "ids of dead letters", isOptional: true, repeats: true,
                            values: .deadLetters)
                    ],
                    options: DeadCommand.filters + [.flag("--all", "all open ones that the filters leave")],
                    examples: [.init("apus dead drop ID", "One of them")]
                ),
            ]
        )
    ) { context in
        let command = DeadCommand(context: context)
        switch context.subcommand {
        case "show": try command.show()
        case "redrive": try RedriveCommand(context: context).run()
        case "drop": try command.drop()
        default: try command.list()
        }
    }
}

struct DeadCommand {
    static let filters: [OptionDescription] = [
        .value("--function", "NAME", "of this function only", values: .functions),
        .value("--trigger", "TRIGGER", "of triggers of this name only"),
        .value("--topic", "TOPIC", "from or on this topic only", values: .topics),
        .value("--reason", "CODE", "whose last attempt ended with this code only"),
        .value("--since", "TIME", "given up since: 90s, 10m, 2h, 1d, or 2026-03-01T12:00:00Z"),
    ]

    let context: CommandContext

    func list() throws {
        let limit = try self.context.arguments.integer("--limit", in: 1...Limits.Commands.listRows) ?? 100
        let client = try self.context.client()
        let answer = try self.query(client, state: self.context.arguments["--state"] ?? "open", limit: limit)
        try self.context.show(answer) {
            let items = JSONLines.list(answer) ?? []
            if items.isEmpty { return "no dead letters\n" }
            var table = TextTable(["ID", "FUNCTION", "FROM", "ATTEMPTS", "CODE", "STATE", "TIME", "MESSAGE"])
            for item in items {
                let place = [
                    item["topic"]?.string, item["partition"]?.int.map(String.init),
                    item["offset"]?.integer.map(String.init),
                ]
                table.add([
                    item["id"]?.string ?? "", item["function"]?.string ?? "",
                    place.compactMap { $0 }.joined(separator: "/"),
                    item["attempts"]?.int.map(String.init) ?? "", item["code"]?.string ?? "",
                    item["state"]?.string ?? "",
                    self.context.ago(item["time"]), item["message"]?.string ?? "",
                ])
            }
            // Never cut: the id is what the other commands take.
            return table.render(width: nil)
        }
    }

    func show() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.get, client.path("dead-letters", self.context.arguments["ID"] ?? "")))
            .json()
        try self.context.show(answer) { DescribeText.of(answer, self.context) }
    }

    func drop() throws {
        let client = try self.context.client()
        var count = 0
        for id in try self.ids(client) {
            _ = try client.call(APIRequest(.delete, client.path("dead-letters", id)))
            if self.context.output == .table { try self.context.terminal.line("dropped \(id)") }
            count += 1
        }
        if self.context.output != .table { try self.context.show(["dropped": .number(count)]) { "" } }
        if self.context.output == .table, count == 0 { try self.context.terminal.line("no dead letters") }
    }

    private func ids(_ client: APIClient) throws -> [String] {
        let given = self.context.arguments.all("ID")
        guard self.context.arguments.has("--all") else {
            guard !given.isEmpty else {
                throw UsageError("ID is missing: name dead letters, or all open ones with --all")
            }
            return given
        }
        guard given.isEmpty else { throw UsageError("--all and an ID exclude each other; leave one of them out") }
        let answer = try self.query(client, state: "open", limit: Limits.Commands.listRows)
        let ids = (JSONLines.list(answer) ?? []).compactMap { $0["id"]?.string }
        if ids.count == Limits.Commands.listRows {
            self.context.note("taking the oldest \(ids.count); repeat for the rest")
        }
        return ids
    }

    /// What the options leave, by the names that the server's API has for it.
    static func filter(_ context: CommandContext) throws(UsageError) -> [(name: String, value: String)] {
        var filter: [(name: String, value: String)] = []
        for name in ["function", "trigger", "topic", "reason"] {
            if let value = context.arguments["--\(name)"] { filter.append((name, value)) }
        }
        if let since = try context.moment("--since") { filter.append(("since", since)) }
        return filter
    }

    private func query(_ client: APIClient, state: String, limit: Int) throws -> JSONValue {
        var query: [(name: String, value: String)] = [("state", state), ("limit", String(limit))]
        query += try Self.filter(self.context)
        return try client.call(APIRequest(.get, client.path("dead-letters"), query: query)).json()
    }
}
