internal import ApusCore
internal import ApusJSON

/// `apus`, from its words to its exit code.
struct CommandLineTool {
    let commands: [Command]
    /// Commands that a later version brings.
    let notYetAvailable: [String]
    let environment: [String: String]
    let terminal: any Terminal
    let connect: (ServerAddress) throws(ApusError) -> any Transport

    /// Runs one command line.
    /// - Parameter words: without the name of the program.
    /// - Returns: the exit code: 0, 1 failure, 2 usage, 3 not found, 4 cannot reach the server.
    func run(_ words: [String]) -> Int32 {
        do {
            try self.dispatch(Self.commandFirst(words))
            return 0
        } catch {
            return ErrorReport(error, asJSON: Self.wantsJSON(words)).print(to: self.terminal)
        }
    }

    private func dispatch(_ words: [String]) throws {
        guard let name = words.first, !["help", "--help", "-h"].contains(name) else {
            return try self.help(words.dropFirst().filter { !$0.hasPrefix("-") })
        }
        let command = try self.find(name == "--version" ? "version" : name)
        let rest = Array(words.dropFirst())
        let description = command.description
        guard !description.subcommands.isEmpty else {
            return try self.run(command, description, nil, "apus \(name)", rest)
        }
        guard let subname = rest.first, !["--help", "-h", "help"].contains(subname) else {
            if rest.isEmpty {
                let main = description.subcommands.first { $0.name == description.main }
                // One that needs nothing is what the name alone means.
                if let main, main.positionals.allSatisfy(\.isOptional) {
                    return try self.run(command, main, main.name, "apus \(name)", [])
                }
                throw UsageError("'apus \(name)' needs a command: \(Self.names(description)); try 'apus help \(name)'")
            }
            return try self.terminal.write(HelpText.of(description, path: "apus \(name)"))
        }
        if let main = description.subcommands.first(where: { $0.name == description.main }),
            !description.subcommands.contains(where: { $0.name == subname })
        {
            return try self.run(command, main, main.name, "apus \(name)", rest)
        }
        guard let sub = description.subcommands.first(where: { $0.name == subname }) else {
            let hint = DidYouMean.hint(subname, description.subcommands.map(\.name))
            throw UsageError("'apus \(name)' knows no command '\(subname)'\(hint); it knows \(Self.names(description))")
        }
        try self.run(command, sub, sub.name, "apus \(name) \(sub.name)", Array(rest.dropFirst()))
    }

    private func run(
        _ command: Command, _ description: CommandDescription, _ subcommand: String?, _ path: String, _ words: [String]
    ) throws {
        let arguments = try ArgumentParser(command: description, path: path).parse(words)
        guard !arguments.has("--help") else { return try self.terminal.write(HelpText.of(description, path: path)) }
        let context = CommandContext(
            arguments: arguments, subcommand: subcommand, environment: self.environment, terminal: self.terminal,
            connect: self.connect
        )
        try command.run(context)
    }

    private func find(_ name: String) throws -> Command {
        if let command = self.commands.first(where: { $0.description.name == name }) { return command }
        guard !self.notYetAvailable.contains(name) else {
            throw ApusError(
                .notYetSupported, "'apus \(name)' is not yet available in this version; 'apus help' lists what is")
        }
        let known = self.commands.map(\.description.name) + self.notYetAvailable
        throw UsageError("there is no command '\(name)'\(DidYouMean.hint(name, known)); 'apus help' lists them")
    }

    private func help(_ words: [String]) throws {
        guard let name = words.first else {
            let overview = HelpText.overview(self.commands.map(\.description), notYetAvailable: self.notYetAvailable)
            return try self.terminal.write(overview)
        }
        var description = try self.find(name).description
        var path = "apus \(name)"
        if let subname = words.dropFirst().first, let sub = description.subcommands.first(where: { $0.name == subname })
        {
            (description, path) = (sub, "\(path) \(subname)")
        }
        try self.terminal.write(HelpText.of(description, path: path))
    }

    private static func names(_ description: CommandDescription) -> String {
        description.subcommands.map(\.name).joined(separator: ", ")
    }

    /// Common options may stand before the command: they are moved behind it, where the command's parser takes them.
    private static func commandFirst(_ words: [String]) -> [String] {
        var moved: [String] = []
        var rest = words[...]
        while let word = rest.first, word.hasPrefix("-") {
            let name = String(word.prefix { $0 != "=" })
            let option = OptionDescription.common.first { $0.name == name || $0.short == name }
            guard let option, option.placeholder != nil else { break }
            let count = word.contains("=") ? 1 : 2
            moved += rest.prefix(count)
            rest = rest.dropFirst(count)
        }
        guard let command = rest.first else { return words }
        return [command] + Array(rest.dropFirst()) + moved
    }

    /// Known even where the command line cannot be parsed, since the error is printed by it.
    private static func wantsJSON(_ words: [String]) -> Bool {
        for (index, word) in words.enumerated() {
            if word == "--output=json" || word == "-ojson" { return true }
            if word == "--output" || word == "-o", index + 1 < words.count, words[index + 1] == "json" { return true }
        }
        return false
    }
}
