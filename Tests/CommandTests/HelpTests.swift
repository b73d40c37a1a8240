import Testing

@testable import apus

@Suite struct HelpTests {
    /// Every command and subcommand with the path it is called by.
    static var all: [(path: String, description: CommandDescription)] {
        CommandTable.all.flatMap { command -> [(path: String, description: CommandDescription)] in
            let own = (path: "apus \(command.description.name)", description: command.description)
            return [own] + command.description.subcommands.map { (path: "\(own.path) \($0.name)", description: $0) }
        }
    }

    @Test func everyCommandHasASummaryAndExamplesThatItUnderstands() throws {
        for (path, description) in Self.all {
            #expect(!description.summary.isEmpty && !description.summary.hasSuffix("."), "\(path)")
            let examples = description.examples + description.subcommands.flatMap(\.examples)
            #expect(!examples.isEmpty, "\(path) has no example")
            guard description.subcommands.isEmpty else { continue }
            for example in examples {
                let command = example.line.split(separator: "|").last.map(String.init) ?? ""
                var words = Self.words(command.split(separator: ">").first.map(String.init) ?? "")
                if words.first == "sudo" { words.removeFirst() }
                var prefix = path.split(separator: " ").map(String.init)
                let isMain = CommandTable.all.contains {
                    path == "apus \($0.description.name) \($0.description.main ?? "")"
                }
                // The name of the main one may be left out.
                if isMain, words.dropFirst(2).first != prefix.last { prefix.removeLast() }
                #expect(Array(words.prefix(prefix.count)) == prefix, "\(example.line)")
                _ = try ArgumentParser(command: description, path: path).parse(Array(words.dropFirst(prefix.count)))
            }
        }
    }

    @Test func namesAndOptionsAreGivenOnce() {
        let names = CommandTable.all.map(\.description.name) + CommandTable.notYetAvailable
        #expect(Set(names).count == names.count)
        for (path, description) in Self.all {
            let options = description.options + OptionDescription.common
            #expect(Set(options.map(\.name)).count == options.count, "\(path)")
            let shorts = options.compactMap(\.short)
            #expect(Set(shorts).count == shorts.count, "\(path)")
        }
    }

    @Test func everyHelpIsReachableInThreeWays() {
        for (path, description) in Self.all where description.subcommands.isEmpty && description.name != "help" {
            let words = path.split(separator: " ").dropFirst().map(String.init)
            let texts = [["help"] + words, words + ["--help"], words + ["-h"]].map { line -> String in
                let fixture = CommandFixture()
                let tool = CommandLineTool(
                    commands: CommandTable.all, notYetAvailable: [], environment: [:], terminal: fixture.terminal,
                    connect: { _ in fixture.server }
                )
                #expect(tool.run(line) == 0, "\(line)")
                return fixture.terminal.text
            }
            #expect(Set(texts).count == 1, "\(path)")
            #expect(texts[0].contains("Usage:\n  \(path)"))
            #expect(texts[0].contains("Examples:"))
        }
    }

    @Test func helpOfACommandReadsLikeThis() {
        let description = CommandDescription(
            name: "sample", summary: "do a thing",
            positionals: [PositionalDescription(name: "NAME", summary: "its name", isOptional: true)],
            options: [.value("--count", short: "-c", "COUNT", "how many")], examples: [.init("apus sample x", "Do it")]
        )
        let text = HelpText.of(description, path: "apus sample")
        let expected = """
            apus sample: do a thing

            Usage:
              apus sample [NAME] [OPTIONS]

            Arguments:
              NAME  its name

            Options:
              -c, --count COUNT  how many

            Common options:
            """
        #expect(text.hasPrefix(expected))
        #expect(text.hasSuffix("\nExamples:\n  # Do it\n  apus sample x\n"))
    }

    /// Words of a shell command line, with single quotes.
    private static func words(_ line: String) -> [String] {
        var words: [String] = []
        for (index, part) in line.split(separator: "'", omittingEmptySubsequences: false).enumerated() {
            if index % 2 == 1 {
                words.append(String(part))
            } else {
                words += part.split(separator: " ").map(String.init)
            }
        }
        return words
    }
}
