/// What a shell may offer for the word under the cursor, by the descriptions of the commands. No I/O: names that a server knows are asked
/// for by the caller.
struct Completion {
    struct Candidate: Equatable {
        var word: String
        /// Shown beside it where the shell can; may be empty.
        var summary = ""
    }

    enum Answer: Equatable {
        case words([Candidate])
        /// The shell's own completion of paths.
        case files
        /// Names of what is deployed.
        case named(ArgumentValues)
        case nothing
    }

    let commands: [CommandDescription]

    /// - Parameter words: behind `apus`; the last is the one under the cursor, and may be empty.
    func answer(_ words: [String]) -> Answer {
        let current = words.last ?? ""
        var before = Array(words.dropLast())[...]
        guard let command = self.command(&before) else {
            guard !current.hasPrefix("-") else { return Self.matching(Self.options(OptionDescription.common), current) }
            return Self.matching(self.commands.map { Candidate(word: $0.name, summary: $0.summary) }, current)
        }
        if let main = command.subcommands.first(where: { $0.name == command.main }) {
            // What the subcommand that need not be named takes, beside the names of all.
            let isFirst = before.allSatisfy { $0.hasPrefix("-") }
            let named = command.subcommands.map { Candidate(word: $0.name, summary: $0.summary) }
            if isFirst, !current.hasPrefix("-"), named.contains(where: { $0.word.hasPrefix(current) }), !current.isEmpty
            {
                return Self.matching(named, current)
            }
            return self.answer(main, before, current)
        }
        if !command.subcommands.isEmpty {
            return Self.matching(command.subcommands.map { Candidate(word: $0.name, summary: $0.summary) }, current)
        }
        return self.answer(command, before, current)
    }

    private func answer(_ command: CommandDescription, _ before: ArraySlice<String>, _ current: String) -> Answer {
        let options = command.options + OptionDescription.common
        if let option = Self.valueOption(before.last, options) { return Self.values(option.values, current) }
        if current.hasPrefix("--"), let sign = current.firstIndex(of: "=") {
            guard let option = options.first(where: { $0.name == current[..<sign] }) else { return .nothing }
            return Self.values(option.values, String(current[current.index(after: sign)...]))
        }
        if current.hasPrefix("-") {
            let fresh = options.filter { $0.repeats || !before.contains($0.name) }
            return Self.matching(Self.options(fresh), current)
        }
        return self.positional(command, before, options).map { Self.values($0.values, current) } ?? .nothing
    }

    /// The command that the words name, which are taken off.
    private func command(_ words: inout ArraySlice<String>) -> CommandDescription? {
        var level = self.commands
        var found: CommandDescription?
        while let word = words.first {
            // A common option may stand before the command.
            if found == nil, Self.valueOption(word, OptionDescription.common) != nil {
                words = words.dropFirst(2)
                continue
            }
            guard let next = level.first(where: { $0.name == word }) else { break }
            words = words.dropFirst()
            found = next
            level = next.subcommands
        }
        return found
    }

    private func positional(
        _ command: CommandDescription, _ words: ArraySlice<String>, _ options: [OptionDescription]
    ) -> PositionalDescription? {
        var count = 0
        var isValue = false
        for word in words {
            if isValue {
                isValue = false
            } else if word.hasPrefix("-"), word != "-" {
                isValue = Self.valueOption(word, options) != nil
            } else {
                count += 1
            }
        }
        if count < command.positionals.count { return command.positionals[count] }
        return command.positionals.last.flatMap { $0.repeats ? $0 : nil }
    }

    /// The option whose value comes next.
    private static func valueOption(_ word: String?, _ options: [OptionDescription]) -> OptionDescription? {
        guard let word, word.hasPrefix("-") else { return nil }
        return options.first { ($0.name == word || $0.short == word) && $0.placeholder != nil }
    }

    private static func options(_ options: [OptionDescription]) -> [Candidate] {
        options.map { Candidate(word: $0.name, summary: $0.summary) }
    }

    private static func values(_ values: ArgumentValues, _ current: String) -> Answer {
        switch values {
        case .anything: .nothing
        case .files: .files
        case .oneOf(let words): Self.matching(words.map { Candidate(word: $0) }, current)
        case .functions, .topics, .deadLetters, .devices, .approvals: .named(values)
        }
    }

    private static func matching(_ candidates: [Candidate], _ current: String) -> Answer {
        .words(candidates.filter { $0.word.hasPrefix(current) })
    }
}
