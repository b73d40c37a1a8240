import ApusCore
import Testing

@testable import ApusJSON

@Suite struct JSONCheckerTests {
    func isAccepted(_ text: String, refusesDuplicates: Bool = false) -> Bool {
        self.isAccepted(Array(text.utf8), refusesDuplicates: refusesDuplicates)
    }

    func isAccepted(_ bytes: [UInt8], refusesDuplicates: Bool = false) -> Bool {
        bytes.withUnsafeBytes { bytes in
            do throws(JSONSyntaxError) {
                try JSONChecker.check(bytes, refusesDuplicates: refusesDuplicates)
                return true
            } catch {
                return false
            }
        }
    }

    @Test(arguments: [
        "0", "-0", "1e400", "123456789012345678901234567890", "1.10", " [ ] ", "{\"a\":[{}],\"b\":\"\\ud800\"}",
        "\"é😀\"", "null\n",
    ])
    func whatTheGrammarAllowsIsAccepted(text: String) { #expect(self.isAccepted(text)) }

    @Test(arguments: [
        "", " ", "01", "1.", ".5", "1e", "+1", "-", "[1,]", "{,}", "{\"a\":1,}", "{\"a\"}", "{a:1}", "'a'", "tru",
        "[1 2]", "\"\\x\"",
        "\"\\u12g4\"", "\"", "{}{}", "[", "]", "NaN", "\u{FEFF}1", "// c\n1",
    ])
    func whatItDoesNotIsRefused(text: String) { #expect(!self.isAccepted(text)) }

    @Test(
        arguments: [
            [0xFF], [0xC0, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80], [0xE2, 0x82], [0xE2, 0x82, 0x20],
        ] as [[UInt8]])
    func bytesThatAreNotUTF8AreRefused(bytes: [UInt8]) {
        #expect(!self.isAccepted([UInt8(ascii: "\"")] + bytes + [UInt8(ascii: "\"")]))
    }

    @Test func duplicatesAreRefusedWhereAsked() {
        #expect(self.isAccepted("{\"a\":1,\"a\":2}"))
        #expect(!self.isAccepted("{\"a\":1,\"\\u0061\":2}", refusesDuplicates: true))
        #expect(self.isAccepted("[{\"a\":1},{\"a\":2}]", refusesDuplicates: true))
    }

    @Test func depthIsBounded() throws {
        let text = Array("[[[1]]]".utf8)
        try text.withUnsafeBytes { try JSONChecker.check($0, depth: 3) }
        #expect(throws: JSONSyntaxError.self) { try text.withUnsafeBytes { try JSONChecker.check($0, depth: 2) } }
    }

    @Test func membersLieWhereTheyAreSaidTo() throws {
        let text =
            " { \"id\" : \"x\", \"data\" : {\"data\": 1.10, \"n\": 1e400} , \"list\":[ 1 , {\"id\":2} ],\"last\":null }\n"
        let bytes = Array(text.utf8)
        let members = try bytes.withUnsafeBytes { try JSONChecker.members(of: $0) }
        #expect(members.map(\.name) == ["id", "data", "list", "last"])
        let texts = members.map { String(decoding: bytes[$0.value], as: UTF8.self) }
        #expect(texts == ["\"x\"", "{\"data\": 1.10, \"n\": 1e400}", "[ 1 , {\"id\":2} ]", "null"])
        #expect(throws: JSONSyntaxError.self) {
            try Array("[1]".utf8).withUnsafeBytes { try JSONChecker.members(of: $0) }
        }
    }

    /// Whatever simdjson accepts, the checker accepts; what only the checker accepts is named in the message as too large.
    @Test func checkerAndParserAgreeOnGeneratedTexts() throws {
        var generator = SplitMix(seed: 7)
        let pieces = [
            "{", "}", "[", "]", ",", ":", "\"a\"", "\"\\n\"", "1", "-2.5e3", "true", "null", " ", "\"é\"", "\\", "\"",
            "0", "tru",
        ]
        let parser = JSONParser()
        var accepted = 0
        for round in 0..<100_000 {
            let count = Int.random(in: 1...8, using: &generator)
            let text = (0..<count).map { _ in pieces.randomElement(using: &generator) ?? "" }.joined()
            let bytes = Array(text.utf8)
            var isParsed = true
            var isTooLarge = false
            do throws(ApusError) { try parser.parse(bytes) { (_) throws(ApusError) in } } catch {
                isParsed = false
                #expect(error.code == .invalidJSON)
                isTooLarge = error.message.contains("64 bits")
            }
            #expect((isParsed || isTooLarge) == self.isAccepted(bytes), "round \(round): \(text)")
            accepted += isParsed ? 1 : 0
        }
        #expect(accepted > 1_000)
    }
}
