internal import ApusCore
internal import ApusJSON

extension Command {
    static let agent = Command(
        CommandDescription(
            name: "agent", summary: "make, list, rotate and revoke agents",
            details: """
                An agent is a principal that calls tools of its namespace, over MCP or HTTP, and may do nothing else. Its token is shown
                once, when it is made or rotated, and kept nowhere. Bounds are seen by the model as an answer that says when to try again.
                A manifest with `kind: Agent` says the same in a file: `apus deploy` makes the agent without a token, and `rotate` gives it
                the first one.
                """,
            subcommands: [
                CommandDescription(
                    name: "create", summary: "make an agent and print its token, once",
                    positionals: [
                        PositionalDescription(name: "NAME", summary: "what it is called in lists, logs and records")
                    ],
                    options: [
                        .value(
                            "--tool-server", "NAME",
                            "a tool server that it reaches; without it all of the namespace; may be repeated",
                            repeats: true),
                        .value("--scope", "SCOPE", "a scope of tools that it holds; may be repeated", repeats: true),
                        .value("--per-minute", "N", "calls that it may make in a minute"),
                        .value("--concurrent", "N", "calls of it that may run at once"),
                        .value("--per-day", "N", "calls that it may make in a day"),
                        .value("--budget", "AMOUNT", "what its calls of a day may cost, in the currency of `pool.prices`"),
                        .value("--expires", "TIME", "how long its token holds, as 12h or 30d; without it for ever"),
                    ],
                    examples: [
                        .init("apus agent create researcher", "An agent that may call every tool of the namespace"),
                        .init(
                            "apus agent create helper --tool-server search --scope files:read --per-minute 60 --expires 30d",
                            "One that is kept within bounds"),
                    ]
                ),
                CommandDescription(
                    name: "list", summary: "list the agents of a namespace, never their tokens",
                    examples: [.init("apus agent list", "Which agents are there, and what may they do?")]
                ),
                CommandDescription(
                    name: "rotate", summary: "give an agent another token and print it, once",
                    details: "The token of before is refused at once. An agent that was deployed gets its first one in this way.",
                    positionals: [PositionalDescription(name: "NAME", summary: "the agent's name")],
                    examples: [.init("apus agent rotate researcher > researcher.token", "Its token may have leaked")]
                ),
                CommandDescription(
                    name: "revoke", summary: "end an agent's token at once",
                    details: "Requests with it are refused from then on, its open streams end within 5 seconds.",
                    positionals: [PositionalDescription(name: "NAME", summary: "the agent's name")],
                    examples: [.init("apus agent revoke researcher", "It is not needed any more")]
                ),
            ]
        )
    ) { context in
        let command = AgentCommand(context: context)
        switch context.subcommand {
        case "create": try command.create()
        case "rotate": try command.rotate()
        case "revoke": try command.revoke()
        default: try command.list()
        }
    }
}

private struct AgentCommand {
    let context: CommandContext

    private var name: String { self.context.arguments["NAME"] ?? "" }

    func create() throws {
        let client = try self.context.client()
        var order: JSONValue = ["name": .string(self.name)]
        let (servers, scopes) = (self.context.arguments.all("--tool-server"), self.context.arguments.all("--scope"))
        if !servers.isEmpty { order["servers"] = .array(servers.map { .string($0) }) }
        if !scopes.isEmpty { order["scopes"] = .array(scopes.map { .string($0) }) }
        let limits = try self.limits()
        if !limits.names.isEmpty { order["limits"] = .object(limits) }
        if let life = self.context.arguments["--expires"] { order["expiresIn"] = .string(life) }
        let answer = try client.call(APIRequest(.post, client.path("agents"), json: order)).json()
        try self.show(answer, of: client) { "made the agent '\(self.name)'\($0); its token is not shown again" }
    }

    private func limits() throws -> JSONObject {
        var limits = JSONObject()
        for (option, member) in [
            ("--per-minute", "callsPerMinute"), ("--concurrent", "concurrent"), ("--per-day", "callsPerDay"),
        ] {
            guard let text = self.context.arguments[option] else { continue }
            guard let number = Int64(text), number > 0 else {
                throw UsageError("\(option) '\(text)' is no number above 0, as in '\(option) 60'")
            }
            limits[member] = .integer(number)
        }
        if let text = self.context.arguments["--budget"] {
            guard let budget = Double(text).flatMap({ Money($0) }), budget > .zero else {
                throw UsageError("--budget '\(text)' is no amount above 0, as in '--budget 2.5'")
            }
            limits["budgetPerDay"] = .double(budget.amount)
        }
        return limits
    }

    func rotate() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.post, client.path("agents", self.name, "rotate"))).json()
        try self.show(answer, of: client) { _ in "the agent '\(self.name)' has another token; it is not shown again" }
    }

    /// The token goes to standard output, alone, so that it can be piped to where it is kept.
    private func show(_ answer: JSONValue, of client: APIClient, _ note: (_ end: String) -> String) throws {
        guard let token = answer["token"]?.string else {
            throw ApusError(.internal, "the answer of \(client.server) holds no token: is it an apus server?")
        }
        try self.context.show(answer) {
            self.context.note(note(answer["expires"].map { ", expires \(self.context.time($0))" } ?? ""))
            return token + "\n"
        }
    }

    func list() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.get, client.path("agents"))).json()
        try self.context.show(answer) {
            let items = JSONLines.list(answer) ?? []
            if items.isEmpty { return "no agents in the namespace \(client.namespace)\n" }
            return AgentTable(context: self.context).text(items)
        }
    }

    func revoke() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.delete, client.path("agents", self.name))).json()
        try self.context.show(answer) {
            answer["action"]?.string == "unchanged" ? "'\(self.name)' was revoked before\n" : "revoked \(self.name)\n"
        }
    }
}
