internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension Command {
    static let logs = Command(
        CommandDescription(
            name: "logs", summary: "show what a function printed and logged",
            details: """
                All conditions must hold; the server looks for the lines. What a function prints counts as info, what it writes to standard error as
                warning. With --output json each line is an object with its level, revision, worker, invocation and trace.
                """,
            positionals: [PositionalDescription(name: "NAME", summary: "the function", values: .functions)],
            options: [
                .flag("--follow", short: "-f", "go on with what comes"),
                .value("--limit", "COUNT", "how many of the newest lines to begin with (100)"),
                .value("--level", "LEVEL", "only lines this bad or worse", values: .oneOf(LogsRequest.levels)),
                .value("--invocation", "ID", "only what one invocation printed"),
                .value("--revision", "REVISION", "only revisions whose name begins so"),
                .value("--since", "TIME", "only what is newer: 90s, 10m, 2h, 1d, or 2026-03-01T12:00:00Z"),
            ],
            examples: [
                .init("apus logs embed-text", "The newest lines"),
                .init("apus logs embed-text --follow --limit 10", "Ten lines, then whatever comes"),
                .init("apus logs embed-text --level warning --since 10m", "What went wrong in the last ten minutes"),
                .init(
                    "apus logs embed-text --invocation 6f0c1f9f0a0b7d5e0000000000000007", "What one invocation printed"),
                .init("apus logs embed-text --output json > lines.ndjson", "For another program, an object a line"),
            ]
        )
    ) { context in
        let client = try context.client()
        let isFollowing = context.arguments.has("--follow")
        let request = APIRequest(
            .get, client.path("functions", context.arguments["NAME"] ?? "", "logs"),
            query: try LogsRequest.query(context),
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

/// What is asked of the server.
private enum LogsRequest {
    static let levels = ["debug", "info", "warning", "error"]

    static func query(_ context: CommandContext) throws -> [(name: String, value: String)] {
        let arguments = context.arguments
        let limit = try arguments.integer("--limit", in: 1...Limits.Commands.listRows) ?? 100
        var query = [(name: "limit", value: String(limit))]
        for name in ["level", "invocation", "revision"] {
            if let value = arguments["--\(name)"] { query.append((name, value)) }
        }
        if let since = try context.moment("--since") { query.append(("since", since)) }
        return query
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
            let text = value["text"]?.string ?? ""
            let time = context.paint(value["time"]?.string ?? "", .dim)
            try context.terminal.line(
                "\(time) \(context.paint(level, Self.style(level)))\(padding) \(context.terminal.isInteractive ? SafeText.of(text) : text)"
            )
        }
    }

    private static func style(_ level: String) -> TextStyle {
        switch level {
        case "error": .bad
        case "warning", "stderr": .warning
        case "info": .good
        case "debug": .dim
        default: .plain
        }
    }
}
