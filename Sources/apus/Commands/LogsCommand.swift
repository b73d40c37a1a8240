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
        let limit = try context.arguments.integer("--limit", in: 1...Limits.Commands.listRows) ?? 100
        let client = try context.client()
        let isFollowing = context.arguments.has("--follow")
        let request = APIRequest(
            .get, client.path("functions", context.arguments["NAME"] ?? "", "logs"), query: [("limit", String(limit))],
            headers: [("Accept", isFollowing ? "text/event-stream" : "application/json")]
        )
        guard isFollowing else {
            for line in JSONLines.list(try client.call(request).json()) ?? [] { try LogsText.print(line, context) }
            return
        }
        var reader = EventStreamReader(lineBytes: Limits.Commands.lineBytes)
        try client.stream(request) { chunk in
            for data in try reader.take(chunk) {
                try LogsText.print(try JSONValue.parse(data, refusesDuplicates: false), context)
            }
            return true
        }
        throw ApusError(.serverUnreachable, "\(client.server) ended the stream; run the command again to go on")
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
            try context.terminal.line(
                "\(value["time"]?.string ?? "") \(level)\(padding) \(value["text"]?.string ?? "")")
        }
    }
}
