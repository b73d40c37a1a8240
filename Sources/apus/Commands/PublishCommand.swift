internal import ApusCore
internal import ApusJSON

extension Command {
    static let publish = Command(
        CommandDescription(
            name: "publish", summary: "publish events to a topic",
            details: """
                A file has one JSON value a line. An object with data, data_base64 or specversion is a CloudEvent, and what it
                lacks is filled in; its member key is the event's key. Any other value is the data of an event. Lines are sent in
                order, up to \(Limits.Commands.batchEvents) in one request, each request all or nothing; when one fails, the error
                says which line to go on with.
                """,
            positionals: [PositionalDescription(name: "TOPIC", summary: "the topic", values: .topics)],
            options: [
                .value(
                    "--data", short: "-d", "DATA", "one event's data: text or JSON, @FILE, or - for standard input",
                    values: .files),
                .value(
                    "--file", short: "-f", "FILE", "many events, one JSON value a line; - for standard input",
                    values: .files),
                .value("--key", short: "-k", "KEY", "of the event, or of those in the file that have none"),
                .value("--type", short: "-t", "TYPE", "CloudEvents type where none is given (dev.apus.event)"),
                .value("--source", "URI", "CloudEvents source where none is given (apus/publish)"),
                .value("--content-type", "TYPE", "of --data; by default JSON for what is JSON, else text or bytes"),
                .value("--from-line", "NUMBER", "leave out the lines of the file before this one"),
            ],
            examples: [
                .init(#"apus publish documents --key doc-1 --data '{"text": "hello"}'"#, "One event"),
                .init("apus publish documents --file events.ndjson", "A file of events"),
                .init("apus publish documents --file events.ndjson --from-line 1201", "Go on where it stopped"),
            ]
        )
    ) { context in try PublishCommand(context: context).run() }
}

private final class PublishCommand {
    private let context: CommandContext
    private let client: APIClient
    private let path: String
    private var lines = EventLines()
    private var batch = EventBatch()
    private var published = 0
    private var lastAnswer: APIResponse?
    /// The file's name for messages; nil for a single event.
    private var file: String?
    private let started: Timestamp

    init(context: CommandContext) throws {
        self.context = context
        self.client = try context.client()
        self.path = self.client.path("topics", context.arguments["TOPIC"] ?? "", "events")
        self.lines.key = context.arguments["--key"]
        if let type = context.arguments["--type"] { self.lines.type = type }
        if let source = context.arguments["--source"] { self.lines.source = source }
        self.started = context.terminal.now
    }

    func run() throws {
        let arguments = self.context.arguments
        switch (arguments["--data"], arguments["--file"]) {
        case (let data?, nil):
            let bytes = try DataArgument.read(data, self.context.terminal)
            let type = arguments["--content-type"] ?? DataArgument.contentType(of: bytes)
            self.batch.add(try self.lines.event(bytes: bytes, contentType: type, line: 1), line: 1)
            try self.flush()
        case (nil, let file?): try self.publish(file: file)
        default: throw UsageError("expected either --data or --file; try 'apus publish --help'")
        }
        try self.report()
    }

    private func publish(file: String) throws {
        self.file = file == "-" ? "standard input" : file
        let first = try self.context.arguments.integer("--from-line", in: 1...Int.max) ?? 1
        let reader = file == "-" ? nil : try FileReader(path: file)
        var splitter = LineSplitter(lineBytes: Limits.Commands.lineBytes)
        var number = 0
        while true {
            let chunk = try reader?.read() ?? self.context.terminal.readInput()
            let lines: [[UInt8]]
            do throws(ApusError) {
                lines = chunk.isEmpty ? splitter.finish().map { [$0] } ?? [] : try splitter.take(chunk)
            } catch {
                throw self.located(error, line: number + 1)
            }
            for line in lines {
                number += 1
                guard number >= first, line.contains(where: { $0 != 0x20 && $0 != 0x09 && $0 != 0x0D }) else {
                    continue
                }
                try self.add(line, number)
            }
            if chunk.isEmpty { break }
        }
        try self.flush()
    }

    private func add(_ line: [UInt8], _ number: Int) throws {
        let event: [UInt8]
        do throws(ApusError) { event = try self.lines.event(line, line: number) } catch {
            // What came before is good: it is published, so that the file can go on from here.
            try self.flush()
            throw self.located(error, line: number)
        }
        if self.batch.isFull(for: event) { try self.flush() }
        self.batch.add(event, line: number)
    }

    private func located(_ error: ApusError, line: Int) -> ApusError {
        ApusError(
            error.code,
            "\(self.file ?? "the data"):\(line): \(error.message); the lines before it are published: correct it and go on with "
                + "--from-line \(line)", cause: error
        )
    }

    private func flush() throws {
        guard !self.batch.isEmpty else { return }
        let request = APIRequest(
            .post, self.path, headers: [("Content-Type", "application/cloudevents-batch+json")], body: self.batch.body
        )
        do throws(ApusError) {
            self.lastAnswer = try self.client.call(request)
        } catch {
            guard let file = self.file else { throw error }
            // When the answer was lost, the server may have taken them all the same.
            let doubt = error.code == .serverUnreachable ? " (or their answer was lost)" : ""
            throw ApusError(
                error.code,
                "\(file): lines \(self.batch.firstLine) to \(self.batch.lastLine) were not published\(doubt): \(error.message); those before "
                    + "are: go on with --from-line \(self.batch.firstLine)", cause: error
            )
        }
        self.published += self.batch.count
        if self.file != nil, self.context.terminal.isErrorInteractive {
            self.context.terminal.writeError("\r\(self.published) events, line \(self.batch.lastLine)")
        }
        self.batch = EventBatch()
    }

    private func report() throws {
        if self.file != nil, self.context.terminal.isErrorInteractive, self.published > 0 {
            self.context.terminal.writeError("\n")
        }
        let topic = self.context.arguments["TOPIC"] ?? ""
        var result: JSONValue = ["topic": .string(topic), "published": .number(self.published)]
        if self.file == nil, let answer = try self.lastAnswer?.json(),
            let place = (JSONLines.list(answer) ?? answer["events"]?.array)?.first
        {
            result["partition"] = place["partition"]
            result["offset"] = place["offset"]
        }
        try self.context.show(result) {
            if let partition = result["partition"]?.int, let offset = result["offset"]?.integer {
                return "published to \(topic), partition \(partition), offset \(offset)\n"
            }
            let seconds = Double((self.context.terminal.now - self.started).microseconds) / 1_000_000
            let rate = seconds > 0 ? ", \(Int(Double(self.published) / seconds)) a second" : ""
            return "published \(self.published) events to \(topic)\(rate)\n"
        }
    }
}
