internal import ApusCore
internal import ApusJSON

extension Command {
    static let approvals = Command(
        CommandDescription(
            name: "approvals", summary: "decide about calls of tools that wait for somebody",
            details: """
                A tool may ask for an approval before a call of it begins (`tool: {approval: …}` in its manifest, or of a tool server). Where the
                client of the caller cannot ask its person, or somebody else is to decide, the call waits here for a day. Accepted, the same
                call begins once, when it is made again. The role approver is needed, and where the tool says `by: approver`, another
                principal than the caller.
                """,
            subcommands: [
                CommandDescription(
                    name: "list", summary: "list approvals, the newest first",
                    options: [
                        .value(
                            "--state", "STATE", "waiting (default), accepted, declined, consumed, expired or all",
                            values: .oneOf(["waiting", "accepted", "declined", "consumed", "expired", "all"])),
                        .value("--limit", "COUNT", "how many at most (100)"),
                    ],
                    examples: [
                        .init("apus approvals list", "What waits for somebody?"),
                        .init("apus approvals list --state all --output json", "What was decided, by whom and why"),
                    ]),
                CommandDescription(
                    name: "show", summary: "show an approval with the arguments of its call",
                    positionals: [Self.approvalID],
                    examples: [.init("apus approvals show ID", "What exactly would be run?")]),
                CommandDescription(
                    name: "accept", summary: "let calls begin, each once", positionals: [Self.approvalIDs],
                    options: [Self.approvalReason], examples: [.init("apus approvals accept ID", "Yes")]),
                CommandDescription(
                    name: "decline", summary: "refuse calls", positionals: [Self.approvalIDs],
                    options: [Self.approvalReason],
                    examples: [.init("apus approvals decline ID --reason 'not in production'", "No, and why")]),
            ], main: "list")
    ) { context in
        let command = ApprovalsCommand(context: context)
        switch context.subcommand {
        case "show": try command.show()
        case "accept": try command.decide("accept", "accepted")
        case "decline": try command.decide("decline", "declined")
        default: try command.list()
        }
    }

    private static let approvalID = PositionalDescription(
        name: "ID", summary: "the approval's id, as 'apus approvals list' shows it", values: .approvals)
    private static let approvalIDs = PositionalDescription(
        name: "ID", summary: "ids of approvals, as 'apus approvals list' shows them", repeats: true, values: .approvals)
    private static let approvalReason = OptionDescription.value(
        "--reason", "TEXT", "why; kept, and told to the caller")
}

private struct ApprovalsCommand {
    let context: CommandContext

    func list() throws {
        let limit = try self.context.arguments.integer("--limit", in: 1...Limits.Commands.listRows) ?? 100
        let state = self.context.arguments["--state"] ?? "waiting"
        let client = try self.context.client()
        var query = [("limit", String(limit))]
        if state != "all" { query.append(("state", state)) }
        let answer = try client.call(APIRequest(.get, client.path("approvals"), query: query)).json()
        try self.context.show(answer) {
            let items = JSONLines.list(answer) ?? []
            if items.isEmpty { return state == "waiting" ? "no approval waits\n" : "no approvals\n" }
            var table = TextTable(["ID", "TOOL", "CALLER", "STATE", "BY", "ASKED", "DECIDED BY", "ARGUMENTS"])
            for item in items {
                let arguments = String(decoding: (item["arguments"] ?? .null).encoded(), as: UTF8.self)
                table.add([
                    item["id"]?.string ?? "", item["tool"]?.string ?? "", item["principal"]?.string ?? "",
                    item["state"]?.string ?? "", item["by"]?.string ?? "", self.context.ago(item["created"]),
                    item["decidedBy"]?.string ?? "-",
                    String(arguments.prefix(Limits.Commands.approvalArguments))
                        + (arguments.count > Limits.Commands.approvalArguments ? "…" : ""),
                ])
            }
            // Never cut: the id is what the other commands take.
            return table.render(width: nil)
        }
    }

    func show() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.get, client.path("approvals", self.context.arguments["ID"] ?? "")))
            .json()
        try self.context.show(answer) { DescribeText.of(answer, self.context) }
    }

    func decide(_ verb: String, _ done: String) throws {
        let client = try self.context.client()
        var body: JSONObject = [:]
        if let reason = self.context.arguments["--reason"] { body["reason"] = .string(reason) }
        var decided: [JSONValue] = []
        for id in self.context.arguments.all("ID") {
            let answer = try client.call(APIRequest(.post, client.path("approvals", id, verb), json: .object(body)))
                .json()
            decided.append(answer)
            guard self.context.output == .table else { continue }
            try self.context.terminal.line("\(done) \(id): \(answer["tool"]?.string ?? "") of \(answer["principal"]?.string ?? "")")
        }
        if self.context.output != .table { try self.context.show(["items": .array(decided)]) { "" } }
    }
}
