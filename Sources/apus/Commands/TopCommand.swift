internal import ApusCore
internal import ApusJSON

extension Command {
    static let top = Command(
        CommandDescription(
            name: "top", summary: "watch functions, workers, devices and topics at work",
            details: """
                On a terminal the view is drawn again each second: q quits, the arrow keys choose the column that orders a table and scroll, tab
                changes the table, ? shows all keys. Elsewhere, and with --once, what is the case now is printed once.
                """,
            options: [
                .flag("--once", "print what is the case now, and end"),
                .flag("--follow", short: "-f", "with --output json or yaml: a report a second, one a line in JSON"),
                .value("--seconds", "COUNT", "how many of the last seconds are shown (60)"),
                .value("--limit", "COUNT", "how many functions and topics at most, the busiest first (100)"),
                .value(
                    "--sort", "COLUMN", "what orders the tables (events)",
                    values: .oneOf(TopOrder.allCases.map(\.rawValue))),
            ],
            examples: [
                .init("apus top", "Watch the default namespace"),
                .init("apus top -n search --sort lag", "Another namespace, the topics that lag most first"),
                .init("apus top --once --output json", "For a script: rates, lag, workers and cold starts"),
                .init("apus top --output json --follow > top.ndjson", "A report a second"),
            ]
        )
    ) { context in try TopCommand(context: context).run() }
}

/// Names of columns, with the key that stands for each.
enum TopOrder: String, CaseIterable {
    case name, events, failed, p99, workers, dead, bytes, lag, cost, start

    var key: Character {
        switch self {
        case .name: "n"
        case .events: "e"
        case .failed: "f"
        case .p99: "l"
        case .workers: "w"
        case .dead: "d"
        case .bytes: "b"
        case .lag: "g"
        case .cost: "c"
        case .start: "s"
        }
    }
}

private struct TopCommand {
    let context: CommandContext
    /// Of a table in a file: nobody's screen.
    private static let fileWidth = 120

    func run() throws {
        let arguments = self.context.arguments
        var query: [(name: String, value: String)] = []
        if let seconds = try arguments.integer("--seconds", in: 1...Limits.Commands.statsSeconds) {
            query.append(("seconds", String(seconds)))
        }
        if let limit = try arguments.integer("--limit", in: 1...Limits.Commands.statsItems) {
            query.append(("limit", String(limit)))
        }
        let isFollowing = arguments.has("--follow")
        guard !isFollowing || self.context.output != .table else {
            throw UsageError("--follow goes with --output json or yaml; on a terminal 'apus top' follows anyway")
        }
        guard !isFollowing || !arguments.has("--once") else {
            throw UsageError("--once and --follow exclude each other; keep one of them")
        }
        let client = try self.context.client()
        if isFollowing { return try self.follow(client, query) }
        let isDumb = self.context.environment["TERM"].map { $0 == "dumb" } ?? true
        if self.context.terminal.isInteractive, self.context.output == .table, !arguments.has("--once"), !isDumb {
            return try self.live(client, query)
        }
        let answer = try client.call(APIRequest(.get, client.path("stats"), query: query)).json()
        try self.context.show(answer) {
            let layout = TopLayout(
                report: TopReport(answer), view: self.view, place: self.place(client),
                status: answer["time"]?.string ?? "", width: self.context.terminal.width ?? Self.fileWidth, height: nil)
            return layout.lines.map { Self.trimmed($0.painted(self.context.paint)) + "\n" }.joined()
        }
    }

    private var view: TopView {
        TopView(sortedBy: self.context.arguments["--sort"].flatMap(TopOrder.init(rawValue:))?.key)
    }

    private func place(_ client: APIClient) -> String { "\(client.server)  namespace \(client.namespace)" }

    private static func trimmed(_ text: String) -> Substring {
        var text = text[...]
        while text.last == " " { text.removeLast() }
        return text
    }

    private func live(_ client: APIClient, _ query: [(name: String, value: String)]) throws {
        let feed = try TopFeed(client, query: query)
        let screen = try SystemScreen()
        feed.start()
        let session = TopSession(
            screen, feed, self.context.paint, place: self.place(client), view: self.view)
        let signal: Int32?
        do { signal = try session.run() } catch {
            screen.leave()
            throw error
        }
        screen.leave()
        if let signal { SystemScreen.end(by: signal) }
    }

    private func follow(_ client: APIClient, _ query: [(name: String, value: String)]) throws {
        var reader = EventStreamReader(lineBytes: Limits.Commands.answerLineBytes)
        let request = APIRequest(
            .get, client.path("stats"), query: query, headers: [("Accept", "text/event-stream")])
        try client.stream(request) { chunk in
            for data in try reader.take(chunk) {
                guard self.context.output == .yaml else {
                    try self.context.terminal.write(data + [0x0A])
                    continue
                }
                let report = try JSONValue.parse(data, refusesDuplicates: false)
                try self.context.terminal.write("---\n" + YAMLText.of(report))
            }
            return true
        }
        throw ApusError(.serverUnreachable, "\(client.server) ended the stream; run the command again to go on")
    }
}
