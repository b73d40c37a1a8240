internal import ApusCore
internal import ApusJSON

extension Command {
    static let logs = Command(
        CommandDescription(
            name: "logs", summary: "show what a function printed and logged",
            positionals: [PositionalDescription(name: "NAME", summary: "the function", values: .functions)],
            options: [
                .flag("--follow", short: "-f", "go on with what comes"),
                .value("--limit", "COUNT", "how many of the newest lines to begin with (100)"),
            ],
            examples: [
                .init("apus logs embed-text", "The newest lines"),
                .init("apus logs embed-text --follow --limit 10", "Ten lines, then whatever comes"),
            ]
        )
    ) { context in
        let limit = try context.arguments.integer("--limit", in: 0...Limits.Commands.listRows) ?? 100
        let client = try context.client()
        var query: [(name: String, value: String)] = [("limit", String(limit))]
        if context.arguments.has("--follow") { query.append(("follow", "true")) }
        let request = APIRequest(
            .get, client.path("functions", context.arguments["NAME"] ?? "", "logs"), query: query,
            headers: [("Accept", "application/x-ndjson")]
        )
        try JSONLines.read(client, request) { line in try LogsText.print(line, context) }
    }
}

private enum LogsText {
    static func print(_ value: JSONValue, _ context: CommandContext) throws {
        switch context.output {
        case .json: try context.terminal.line(String(decoding: value.encoded(), as: UTF8.self))
        case .yaml: try context.terminal.write("---\n" + YAMLText.of(value))
        case .table:
            let level = value["level"]?.string ?? ""
            let padding = String(repeating: " ", count: max(0, 7 - level.count))
            try context.terminal.line("\(value["time"]?.string ?? "") \(level)\(padding) \(value["text"]?.string ?? "")")
        }
    }
}
