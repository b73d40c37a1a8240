internal import ApusCore

/// Turns the words after a command's name into values, by the command's description.
///
/// `--name value` and `--name=value`, `-n value` and `-nvalue`; `--` ends the options; a lone `-` is a value.
struct ArgumentParser {
    let command: CommandDescription
    /// How the command is called: `apus dead list`.
    let path: String

    func parse(_ words: [String]) throws(UsageError) -> ParsedArguments {
        var parsed = ParsedArguments()
        var positionals: [String] = []
        var at = 0
        var areOptionsOver = false
        while at < words.count {
            let word = words[at]
            at += 1
            if areOptionsOver || word == "-" || !word.hasPrefix("-") {
                positionals.append(word)
            } else if word == "--" {
                areOptionsOver = true
            } else {
                let (option, attached) = try self.option(word)
                guard option.placeholder != nil else {
                    guard attached == nil else {
                        throw UsageError("\(option.name) takes no value; try '\(self.path) --help'")
                    }
                    parsed.set(option.name)
                    continue
                }
                var value = attached
                if value == nil, at < words.count {
                    value = words[at]
                    at += 1
                }
                guard let value else {
                    throw UsageError("\(option.name) needs a value, as in '\(option.name) \(option.placeholder ?? "")'")
                }
                guard option.repeats || parsed[option.name] == nil else {
                    throw UsageError("\(option.name) is given twice; keep one of them")
                }
                try Self.check(value, option.name, option.values)
                parsed.add(option.name, value)
            }
        }
        if !parsed.has("--help") { try self.assign(positionals, to: &parsed) }
        return parsed
    }

    private func option(_ word: String) throws(UsageError) -> (OptionDescription, attached: String?) {
        let options = self.command.options + OptionDescription.common
        if word.hasPrefix("--") {
            let parts = word.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = String(parts[0])
            guard let option = options.first(where: { $0.name == name }) else {
                throw UsageError(
                    "'\(self.path)' knows no option '\(name)'\(DidYouMean.hint(name, options.map(\.name))); try '\(self.path) --help'"
                )
            }
            return (option, parts.count == 2 ? String(parts[1]) : nil)
        }
        let name = String(word.prefix(2))
        guard let option = options.first(where: { $0.short == name }) else {
            throw UsageError("'\(self.path)' knows no option '\(name)'; try '\(self.path) --help'")
        }
        return (option, word.count > 2 ? String(word.dropFirst(2)) : nil)
    }

    private func assign(_ words: [String], to parsed: inout ParsedArguments) throws(UsageError) {
        var rest = words[...]
        for positional in self.command.positionals {
            if rest.isEmpty {
                guard positional.isOptional else {
                    throw UsageError("\(positional.name) is missing: \(positional.summary); try '\(self.path) --help'")
                }
                continue
            }
            let taken = positional.repeats ? rest : rest.prefix(1)
            for word in taken {
                try Self.check(word, positional.name, positional.values)
                parsed.add(positional.name, word)
            }
            rest = rest.dropFirst(taken.count)
        }
        if let extra = rest.first { throw UsageError("'\(extra)' is one argument too many; try '\(self.path) --help'") }
    }

    private static func check(_ value: String, _ name: String, _ values: ArgumentValues) throws(UsageError) {
        guard case .oneOf(let known) = values, !known.contains(value) else { return }
        throw UsageError(
            "\(name) is '\(value)'\(DidYouMean.hint(value, known)); expected \(known.joined(separator: ", "))")
    }
}
