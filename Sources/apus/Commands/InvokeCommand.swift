internal import ApusCore
internal import ApusJSON

extension Command {
    static let invoke = Command(
        CommandDescription(
            name: "invoke", summary: "call a function and print its result",
            details: "The result is printed as it comes: a function that streams is seen streaming.",
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
            ],
            examples: [
                .init(#"apus invoke echo --data '{"hello": "world"}'"#, "Call with JSON"),
                .init("apus invoke search --data @question.json", "Call with a file"),
                .init("date | apus invoke echo --data -", "Call with what another program prints"),
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
        let request = APIRequest(.post, path, headers: headers, body: data)
        guard self.context.output == .table else { return try self.printWhole(client, request) }
        var last: UInt8 = 0x0A
        let terminal = self.context.terminal
        try client.stream(request) { chunk in
            try terminal.write(chunk)
            last = chunk.last ?? last
            return true
        }
        // A line break that the result lacks; other programs get the bytes as they are.
        if last != 0x0A, terminal.isInteractive { try terminal.write("\n") }
    }

    private func printWhole(_ client: APIClient, _ request: APIRequest) throws {
        var body: [UInt8] = []
        try client.stream(request) { chunk in
            body += chunk
            return body.count <= Limits.resultBytes
        }
        let value: JSONValue
        do throws(ApusError) { value = try JSONValue.parse(body, refusesDuplicates: false) } catch {
            // What is not JSON is shown as it is.
            try self.context.terminal.write(body)
            return
        }
        try self.context.show(value) { "" }
    }
}
