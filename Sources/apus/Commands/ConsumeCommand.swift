internal import ApusCore
internal import ApusCrypto
internal import ApusJSON
internal import ApusStore

extension Command {
    static let consume = Command(
        CommandDescription(
            name: "consume", summary: "print the events of a topic",
            details: """
                Positions of functions are not touched. Partitions are merged by the events' time; each keeps its own order.
                """,
            positionals: [PositionalDescription(name: "TOPIC", summary: "the topic", values: .topics)],
            options: [
                .value(
                    "--from", "POSITION",
                    "earliest, latest, a time (2026-03-01T12:00:00Z), or with --partition an offset; earliest, with --follow latest"
                ),
                .value("--count", short: "-c", "COUNT", "stop after so many"),
                .flag("--follow", short: "-f", "go on with what comes"),
                .value("--partition", "NUMBER", "of this partition only"),
            ],
            examples: [
                .init("apus consume embeddings --count 10", "The first ten"),
                .init("apus consume embeddings --follow", "What comes from now on"),
                .init("apus consume embeddings --output json > all.ndjson", "All of it, one CloudEvent a line"),
            ]
        )
    ) { context in try ConsumeCommand(context: context).run() }
}

private final class ConsumeCommand {
    private let context: CommandContext
    private let client: APIClient
    private let topic: String
    private let partition: Int?
    private let count: Int
    private let from: String
    private var printed = 0

    init(context: CommandContext) throws {
        self.context = context
        self.client = try context.client()
        self.topic = context.arguments["TOPIC"] ?? ""
        self.partition = try context.arguments.integer("--partition", in: 0...Limits.Commands.partitions - 1)
        self.count = try context.arguments.integer("--count", in: 1...Int.max) ?? .max
        self.from = context.arguments["--from"] ?? (context.arguments.has("--follow") ? "latest" : "earliest")
        let isOffset = Offset(self.from).map { $0 >= 0 } ?? false
        guard ["earliest", "latest"].contains(self.from) || isOffset || RFC3339.parse(self.from) != nil else {
            let hint = DidYouMean.hint(self.from, ["earliest", "latest"])
            throw UsageError("--from is '\(self.from)'\(hint); expected earliest, latest, a time or an offset")
        }
        guard !isOffset || self.partition != nil else {
            throw UsageError("--from \(self.from) is an offset, which needs --partition")
        }
    }

    func run() throws {
        if self.context.arguments.has("--follow") { try self.follow() } else { try self.read() }
    }

    private func request(_ from: String, partition: Int?, limit: Int?, accept: String) -> APIRequest {
        var query: [(name: String, value: String)] = [("from", from)]
        if let partition { query.append(("partition", String(partition))) }
        if let limit { query.append(("limit", String(limit))) }
        return APIRequest(
            .get, self.client.path("topics", self.topic, "events"), query: query, headers: [("Accept", accept)])
    }

    // MARK: what follows

    private func follow() throws {
        var reader = EventStreamReader(lineBytes: Limits.Commands.lineBytes)
        try self.client.stream(
            self.request(self.from, partition: self.partition, limit: nil, accept: "text/event-stream")
        ) { chunk in
            for data in try reader.take(chunk) {
                try self.print(try JSONValue.parse(data, refusesDuplicates: false))
                if self.printed == self.count { return false }
            }
            return true
        }
        guard self.printed < self.count else { return }
        throw ApusError(.serverUnreachable, "\(self.client.server) ended the stream; run the command again to go on")
    }

    // MARK: what is there

    /// One partition's events that were fetched and not yet printed.
    private struct Page {
        var partition: Int
        var next: String
        var events: ArraySlice<JSONValue> = []
        var isOver = false
    }

    private func read() throws {
        var pages: [Page] = []
        for partition in try self.partitions() { pages.append(Page(partition: partition, next: self.from)) }
        while self.printed < self.count {
            for index in pages.indices where pages[index].events.isEmpty && !pages[index].isOver {
                try self.fill(&pages[index])
            }
            let oldest = pages.indices.filter { !pages[$0].events.isEmpty }.min {
                self.time(pages[$0]) < self.time(pages[$1])
            }
            guard let oldest, let event = pages[oldest].events.popFirst() else { return }
            try self.print(event)
        }
    }

    private func partitions() throws -> [Int] {
        if let partition = self.partition { return [partition] }
        let answer = try self.client.call(APIRequest(.get, self.client.path("topics", self.topic))).json()
        guard let count = answer["manifest"]?["spec"]?["partitions"]?.int,
            (1...Limits.Commands.partitions).contains(count)
        else {
            throw ApusError(
                .internal,
                "\(self.client.server) does not say how many partitions '\(self.topic)' has; try --partition 0")
        }
        return Array(0..<count)
    }

    private func fill(_ page: inout Page) throws {
        let limit = min(Limits.Commands.pageEvents, self.count - self.printed)
        let request = self.request(page.next, partition: page.partition, limit: limit, accept: "application/json")
        let events = JSONLines.list(try self.client.call(request).json()) ?? []
        guard let last = events.last else {
            page.isOver = true
            return
        }
        guard let offset = Self.number(last["apusoffset"]) else {
            throw ApusError(.internal, "\(self.client.server) sent an event without its offset")
        }
        page.events = events[...]
        page.next = String(offset + 1)
    }

    private func time(_ page: Page) -> Timestamp { page.events.first?["time"]?.string.flatMap(RFC3339.parse) ?? .zero }

    /// Extensions may come as numbers or as texts.
    private static func number(_ value: JSONValue?) -> Int64? { value?.integer ?? value?.string.flatMap(Int64.init) }

    // MARK: printing

    private func print(_ event: JSONValue) throws {
        self.printed += 1
        let shown = Self.shown(event)
        let terminal = self.context.terminal
        switch self.context.output {
        case .json: try terminal.line(String(decoding: shown.encoded(), as: UTF8.self))
        case .yaml: try terminal.write("---\n" + YAMLText.of(shown))
        case .table:
            let place = "\(shown["partition"]?.integer ?? 0)/\(shown["offset"]?.integer ?? 0)"
            let line = "\(place)  \(shown["key"]?.string ?? "-")  \(event["type"]?.string ?? "")  \(Self.data(event))"
                .map { $0.isNewline ? " " : String($0) }.joined()
            guard let width = terminal.width, line.count > width else { return try terminal.line(line) }
            try terminal.line(line.prefix(max(width - 1, 1)) + "…")
        }
    }

    /// The event with its place and key first, by the names that `publish` and people use.
    private static func shown(_ event: JSONValue) -> JSONValue {
        var shown: JSONObject = [
            "partition": .integer(Self.number(event["apuspartition"]) ?? 0),
            "offset": .integer(Self.number(event["apusoffset"]) ?? 0),
        ]
        shown["key"] = event["partitionkey"]
        for member in event.object ?? [:] where !["apuspartition", "apusoffset", "partitionkey"].contains(member.name) {
            shown[member.name] = member.value
        }
        return .object(shown)
    }

    /// The data on one line: text as it is, other bytes as base64.
    private static func data(_ event: JSONValue) -> String {
        if let encoded = event["data_base64"]?.string {
            return Base64.decode(encoded).flatMap { String(validating: $0, as: UTF8.self) } ?? "base64:\(encoded)"
        }
        guard let data = event["data"], !data.isNull else { return "(no data)" }
        return data.string ?? String(decoding: data.encoded(), as: UTF8.self)
    }
}
