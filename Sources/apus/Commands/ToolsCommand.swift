internal import ApusCore
internal import ApusJSON

extension Command {
    static let tools = Command(
        CommandDescription(
            name: "tools",
            summary: "list, search and call the tools that functions offer to agents, or import an API's",
            details:
                "Callers see what they may call; those who may see functions see all. Without `--tool-server` all tools of the namespace count.",
            subcommands: [
                ToolsImport.description,
                CommandDescription(
                    name: "list", summary: "list tools, for people or as model vendors take them",
                    options: [
                        Self.toolServer,
                        .value(
                            "--format", "FORMAT", "table, or JSON as it is given to models: openai, anthropic or mcp",
                            values: .oneOf(ToolFormat.allCases.map(\.rawValue))),
                    ],
                    examples: [
                        .init("apus tools list", "Which tools are there?"),
                        .init(
                            "apus tools list --tool-server search --format openai", "What to give as `tools` to a model"
                        ),
                    ]
                ),
                CommandDescription(
                    name: "search", summary: "find the tools for a task",
                    positionals: [PositionalDescription(name: "WORD", summary: "what is to be done", repeats: true)],
                    options: [Self.toolServer, .value("--limit", "COUNT", "how many at most (5)")],
                    examples: [.init("apus tools search cancel the order of a customer", "The best first")]
                ),
                CommandDescription(
                    name: "call", summary: "call a tool as an agent does",
                    details: """
                        Says how it goes on standard error, and prints what the tool gives. When it asks something, so does this command, at a
                        terminal; without one it says what was asked and ends with 1.
                        """,
                    positionals: [PositionalDescription(name: "NAME", summary: "the tool's name")],
                    options: [
                        Self.toolServer,
                        .value("--data", "JSON|@FILE|-", "the arguments, an object; none by default", values: .files),
                        .flag("--detach", "let the call become a task where the tool allows that, and print its id"),
                    ],
                    examples: [
                        .init("apus tools call get_weather --data '{\"city\": \"Bern\"}'", "One call"),
                        .init("apus tools call summarize --data @arguments.json --output json", "The whole result"),
                    ]
                ),
                CommandDescription(
                    name: "task", summary: "wait for a task that a call became",
                    details: "Says how it goes on standard error, answers what it asks at a terminal, and prints what it came to.",
                    positionals: [PositionalDescription(name: "ID", summary: "the task's id, as the call gave it")],
                    options: [Self.toolServer, .flag("--cancel", "end it instead")],
                    examples: [
                        .init("apus tools task ID", "What becomes of it?"),
                        .init("apus tools task ID --cancel", "End it"),
                    ]
                ),
                CommandDescription(
                    name: "read", summary: "read a resource, or a large result that a call left a link to",
                    positionals: [
                        PositionalDescription(name: "URI", summary: "as the call gave it; of a large result `?lines=1-100` too")
                    ],
                    options: [Self.toolServer],
                    examples: [.init("apus tools read 'apus://results/…?lines=1-20'", "The first lines")]
                ),
                CommandDescription(
                    name: "accept", summary: "show how a tool of an upstream has changed, and accept it",
                    details: "Until then agents neither see nor call it. What is accepted is what was shown.",
                    positionals: [PositionalDescription(name: "NAME", summary: "the tool's name, as agents know it")],
                    options: [
                        .flag("--dry-run", "show the difference, accept nothing"),
                        .value("--sha256", "HASH", "accept it only if it is this"),
                    ],
                    examples: [
                        .init("apus tools accept issues_search --dry-run", "What is different?"),
                        .init("apus tools accept issues_search", "Show it to agents again"),
                    ]
                ),
                CommandDescription(
                    name: "disable", summary: "hide a tool from agents",
                    details: "A tool of a function or of an upstream: nobody sees or calls it until it is enabled, whatever is deployed meanwhile.",
                    positionals: [PositionalDescription(name: "NAME", summary: "the tool's name, as agents know it")],
                    examples: [.init("apus tools disable issues_delete", "Nobody calls it from now on")]
                ),
                CommandDescription(
                    name: "enable", summary: "show a tool that was hidden",
                    positionals: [PositionalDescription(name: "NAME", summary: "the tool's name, as agents know it")],
                    examples: [.init("apus tools enable issues_delete", "As before")]
                ),
            ]
        )
    ) { context in
        switch context.subcommand {
        case "import": try ToolsImport(context: context).run()
        case "search": try ToolsCommand(context: context).search()
        case "accept", "disable", "enable":
            try ToolSwitch(context: context).run(context.subcommand ?? "")
        case "call": try ToolCallRun(context: context).run()
        case "task": try ToolTaskRun(context: context).run()
        case "read": try ToolReadRun(context: context).run()
        default: try ToolsCommand(context: context).list()
        }
    }

    private static let toolServer = OptionDescription.value("--tool-server", "SERVER", "those of one tool server only")
}

/// How tools are written for those who use them.
enum ToolFormat: String, CaseIterable {
    case table, openai, anthropic, mcp

    /// - Parameter definition: as `tools/list` has it.
    func json(_ definition: JSONValue) -> JSONValue {
        var tool = JSONObject()
        switch self {
        case .table, .mcp: return definition
        case .anthropic:
            tool["name"] = definition["name"]
            tool["description"] = definition["description"]
            tool["input_schema"] = definition["inputSchema"]
            return .object(tool)
        case .openai:
            tool["name"] = definition["name"]
            tool["description"] = definition["description"]
            tool["parameters"] = definition["inputSchema"]
            return ["type": "function", "function": .object(tool)]
        }
    }
}

private struct ToolsCommand {
    let context: CommandContext

    func list() throws {
        let answer = try self.ask([])
        let items = JSONLines.list(answer) ?? []
        let format = self.context.arguments["--format"].flatMap(ToolFormat.init(rawValue:)) ?? .table
        guard format == .table else {
            let all = JSONValue.array(items.compactMap { $0["definition"].map(format.json) })
            return try self.context.terminal.write(all.pretty + "\n")
        }
        try self.context.show(answer) { self.table(items) }
    }

    func search() throws {
        var query = [("query", self.context.arguments.all("WORD").joined(separator: " "))]
        if let limit = try self.context.arguments.integer("--limit", in: 1...50) { query.append(("limit", "\(limit)")) }
        let answer = try self.ask(query)
        try self.context.show(answer) { self.table(JSONLines.list(answer) ?? []) }
    }

    private func ask(_ query: [(name: String, value: String)]) throws -> JSONValue {
        let client = try self.context.client()
        let server = self.context.arguments["--tool-server"].map { [(name: "server", value: $0)] } ?? []
        return try client.call(APIRequest(.get, client.path("tools"), query: query + server)).json()
    }

    private func table(_ items: [JSONValue]) -> String {
        if items.isEmpty { return "no tools\n" }
        var table = TextTable(["NAME", "FUNCTION", "APPROVAL", "DESCRIPTION"])
        for item in items {
            let lines = (item["description"]?.string ?? item["title"]?.string ?? "-").split(whereSeparator: \.isNewline)
            table.add([
                item["name"]?.string ?? "", item["function"]?.string ?? "", item["approval"]?.string ?? "",
                SafeText.of(lines.first.map(String.init) ?? "-"),
            ])
        }
        return table.render(width: self.context.terminal.width)
    }
}
