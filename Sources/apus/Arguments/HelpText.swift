/// The help of a command, made from its description.
enum HelpText {
    private static let indent = "  "

    /// - Parameter path: how the command is called: `apus dead list`.
    static func of(_ command: CommandDescription, path: String) -> String {
        var text = "\(path): \(command.summary)\n\nUsage:\n"
        if command.subcommands.isEmpty {
            text += "\(Self.indent)\(Self.usage(command, path))\n"
        } else {
            for sub in command.subcommands { text += "\(Self.indent)\(Self.usage(sub, "\(path) \(sub.name)"))\n" }
        }
        if !command.details.isEmpty { text += "\n\(command.details)\n" }
        if !command.subcommands.isEmpty {
            text += Self.section("Commands", command.subcommands.map { ($0.name, $0.summary) })
        }
        text += Self.section("Arguments", command.positionals.map { ($0.name, $0.summary) })
        text += Self.section("Options", command.options.map { (Self.left($0), $0.summary) })
        text += Self.section("Common options", OptionDescription.common.map { (Self.left($0), $0.summary) })
        let examples = command.examples + command.subcommands.flatMap(\.examples)
        if !examples.isEmpty {
            text += "\nExamples:\n"
            for example in examples { text += "\(Self.indent)# \(example.comment)\n\(Self.indent)\(example.line)\n" }
        }
        return text
    }

    /// The help of `apus` itself.
    static func overview(_ commands: [CommandDescription], notYetAvailable: [String]) -> String {
        var text = """
            apus: run functions on events, in sandboxes

            Usage:
              apus COMMAND [ARGUMENTS] [OPTIONS]
              apus help COMMAND

            """
        text += Self.section("Commands", commands.map { ($0.name, $0.summary) })
        text += Self.section("Common options", OptionDescription.common.map { (Self.left($0), $0.summary) })
        text += """

            Exit codes:
              0 done   1 failure   2 wrong usage   3 not found   4 the server cannot be reached

            Examples:
              # Start a server, deploy a function and call it
              apus serve
              apus deploy functions/echo
              apus invoke echo --data '{"hello": "world"}'

            """
        if !notYetAvailable.isEmpty {
            text += "\nNot yet available: \(notYetAvailable.joined(separator: ", "))\n"
        }
        return text
    }

    static func usage(_ command: CommandDescription, _ path: String) -> String {
        let positionals = command.positionals.map { positional in
            let name = positional.name + (positional.repeats ? "…" : "")
            return positional.isOptional ? "[\(name)]" : name
        }
        return ([path] + positionals + ["[OPTIONS]"]).joined(separator: " ")
    }

    private static func left(_ option: OptionDescription) -> String {
        let short = option.short.map { "\($0), " } ?? "    "
        return "\(short)\(option.name)" + (option.placeholder.map { " \($0)" } ?? "")
    }

    private static func section(_ title: String, _ rows: [(String, String)]) -> String {
        guard !rows.isEmpty else { return "" }
        let width = min(rows.map(\.0.count).max() ?? 0, 30)
        var text = "\n\(title):\n"
        for (left, right) in rows {
            let padding = String(repeating: " ", count: max(width - left.count, 0))
            text += "\(Self.indent)\(left)\(padding)  \(right)\n"
        }
        return text
    }
}
