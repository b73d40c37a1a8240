import ApusCore
import ApusJSON
import ApusTestSupport
import ApusTools
import Glibc
import Testing

/// The messages that the specification of 2026-07-28 gives as examples: each is read and written again, by whatever reads and writes its
/// kind here, and means the same afterwards.
@Suite struct SpecificationExampleTests {
    private static let folder: String = {
        let parts = #filePath.split(separator: "/").dropLast(3).map(String.init)
        return "/" + parts.joined(separator: "/") + "/../shared/data/mcp-2026-07-28/examples"
    }()

    private static func names(in folder: String) -> [String] {
        Folder.names(folder).filter { !$0.hasPrefix(".") }
    }

    @Test func everyExampleIsReadAndWrittenAgain() throws {
        guard access(Self.folder, R_OK) == 0 else {
            return print("skipped: the specification's examples are not at \(Self.folder)")
        }
        var count = 0
        var messages = 0
        for kind in Self.names(in: Self.folder) {
            for file in Self.names(in: "\(Self.folder)/\(kind)") where file.hasSuffix(".json") {
                let bytes = try readFile("\(Self.folder)/\(kind)/\(file)")
                let value = try JSONValue.parse(bytes)
                #expect(try JSONValue.parse(value.encoded()) == value, "\(kind)/\(file)")
                if value["jsonrpc"] != nil {
                    try Self.checkMessage(bytes, value, "\(kind)/\(file)")
                    messages += 1
                } else {
                    try Self.checkPart(kind, bytes, value, "\(kind)/\(file)")
                }
                count += 1
            }
        }
        #expect(count >= 129 && messages >= 30, "\(count) examples, \(messages) messages")
    }

    private static func checkMessage(_ bytes: [UInt8], _ value: JSONValue, _ name: String) throws {
        let envelope = try Envelope(parsing: bytes)
        let params = envelope.parameters.all.map { Array(envelope.bytes($0)) }
        let again: [UInt8]
        if let method = value["method"]?.string {
            #expect(envelope.method == method, "\(name)")
            again =
                envelope.id.map { MessageWriter.request($0, method, params ?? Array("{}".utf8)) }
                ?? MessageWriter.notification(method, params)
        } else if let result = envelope.result {
            let id = try #require(envelope.id, "\(name)")
            again =
                Array(#"{"jsonrpc":"2.0","id":"#.utf8) + id.token + Array(#","result":"#.utf8) + envelope.bytes(result)
                + Array("}".utf8)
        } else {
            again = MessageWriter.error(envelope.id, try Self.error(try #require(value["error"], "\(name)"), name))
        }
        #expect(try JSONValue.parse(again) == value, "\(name): \(String(decoding: again, as: UTF8.self))")
    }

    private static func error(_ value: JSONValue, _ name: String) throws -> RPCError {
        let code = try #require(value["code"]?.int.flatMap(RPCError.Code.init(rawValue:)), "\(name): a code that is not known")
        return RPCError(code, try #require(value["message"]?.string, "\(name)"), data: value["data"]?.encoded())
    }

    private static func checkPart(_ kind: String, _ bytes: [UInt8], _ value: JSONValue, _ name: String) throws {
        switch kind {
        case "CallToolResult":
            let blocks = try ContentBlocks(parsing: bytes)
            try Self.expect(blocks.content, among: value["content"], name)
            #expect(try blocks.structured.map { try JSONValue.parse($0) } == value["structuredContent"], "\(name)")
            #expect(blocks.isError == (value["isError"] == true), "\(name)")
        case "TextContent", "ImageContent", "AudioContent", "EmbeddedResource", "ResourceLink":
            let list: JSONValue = ["content": [value]]
            try Self.expect(try ContentBlocks(parsing: list.encoded()).content, among: [value], name)
        case "ReadResourceResult":
            let blocks = (value["contents"]?.array ?? []).map { ["type": "resource", "resource": $0] as JSONValue }
            let list: JSONValue = ["content": .array(blocks)]
            try Self.expect(try ResourceContents.parse(list.encoded()), among: value["contents"], name)
        case "InputRequests":
            let questions = try Questions(parsing: bytes)
            #expect(try JSONValue.parse(questions.inputRequests) == value, "\(name)")
        case "InputResponses":
            var answers = Answers()
            for member in try #require(value.object, "\(name)") { answers.add(member.name, member.value.encoded()) }
            #expect(try JSONValue.parse(answers.json) == value, "\(name)")
        case "ElicitRequestFormParams", "ElicitRequestURLParams":
            let question: JSONValue = ["ask": ["method": "elicitation/create", "params": value]]
            #expect(try JSONValue.parse(try Questions(parsing: question.encoded()).inputRequests) == question, "\(name)")
        case "CreateMessageRequestParams":
            let question: JSONValue = ["ask": ["method": "sampling/createMessage", "params": value]]
            #expect(try JSONValue.parse(try Questions(parsing: question.encoded()).inputRequests) == question, "\(name)")
        case _ where kind.hasSuffix("Error") && value["code"] != nil:
            let whole = MessageWriter.error(nil, try Self.error(value, name))
            #expect(try JSONValue.parse(whole)["error"] == value, "\(name)")
        case _ where kind.hasSuffix("RequestParams") || kind.hasSuffix("NotificationParams"):
            let body = Array(#"{"jsonrpc":"2.0","id":1,"method":"any","params":"#.utf8) + bytes + Array("}".utf8)
            let envelope = try Envelope(parsing: body)
            let params = try #require(envelope.parameters.all, "\(name)")
            #expect(try JSONValue.parse(Array(envelope.bytes(params))) == value, "\(name)")
        default: break
        }
    }

    private static func expect(_ elements: [UInt8], among list: JSONValue?, _ name: String) throws {
        #expect(try JSONValue.parse(Array("[".utf8) + elements + Array("]".utf8)) == list, "\(name)")
    }
}
