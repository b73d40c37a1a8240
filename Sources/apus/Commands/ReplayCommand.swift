internal import ApusCore
internal import ApusJSON

extension Command {
    static let replay = Command(
        CommandDescription(
            name: "replay", summary: "give a trigger a stretch of its topic once more",
            details: """
                A replay runs beside what its trigger is given anyway and leaves the trigger's position alone. Handlers see
                `event.replay`. It keeps the order of keys, goes on after a restart, and ends by itself.
                """,
            subcommands: [Self.startReplay, Self.listReplays, Self.showReplay, Self.cancelReplay], main: "start"
        )
    ) { context in
        let command = ReplayCommand(context: context)
        switch context.subcommand {
        case "list": try command.list()
        case "show": try command.show()
        case "cancel": try command.cancel()
        default: try command.start()
        }
    }

    private static let startReplay = CommandDescription(
        name: "start", summary: "begin one; the word may be left out",
        positionals: [PositionalDescription(name: "FUNCTION", summary: "whose trigger it is", values: .functions)],
        options: [
            .value("--trigger", "TRIGGER", "which one; may be left out where there is one on a topic"),
            .value("--from", "TIME", "how long ago (90s, 10m, 2h, 1d) or a time; the first record there is without it"),
            .value("--to", "TIME", "the same; what came from then on is left out; now without it"),
            .value("--rate", "COUNT/s", "deliveries that may begin in a second (1000/s), or 'unlimited'"),
            .flag("--no-reply", "write neither replies nor emitted events"),
            .flag("--dry-run", "show what it would come to, and begin nothing"),
            .flag("--wait", "show how it goes on until it ends; it goes on without"),
        ],
        examples: [
            .init("apus replay embed-text --from 2h", "What came in the last two hours, once more"),
            .init(
                "apus replay embed-text --trigger documents --from 2026-03-01T12:00:00Z --to 2026-03-01T13:00:00Z --rate 100/s --wait",
                "An hour of a day, slowly, and see it end"),
            .init("apus replay embed-text --from 1d --dry-run", "How much is that?"),
        ])

    private static let listReplays = CommandDescription(
        name: "list", summary: "list replays, the newest first",
        positionals: [
            PositionalDescription(name: "FUNCTION", summary: "of this one only", isOptional: true, values: .functions)
        ],
        examples: [.init("apus replay list", "What goes on, and what ended a while ago")])

    private static let place = [
        PositionalDescription(name: "FUNCTION", summary: "whose trigger it is", values: .functions),
        PositionalDescription(name: "ID", summary: "the replay's id, as 'apus replay list' shows it"),
    ]

    private static let showReplay = CommandDescription(
        name: "show", summary: "show a replay, and what holds it up", positionals: Self.place,
        examples: [.init("apus replay show embed-text ID", "How far is it?")])

    private static let cancelReplay = CommandDescription(
        name: "cancel", summary: "end a replay; what runs of it goes on", positionals: Self.place,
        examples: [.init("apus replay cancel embed-text ID", "Enough of it")])
}

private struct ReplayCommand {
    let context: CommandContext
    private var function: String { self.context.arguments["FUNCTION"] ?? "" }
    private var id: String { self.context.arguments["ID"] ?? "" }

    func start() throws {
        let arguments = self.context.arguments
        var body: JSONObject = [
            "outputs": .boolean(!arguments.has("--no-reply")), "dryRun": .boolean(arguments.has("--dry-run")),
        ]
        if let trigger = arguments["--trigger"] { body["trigger"] = .string(trigger) }
        if let from = try self.context.moment("--from") { body["from"] = .string(from) }
        if let to = try self.context.moment("--to") { body["to"] = .string(to) }
        if let rate = try Self.rate(arguments["--rate"]) { body["rate"] = .number(rate) }
        let client = try self.context.client()
        let request = APIRequest(.post, client.path("functions", self.function, "replays"), json: .object(body))
        let answer = try client.call(request).json()
        guard arguments.has("--wait"), !arguments.has("--dry-run") else {
            return try self.context.show(answer) { self.line(answer) }
        }
        try self.wait(answer, client)
    }

