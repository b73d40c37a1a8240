internal import ApusCore
internal import ApusJSON

extension Command {
    static let invoke = Command(
        CommandDescription(
            name: "invoke", summary: "call a function and print its result",
            details: """
                In a pipe or a file the result comes byte for byte, and nothing else does. On a terminal JSON is indented, a function that streams is
                seen streaming, bytes that are no text are kept off it, and a line on standard error says where the time went.

                Exit codes: 0 the function answered; 1 it failed or was refused, with the code in brackets and its own words (docs/errors has a page on
                each code); 2 wrong usage; 3 there is no such function; 4 the server cannot be reached.
                """,
            positionals: [PositionalDescription(name: "NAME", summary: "the function", values: .functions)],
            options: [
                .value(
                    "--data", short: "-d", "DATA",
                    "what the function gets: text or JSON, @FILE, or - for standard input", values: .files),
                .value("--content-type", "TYPE", "of the data; by default JSON for what is JSON, else text or bytes"),
                .flag(
                    "--async", "print the invocation's id once it is accepted: it runs whatever becomes of this command"
                ),
                .flag("--wait", "with --async: wait for the outcome and print the result"),
                .flag("--timing", "say where the time went even where standard error is no terminal"),
                .flag("--quiet", short: "-q", "say nothing but the result and errors"),
            ],
            examples: [
                .init(#"apus invoke echo --data '{"hello": "world"}'"#, "Call with JSON"),
                .init("apus invoke search --data @question.json", "Call with a file"),
                .init("date | apus invoke echo --data -", "Call with what another program prints"),
                .init("apus invoke thumbnail --data @photo.png > small.png", "Keep a result that is no text"),
                .init(
                    "apus invoke train --async --data @set.json", "Queue it; 'apus get invocation ID' shows its state"),
            ]
        )
    ) { context in try InvokeCommand(context: context).run() }
}

private struct InvokeCommand {
    let context: CommandContext

    func run() throws {
        let arguments = self.context.arguments
        guard arguments.has("--async") || !arguments.has("--wait") else {
            throw UsageError("--wait goes with --async; without it 'apus invoke' waits anyway")
        }
        var headers: [(name: String, value: String)] = []
        var data: [UInt8] = []
        if let given = arguments["--data"] {
            data = try DataArgument.read(given, self.context.terminal)
            headers.append(("Content-Type", arguments["--content-type"] ?? DataArgument.contentType(of: data)))
        }
        let client = try self.context.client()
        let path = client.path("functions", arguments["NAME"] ?? "", "invoke")
        if arguments.has("--async") {
            headers.append(("Prefer", "respond-async"))
            let request = APIRequest(.post, path, headers: headers, body: data)
            return try LastingInvocation(context: self.context, client: client).run(request)
        }
        try self.call(client, APIRequest(.post, path, headers: headers, body: data))
    }

    private func call(_ client: APIClient, _ request: APIRequest) throws {
        let printer = ResultPrinter(self.context)
        let start = self.context.terminal.now
        var timing: TimingLine?
        var invocation: String?
        var isEmpty = true
        // Failures have their timing too.
        defer { if let timing { self.context.say(timing, since: start, invocation) } }
        try client.stream(request) { head in
            timing = head.header("Apus-Timing").map(TimingLine.init(header:))
            invocation = head.header("Apus-Invocation")
            printer.begin(head)
        } onChunk: { chunk in
            if !chunk.isEmpty { isEmpty = false }
            try printer.take(chunk)
            return true
        }
        try printer.finish()
        if isEmpty, self.context.terminal.isInteractive, !self.context.arguments.has("--quiet") {
            self.context.note("the function returned nothing")
        }
    }
}

extension CommandContext {
    /// Tells people where the time of a call went.
    /// - Parameter invocation: its id, for `apus logs --invocation`.
    func say(_ timing: TimingLine, since start: Timestamp, _ invocation: String? = nil) {
        let isWanted = self.arguments.has("--timing") || self.terminal.isErrorInteractive
        guard isWanted, !self.arguments.has("--quiet") else { return }
        let text = timing.text(total: self.terminal.now - start) + (invocation.map { ", invocation \($0)" } ?? "")
        self.note(self.errorPaint(text, .dim))
    }
}
