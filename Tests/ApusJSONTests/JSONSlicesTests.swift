import ApusJSON
import Testing

@Suite struct JSONSlicesTests {
    private static func members(_ text: String) throws -> [(String, String)] {
        let bytes = Array(text.utf8)
        return try bytes.withUnsafeBytes { text in
            let document = try JSONSlices.document(text)
            var members: [(String, String)] = []
            JSONSlices.forEachMember(of: document, in: text) {
                members.append((String(decoding: $0, as: UTF8.self), String(decoding: text[$1.range], as: UTF8.self)))
            }
            return members
        }
    }

    @Test func valuesAreShownAsTheyWereWritten() throws {
        let members = try Self.members(#" { "a" : 1e2 , "b":{"c":[1, 2]},"a":"\u0041","d":null } "#)
        #expect(members.map(\.0) == ["a", "b", "a", "d"])
        #expect(members.map(\.1) == ["1e2", #"{"c":[1, 2]}"#, #""\u0041""#, "null"])
        #expect(try Self.members("{}").isEmpty)
        #expect(try Self.members("[1]").isEmpty, "a list has none")
    }

    @Test func elementsAreShownInOrder() throws {
        let bytes = Array(#"[1, "two" , [3],{}]"#.utf8)
        var kinds: [JSONSlices.Kind] = []
        try bytes.withUnsafeBytes { text in
            JSONSlices.forEachElement(of: try JSONSlices.document(text), in: text) { kinds.append($0.kind) }
        }
        #expect(kinds == [.number, .string, .array, .object])
    }

    @Test(arguments: ["", "{", "{\"a\"}", "{\"a\":1,}", "[1 2]", "{} x", "tru", "\"\u{1}\"", "01"])
    func whatIsNoJSONIsRefused(_ text: String) {
        let bytes = Array(text.utf8)
        #expect(throws: JSONSyntaxError.self) { try bytes.withUnsafeBytes { _ = try JSONSlices.document($0) } }
    }

    @Test func theDepthIsBounded() throws {
        let nested = { (depth: Int) in
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        _ = try nested(8).withUnsafeBytes { try JSONSlices.document($0, depth: 8) }
        #expect(throws: JSONSyntaxError.self) {
            try nested(9).withUnsafeBytes { _ = try JSONSlices.document($0, depth: 8) }
        }
    }
}
