internal import ApusCore
internal import ApusJSON
internal import ApusStore

extension Command {
    static let secret = Command(
        CommandDescription(
            name: "secret", summary: "set, list and delete secrets that functions read",
            details: """
                A secret is text that functions get which name it under spec.secrets, and that nobody can read again: not with
                this command, not over HTTP. The server keeps it sealed. It must be set before a function that names it is
                deployed; a new value reaches new workers, and those that hold the old one finish what they have and end.
                """,
            subcommands: [
                CommandDescription(
                    name: "set", summary: "set a secret, new or anew",
                    details: """
                        Without --data the value is asked for on a terminal, where it is not shown, and else read from standard
                        input; one newline at its end is left away. What --data names is taken byte for byte.
                        """,
                    positionals: [
                        PositionalDescription(name: "NAME", summary: "letters, digits and _, as of a variable")
                    ],
                    options: [
                        .value(
                            "--data", "TEXT|@FILE|-",
                            "the value: a file's content, - for standard input, or text, which others on this machine can see",
                            values: .files)
                    ],
                    examples: [
                        .init("apus secret set API_TOKEN", "Asks for the value"),
                        .init("pass show api | apus secret set API_TOKEN", "From a password manager"),
                        .init("apus secret set TLS_KEY --data @key.pem", "A file, byte for byte"),
                    ]
                ),
                CommandDescription(
                    name: "list", summary: "list the secrets of a namespace, never their values",
                    examples: [.init("apus secret list", "Which are there, who set them, which functions use them?")]
                ),
                CommandDescription(
                    name: "delete", summary: "delete a secret that no function uses",
                    positionals: [PositionalDescription(name: "NAME", summary: "the secret's name")],
                    examples: [.init("apus secret delete API_TOKEN", "It is used no more")]
                ),
                CommandDescription(
                    name: "rotate-key", summary: "seal every secret under the server's newest master key",
                    details: """
                        Add the new key as the last line of the server's key file, restart or upgrade the server, and run this. Then
                        the old key opens nothing any more and may be removed. Needs the role admin@*.
                        """,
                    examples: [.init("apus secret rotate-key", "After a new key was added to the key file")]
                ),
            ]
        )
    ) { context in
        let command = SecretCommand(context: context)
        switch context.subcommand {
        case "set": try command.set()
        case "delete": try command.delete()
        case "rotate-key": try command.rotate()
        default: try command.list()
        }
    }
}

private struct SecretCommand {
    let context: CommandContext

    private var name: String { self.context.arguments["NAME"] ?? "" }

    func set() throws {
        let client = try self.context.client()
        let value = try self.value()
        guard !value.isEmpty else {
            throw UsageError("the value is empty: give it on standard input, or with --data @FILE")
        }
        guard value.count <= Limits.Secrets.valueBytes else {
            throw ApusError(
                .bodyTooLarge, "the value has \(value.count) bytes, and a secret at most \(Limits.Secrets.valueBytes)")
        }
        let request = APIRequest(
            .put, client.path("secrets", self.name), headers: [("Content-Type", "text/plain; charset=utf-8")],
            body: value)
        let answer = try client.call(request).json()
        try self.context.show(answer) {
            let users = Self.users(answer)
            return "set \(self.name), version \(answer["version"]?.unsigned ?? 0)\n"
                + (users.isEmpty ? "" : "new workers of \(users) get it; those that run finish what they have\n")
        }
    }

    private func value() throws -> [UInt8] {
        guard let text = self.context.arguments["--data"] else {
            let typed =
                self.context.terminal.isInputInteractive
                ? try self.context.terminal.readHidden("value of \(self.name) (not shown): ")
                : try DataArgument.read("-", self.context.terminal)
            return Self.withoutNewline(typed)
        }
        if text != "-", !text.hasPrefix("@") {
            self.context.note(
                "warning: a value on the command line can be seen by others on this machine (ps) and stays in the shell's "
                    + "history: pipe it in, or use --data @FILE")
        }
        return try DataArgument.read(text, self.context.terminal)
    }

    private static func withoutNewline(_ bytes: [UInt8]) -> [UInt8] {
        guard bytes.last == UInt8(ascii: "\n") else { return bytes }
        let line = bytes.dropLast()
        return Array(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
    }

    private static func users(_ secret: JSONValue) -> String {
        (secret["functions"]?.array ?? []).compactMap(\.string).joined(separator: ",")
    }

    func list() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.get, client.path("secrets"))).json()
        try self.context.show(answer) {
            let items = JSONLines.list(answer) ?? []
            if items.isEmpty { return "no secrets in the namespace \(client.namespace)\n" }
            var table = TextTable(["NAME", "VERSION", "SET", "BY", "KEY", "FUNCTIONS"])
            for item in items {
                let key = item["key"]?.string ?? ""
                table.add([
                    item["name"]?.string ?? "", "\(item["version"]?.unsigned ?? 0)", self.context.ago(item["set"]),
                    item["setBy"]?.string ?? "", item["isReadable"]?.boolean == false ? "\(key) (missing)" : key,
                    Self.users(item),
                ])
            }
            return table.render(width: self.context.terminal.width)
        }
    }

    func delete() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.delete, client.path("secrets", self.name))).json()
        try self.context.show(answer) { "deleted \(self.name)\n" }
    }

    func rotate() throws {
        let client = try self.context.client()
        let answer = try client.call(APIRequest(.post, "/v1/key-rotations")).json()
        try self.context.show(answer) {
            var text =
                "\(answer["resealed"]?.unsigned ?? 0) secrets sealed anew; all under the key \(answer["key"]?.string ?? "")\n"
            let left = answer["unreadable"]?.array ?? []
            if !left.isEmpty {
                let names = left.map { "\($0["namespace"]?.string ?? "")/\($0["name"]?.string ?? "")" }
                text =
                    "\(answer["resealed"]?.unsigned ?? 0) secrets sealed anew under the key \(answer["key"]?.string ?? "")\n"
                    + "left as they are, since their key is missing: \(names.joined(separator: ", "))\n"
            }
            return text
        }
    }
}
