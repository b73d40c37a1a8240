internal import ApusCore
internal import ApusJSON

extension Command {
    static let token = Command(
        CommandDescription(
            name: "token", summary: "make, list and revoke tokens",
            details: """
                A token holds roles, each in one namespace, or with @* in all of them and for paths that show the whole server:
                  admin     everything, tokens included
                  deployer  deploys, deletes, redrives; sees what a reader sees
                  producer  publishes events
                  caller    invokes functions
                  approver  decides approvals
                  reader    sees what is deployed, topics, logs, dead letters
                Nobody can give a role away that it does not hold. A token is shown once, when it is made, and kept nowhere.
                """,
            subcommands: [
                CommandDescription(
                    name: "create", summary: "make a token and print it, once",
                    options: [
                        .value("--name", "NAME", "what it is called in lists, logs and records"),
                        .value(
                            "--role", "ROLE[@NAMESPACE]",
                            "what it may do, and where; without @ in the namespace of -n; may be repeated",
                            repeats: true),
                        .value("--expires", "TIME", "how long it holds, as 12h or 30d; without it for ever"),
                    ],
                    examples: [
                        .init("apus token create --name ci --role deployer --expires 30d", "For a build that deploys"),
                        .init(
                            "apus token create --name shop --role producer@orders --role caller@search",
                            "Roles in two namespaces"),
                        .init(
                            "apus token create --name prometheus --role reader@* > prometheus.token",
                            "For a scraper of metrics, which are of the whole server"),
                    ]
                ),
                CommandDescription(
                    name: "list", summary: "list the tokens of a namespace, never their secrets",
                    examples: [.init("apus token list", "Which tokens are there, and until when?")]
                ),
                CommandDescription(
                    name: "revoke", summary: "end a token at once",
                    details: "Requests with it are refused from then on, its open streams end within 5 seconds.",
                    positionals: [PositionalDescription(name: "NAME", summary: "the token's name")],
                    examples: [.init("apus token revoke ci", "It was published by mistake")]
                ),
            ]
        )
    ) { context in
        let command = TokenCommand(context: context)
        switch context.subcommand {
        case "create": try command.create()
        case "revoke": try command.revoke()
        default: try command.list()
        }
    }
}

private struct TokenCommand {
    let context: CommandContext

    /// The token goes to standard output, alone, so that it can be piped to where it is kept.
    func create() throws {
        guard let name = self.context.arguments["--name"] else {
            throw UsageError("--name is missing: say what the token is called, as in '--name ci'")
        }
        let roles = self.context.arguments.all("--role")
        guard !roles.isEmpty else {
            throw UsageError("--role is missing: say what the token may do, as in '--role deployer'")
        }
        let client = try self.context.client()
        var order: JSONValue = ["name": .string(name), "roles": .array(roles.map { .string($0) })]
        if let life = self.context.arguments["--expires"] { order["expiresIn"] = .string(life) }
        let answer = try client.call(APIRequest(.post, client.path("tokens"), json: order)).json()
        guard let token = answer["token"]?.string else {
            throw ApusError(.internal, "the answer of \(client.server) holds no token: is it an apus server?")
        }
        try self.context.show(answer) {
            let held = (answer["roles"]?.array ?? []).compactMap(\.string).joined(separator: ", ")
            let end = answer["expires"].map { ", expires \(self.context.time($0))" } ?? ""
            self.context.note("made '\(name)' with \(held)\(end); it is not shown again")
            return token + "\n"
        }
    }

    func list() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.get, client.path("tokens"))).json()
        try self.context.show(answer) {
            let items = JSONLines.list(answer) ?? []
            if items.isEmpty { return "no tokens in the namespace \(client.namespace)\n" }
            var table = TextTable(["NAME", "ID", "ROLES", "STATE", "CREATED", "BY", "EXPIRES"])
            for item in items {
                table.add([
                    item["name"]?.string ?? "", item["id"]?.string ?? "",
                    (item["roles"]?.array ?? []).compactMap(\.string).joined(separator: ","),
                    item["state"]?.string ?? "", self.context.ago(item["created"]), item["creator"]?.string ?? "",
                    item["expires"].map { self.context.ago($0) } ?? "never",
                ])
            }
            return table.render(width: self.context.terminal.width)
        }
    }

    func revoke() throws {
        let name = self.context.arguments["NAME"] ?? ""
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.delete, client.path("tokens", name))).json()
        try self.context.show(answer) {
            answer["action"]?.string == "unchanged" ? "'\(name)' was revoked before\n" : "revoked \(name)\n"
        }
    }
}
