internal import ApusCore
internal import ApusJSON

extension Command {
    static let completion = Command(
        CommandDescription(
            name: "completion", summary: "print the completion script of a shell",
            details: """
                The script asks apus itself what fits, so that it knows every command and option of the version that is installed, and the names
                of what is deployed.
                """,
            positionals: [
                PositionalDescription(
                    name: "SHELL", summary: "bash, zsh or fish", values: .oneOf(CompletionScript.shells))
            ],
            examples: [
                .init(
                    "apus completion bash > ~/.local/share/bash-completion/completions/apus",
                    "For bash; for one shell alone: source <(apus completion bash)"),
                .init("apus completion zsh > ~/.zsh/completions/_apus", "For zsh, in a folder of its fpath"),
                .init("apus completion fish > ~/.config/fish/completions/apus.fish", "For fish"),
            ]
        )
    ) { context in try context.terminal.write(CompletionScript.of(context.arguments["SHELL"] ?? "")) }

    /// What the scripts call: words behind `apus`, the last under the cursor; answers a word and what it means on each line.
    static let complete = Command(
        CommandDescription(
            name: "complete", summary: "say what may stand at the cursor, for completion scripts",
            details:
                "Prints a candidate on each line, with its meaning behind a tab, or :files for the shell's own paths.",
            positionals: [
                PositionalDescription(
                    name: "WORD", summary: "the words behind apus, the last under the cursor", isOptional: true,
                    repeats: true)
            ],
            examples: [.init("apus complete -- dep", "What begins with dep?")]
        )
    ) { context in
        let words = context.arguments.all("WORD")
        switch Completion(commands: CommandTable.all.map(\.description)).answer(words) {
        case .files: try context.terminal.line(":files")
        case .nothing: break
        case .words(let candidates):
            for candidate in candidates {
                try context.terminal.line(
                    candidate.summary.isEmpty ? candidate.word : "\(candidate.word)\t\(candidate.summary)")
            }
        case .named(let values):
            for name in CompletionNames.all(values, context) where name.hasPrefix(words.last ?? "") {
                try context.terminal.line(name)
            }
        }
    }
}

/// Names of what a server has. A shell waits for the answer, and nobody wants to read an error there: without a server there are none.
private enum CompletionNames {
    static func all(_ values: ArgumentValues, _ context: CommandContext) -> [String] {
        do {
            let client = try context.client()
            switch values {
            case .functions: return try self.names(client, "functions", "name")
            case .topics: return try self.names(client, "topics", "name")
            case .deadLetters: return try self.names(client, "dead-letters", "id")
            case .approvals:
                let waiting = APIRequest(.get, client.path("approvals"), query: [("state", "waiting")])
                return (JSONLines.list(try client.call(waiting).json()) ?? []).compactMap { $0["id"]?.string }
            case .devices:
                let answer = try client.call(APIRequest(.get, "/v1/devices")).json()
                return (JSONLines.list(answer) ?? []).compactMap { $0["id"]?.string }
            case .anything, .files, .oneOf: return []
            }
        } catch { return [] }
    }

    private static func names(_ client: APIClient, _ kind: String, _ member: String) throws -> [String] {
        let answer = try client.call(APIRequest(.get, client.path(kind))).json()
        return (JSONLines.list(answer) ?? []).compactMap { $0[member]?.string }
    }
}
