/// The help of all commands as one page of Markdown.
enum CommandReference {
    static func text(_ commands: [CommandDescription], notYetAvailable: [String]) -> String {
        var text = """
            # Commands

            Made from the code by `make reference`; do not edit it. `apus help COMMAND` prints the same. Exit codes: 0 done, 1 failure,
            2 wrong usage, 3 not found, 4 the server cannot be reached.

            Every command that talks to a server takes these:

            """
        text += self.options(OptionDescription.common)
        for command in commands { text += self.section(command, path: "apus \(command.name)", level: "##") }
        guard !notYetAvailable.isEmpty else { return text }
        return text + "\nNot yet available: \(notYetAvailable.map { "`\($0)`" }.joined(separator: ", ")).\n"
    }

    private static func section(_ command: CommandDescription, path: String, level: String) -> String {
        var text = "\n\(level) \(path)\n\n\(self.capitalized(command.summary)).\n"
        if command.subcommands.isEmpty { text += "\n    \(HelpText.usage(command, path))\n" }
        if !command.details.isEmpty { text += "\n\(command.details)\n" }
        if !command.positionals.isEmpty {
            text += "\n| argument | |\n|---|---|\n"
            for positional in command.positionals {
                text += "| `\(positional.name)` | \(self.escaped(positional.summary)) |\n"
            }
        }
        if !command.options.isEmpty { text += "\n" + self.options(command.options) }
        if !command.examples.isEmpty {
            text += "\n```sh\n"
            for example in command.examples { text += "# \(example.comment)\n\(example.line)\n" }
            text += "```\n"
        }
        for sub in command.subcommands { text += self.section(sub, path: "\(path) \(sub.name)", level: "###") }
        return text
    }

    private static func options(_ options: [OptionDescription]) -> String {
        var text = "| option | |\n|---|---|\n"
        for option in options {
            let names = ([option.name] + (option.short.map { [$0] } ?? [])).map { name in
                "`\(name)" + (option.placeholder.map { " \($0)" } ?? "") + "`"
            }
            text += "| \(names.joined(separator: ", ")) | \(self.escaped(option.summary)) |\n"
        }
        return text
    }

    private static func capitalized(_ text: String) -> String { text.prefix(1).uppercased() + text.dropFirst() }

    private static func escaped(_ text: String) -> String {
        text.split(separator: "|", omittingEmptySubsequences: false).joined(separator: "\\|")
    }
}