    /// - Returns: nil for no bound.
    private static func rate(_ text: String?) throws(UsageError) -> Int? {
        guard let text else { return Limits.Commands.replayRate }
        if text == "unlimited" { return nil }
        let number = text.hasSuffix("/s") ? String(text.dropLast(2)) : text
        guard let rate = Int(number), (1...Limits.Commands.replayRateMax).contains(rate) else {
            throw UsageError(
                "--rate is '\(text)'; expected deliveries a second from 1 to \(Limits.Commands.replayRateMax), as in '100/s', or 'unlimited'"
            )
        }
        return rate
    }

    private func line(_ replay: JSONValue) -> String {
        let trigger = "\(replay["function"]?.string ?? "")/\(replay["trigger"]?.string ?? "")"
        let total = replay["total"]?.integer ?? 0
        let stretch = "\(replay["from"]?.string ?? "the first record") to \(replay["to"]?.string ?? "")"
        let rate = replay["rate"]?.int.map { ", at most \($0)/s" } ?? ""
        guard replay["state"]?.string != "planned" else {
            return "would replay at most \(total) events of \(trigger), from \(stretch)\(rate)\n"
        }
        return
            "replay \(replay["id"]?.string ?? "") of \(trigger) gives at most \(total) events, from \(stretch)\(rate)\n"
    }

    private func wait(_ begun: JSONValue, _ client: APIClient) throws {
        let id = begun["id"]?.string ?? ""
        if self.context.output == .table { try self.context.terminal.write(self.line(begun)) }
        var replay = begun
        var shown = ""
        var failures = 0
        while !["finished", "cancelled"].contains(replay["state"]?.string ?? "") {
            self.context.terminal.pause(milliseconds: Limits.Commands.replayLookMilliseconds)
            do throws(ApusError) {
                replay = try client.call(APIRequest(.get, client.path("functions", self.function, "replays", id)))
                    .json()
                failures = 0
            } catch {
                // It goes on after a restart, so does waiting for it.
                failures += 1
                guard error.code == .serverUnreachable || error.code == .shuttingDown,
                    failures < Limits.Commands.waitRetries
                else { throw error }
                continue
            }
            let text = Self.progress(replay)
            if text != shown { self.context.note(text) }
            shown = text
        }
        let state = replay["state"]?.string ?? ""
        try self.context.show(replay) { "replay \(id) \(state)\n" }
        if state == "cancelled" {
            throw ApusError(.cancelled, "the replay \(id) of '\(self.function)' was cancelled before its end")
        }
    }

    private static func progress(_ replay: JSONValue) -> String {
        let (done, total) = (replay["done"]?.integer ?? 0, replay["total"]?.integer ?? 0)
        let percent = total > 0 ? " (\(done * 100 / total) %)" : ""
        let blocked = (replay["blocked"]?.array ?? []).compactMap { $0["message"]?.string }
        return "\(done) of \(total)\(percent)" + (blocked.isEmpty ? "" : ": " + blocked.joined(separator: "; "))
    }

    func list() throws {
        let client = try self.context.client()
        let name = self.context.arguments["FUNCTION"]
        let path = name.map { client.path("functions", $0, "replays") } ?? client.path("replays")
        let answer = try client.call(APIRequest(.get, path)).json()
        try self.context.show(answer) {
            let items = JSONLines.list(answer) ?? []
            if items.isEmpty { return "no replays\n" }
            var table = TextTable([
                "ID", "FUNCTION", "TRIGGER", "STATE", "DONE", "TOTAL", "RATE", "FROM", "TO", "BEGUN",
            ])
            for item in items {
                table.add([
                    item["id"]?.string ?? "", item["function"]?.string ?? "", item["trigger"]?.string ?? "",
                    item["state"]?.string ?? "", item["done"]?.integer.map(String.init) ?? "-",
                    item["total"]?.integer.map(String.init) ?? "",
                    item["rate"]?.int.map { "\($0)/s" } ?? "-", item["from"]?.string ?? "first",
                    item["to"]?.string ?? "", self.context.ago(item["created"]),
                ])
            }
            return table.render(width: nil)
        }
    }

    func show() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.get, client.path("functions", self.function, "replays", self.id)))
            .json()
        try self.context.show(answer) { DescribeText.of(answer, self.context) }
    }

    func cancel() throws {
        let client = try self.context.client()
        let path = client.path("functions", self.function, "replays", self.id)
        let answer = try client.call(APIRequest(.delete, path)).json()
        try self.context.show(answer) {
            answer["action"]?.string == "unchanged"
                ? "replay \(self.id) had ended before\n" : "cancelled replay \(self.id)\n"
        }
    }
}
