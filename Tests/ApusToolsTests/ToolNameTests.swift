import ApusTestSupport
import ApusTools
import Testing

@Suite struct ToolNameTests {
    @Test(arguments: ["a", "get_weather", "A-9", String(repeating: "x", count: 64)])
    func staysAsItIsWhereEveryModelTakesIt(name: String) { #expect(ToolName(name).text == name) }

    @Test func isMadeOneOfTheAllowedCharacters() {
        #expect(ToolName("files.read").text.hasPrefix("files_read_"))
        #expect(ToolName("").text.utf8.count == 9)
        #expect(ToolName("files.read") != ToolName("files/read"))
    }

    @Test func isValidUniqueAndStableForAnyName() {
        var generator = SeededGenerator(seed: 16)
        var names: [String: String] = [:]
        for _ in 0..<100_000 {
            let name = String(decoding: generator.bytes(Int(generator.next() % 120)), as: UTF8.self)
            let text = ToolName(name).text
            let allowed = text.utf8.allSatisfy {
                "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-".utf8.contains($0)
            }
            let other = names.updateValue(name, forKey: text)
            let isAlone = other == nil || other.map { Array($0.utf8) } == Array(name.utf8)
            // An expectation costs more than all that it expects.
            guard allowed, (1...64).contains(text.utf8.count), ToolName(name).text == text, isAlone else {
                Issue.record("\(name) becomes \(text), as does \(other ?? "nothing else")")
                continue
            }
        }
    }
}
