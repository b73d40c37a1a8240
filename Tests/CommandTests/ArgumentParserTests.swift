import Testing

@testable import apus

@Suite struct ArgumentParserTests {
    private let command = CommandDescription(
        name: "sample", summary: "a sample",
        positionals: [
            PositionalDescription(name: "TOPIC", summary: "a topic"),
            PositionalDescription(name: "FILE", summary: "files", isOptional: true, repeats: true),
        ],
        options: [
            .value("--data", short: "-d", "TEXT", "data"), .flag("--follow", short: "-f", "follow"),
            .value("--label", "LABEL", "labels", repeats: true),
            .value("--kind", "KIND", "kind", values: .oneOf(["red", "green"])),
        ]
    )

    private func parse(_ words: String...) throws -> ParsedArguments {
        try ArgumentParser(command: self.command, path: "apus sample").parse(words)
    }

    private func failure(_ words: String...) -> String? {
        #expect(throws: UsageError.self) {
            try ArgumentParser(command: self.command, path: "apus sample").parse(words)
        }?.message
    }

    @Test func optionsAndPositionalsComeInAnyOrder() throws {
        let parsed = try self.parse("--data", "x", "documents", "-f", "one", "--label=a", "two", "--label", "b")
        #expect(parsed["TOPIC"] == "documents")
        #expect(parsed.all("FILE") == ["one", "two"])
        #expect(parsed["--data"] == "x")
        #expect(parsed.all("--label") == ["a", "b"])
        #expect(parsed.has("--follow"))
    }

    @Test func aValueMayHangOnAShortOptionAndMayStartWithAHyphen() throws {
        #expect(try self.parse("t", "-dx")["--data"] == "x")
        #expect(try self.parse("t", "--data", "-5")["--data"] == "-5")
        #expect(try self.parse("t", "--data=a=b")["--data"] == "a=b")
        #expect(try self.parse("t", "--data=")["--data"] == "")
    }

    @Test func aLoneHyphenIsAValueAndTwoEndTheOptions() throws {
        let parsed = try self.parse("-", "--", "--data")
        #expect(parsed["TOPIC"] == "-")
        #expect(parsed.all("FILE") == ["--data"])
    }

    @Test func aMisspelledOptionIsGuessed() {
        #expect(self.failure("t", "--dta", "x")?.contains("did you mean '--data'?") == true)
        #expect(self.failure("t", "-x")?.contains("'-x'") == true)
    }

    @Test func whatIsMissingOrTooMuchIsSaid() {
        #expect(self.failure()?.contains("TOPIC is missing") == true)
        #expect(self.failure("t", "--data")?.contains("needs a value") == true)
        #expect(self.failure("t", "--follow=yes")?.contains("takes no value") == true)
        #expect(self.failure("t", "--data", "a", "--data", "b")?.contains("twice") == true)
        let single = CommandDescription(name: "one", summary: "one")
        let error = #expect(throws: UsageError.self) {
            try ArgumentParser(command: single, path: "apus one").parse(["extra"])
        }
        #expect(error?.message.contains("'extra'") == true)
    }

    @Test func aValueThatIsNoneOfTheKnownIsGuessed() throws {
        #expect(try self.parse("t", "--kind", "red")["--kind"] == "red")
        #expect(self.failure("t", "--kind", "gren")?.contains("did you mean 'green'?") == true)
        #expect(self.failure("t", "--output", "xml")?.contains("table, json, yaml") == true)
    }

    @Test func helpNeedsNothingElse() throws {
        #expect(try self.parse("--help").has("--help"))
    }

    @Test func numbersAreCheckedAgainstTheirBounds() throws {
        let parsed = try self.parse("t", "--data", "7")
        #expect(try parsed.integer("--data", in: 1...7) == 7)
        #expect(throws: UsageError.self) { try parsed.integer("--data", in: 1...6) }
        #expect(try parsed.integer("--label", in: 1...6) == nil)
    }

    @Test(arguments: [("depoly", "deploy"), ("delet", "delete"), ("pub", "publish"), ("xyzzy", nil), ("", nil)])
    func aCommandIsGuessed(_ word: String, _ expected: String?) {
        #expect(DidYouMean.nearest(word, ["deploy", "delete", "publish", "get"]) == expected)
    }
}
