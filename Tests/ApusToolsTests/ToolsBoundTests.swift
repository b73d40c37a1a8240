import ApusCore
import ApusJSON
import ApusManifest
import Testing

@testable import ApusTools

/// What is read of messages, schemas and texts, at its bounds.
@Suite struct ToolsBoundTests {
    private static func message(id: String = "1", arguments: String = "{}") -> [UInt8] {
        Array(
            #"{"jsonrpc":"2.0","id":\#(id),"method":"tools/call","params":{"name":"t","arguments":\#(arguments)}}"#.utf8)
    }

    @Test func aMessageIsSoDeepAndNoDeeper() throws {
        // The message itself, and its parameters.
        let most = Limits.Tools.messageDepth - 2
        let nested = { (depth: Int) in
            String(repeating: #"{"a":"#, count: depth - 1) + "{}" + String(repeating: "}", count: depth - 1)
        }
        let envelope = try Envelope(parsing: Self.message(arguments: nested(most)))
        #expect(envelope.parameters.arguments?.kind == .object)
        #expect(throws: Refusal.self) { try Envelope(parsing: Self.message(arguments: nested(most + 1))) }
    }

    @Test func anIdIsSoLongAndNoLonger() throws {
        let most = Limits.Tools.messageIDBytes - 2
        let id = { (count: Int) in "\"" + String(repeating: "x", count: count) + "\"" }
        #expect(try Envelope(parsing: Self.message(id: id(most))).id != nil)
        #expect(throws: Refusal.self) { try Envelope(parsing: Self.message(id: id(most + 1))) }
    }

    private static func schema(depth: Int) -> String {
        let leaf = #"{"type":"string","x-mcp-header":"H"}"#
        return (0..<depth).reduce(leaf) { inner, level in
            #"{"type":"object","properties":{"p\#(level)":\#(inner)}}"#
        }
    }

    @Test func headersAreLookedForSoDeep() {
        let most = Limits.Tools.headerDepth
        #expect(HeaderParameter.all(in: Array(Self.schema(depth: most).utf8)).count == 1)
        #expect(HeaderParameter.all(in: Array(Self.schema(depth: most + 1).utf8)).isEmpty)
    }

    private static func document(_ input: String) throws -> ToolDocument {
        let source = try TestTools.source("t", input: input)
        return ToolDocument(try #require(Tool(source.manifest, revision: source.revision)))
    }

    @Test func argumentsAreFoundSoDeepAndSoMany() throws {
        let nested = { (depth: Int) in
            (0..<depth).reduce(#"{"type":"string"}"#) { inner, level in
                #"{"type":"object","properties":{"\#(level == 0 ? "zebra" : "outer")":\#(inner)}}"#
            }
        }
        let most = Limits.Tools.searchDepth
        #expect(try Self.document(nested(most)).frequencies["zebra"] != nil)
        #expect(try Self.document(nested(most + 1)).frequencies["zebra"] == nil)
    }

    @Test func theAuditCutsTextsThatCallersChose() throws {
        let most = Limits.Tools.auditTextCodePoints
        for (count, kept) in [(most, most), (most + 1, most)] {
            let entry = AuditEntry(
                .call, .refused, namespace: .default, principal: "ann", subject: String(repeating: "x", count: count))
            var bytes = Array(#"{"v":1"#.utf8)
            entry.write(into: &bytes)
            let json = try JSONValue.parse(bytes + [UInt8(ascii: "}")])
            #expect(json["subject"]?.string?.count == kept)
        }
    }

    @Test func aPersonIsShownSoMuchOfACall() {
        let most = Limits.Tools.approvalCharacters
        for (count, isCut) in [(most, false), (most + 1, true)] {
            let question = ApprovalQuestion.question(ToolName("wipe"), String(repeating: "x", count: count))
            let text = String(decoding: question.params, as: UTF8.self)
            #expect(text.contains(String(repeating: "x", count: most)))
            #expect(text.contains("(1 more bytes are not shown)") == isCut)
        }
        // Marks on letters are not for nothing.
        let marked = ApprovalQuestion.question(ToolName("wipe"), "a" + String(repeating: "\u{301}", count: 100_000))
        #expect(marked.params.count < 16 << 10)
    }
}
