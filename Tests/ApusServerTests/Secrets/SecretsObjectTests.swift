import ApusCore
import ApusCrypto
import ApusJSON
import ApusStore
import ApusTestSupport
import Testing

@testable import ApusServer

@Suite struct SecretsObjectTests {
    private func json(_ values: [(String, String)]) throws(ApusError) -> [UInt8] {
        var object = SecretsObject()
        for (name, value) in values {
            let value = SecretBytes(copying: value.utf8)
            try value.withUnsafeBytes { (bytes) throws(ApusError) in try object.add(name, bytes) }
        }
        try object.finish()
        return object.bytes.withUnsafeBytes { Array($0) }
    }

    @Test func noneIsAnEmptyObject() throws { #expect(try self.json([]) == Array("{}".utf8)) }

    /// Whatever text a value is, a reader of JSON gets it back.
    @Test(arguments: 0..<4) func anyTextComesBack(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let letters: [Character] = ["\"", "\\", "\n", "\r", "\t", "\u{1}", "\u{1f}", "\u{7f}", "a", "é", "😀", "/", "{"]
        for _ in 0..<200 {
            let values = (0..<Int.random(in: 1...5, using: &random)).map { index in
                let text = (0..<Int.random(in: 0...40, using: &random)).map { _ in
                    letters[Int.random(in: letters.indices, using: &random)]
                }
                return ("NAME_\(index)", String(text))
            }
            let read = try JSONValue.parse(try self.json(values))
            #expect(read.object?.count == values.count)
            for (name, value) in values { #expect(read[name]?.string.map { Array($0.utf8) } == Array(value.utf8)) }
        }
    }

    @Test func allTogetherAreBounded() throws {
        let most = Limits.Secrets.deliveredBytes
        // `{"A":"…"}` has eight bytes beside the value.
        #expect(try self.json([("A", String(repeating: "x", count: most - 8))]).count == most)
        for text in [String(repeating: "x", count: most - 7), String(repeating: "\n", count: most / 6)] {
            do {
                _ = try self.json([("A", text)])
                Issue.record("more than its bound")
            } catch { #expect(error.code == .limitReached) }
        }
    }
}
