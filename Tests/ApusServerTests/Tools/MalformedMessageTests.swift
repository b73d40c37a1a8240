import ApusHTTP
import ApusJSON
import Testing

@testable import ApusServer

/// Messages that are none, sent to a whole server: status, code and id of each answer, and that nothing began because of it.
@Suite(.timeLimit(.minutes(3))) struct MalformedMessageTests {
    struct Case: Sendable {
        var name: String
        var body: String
        /// Of the head that goes with a sound message: nil takes a field away.
        var head: [(String, String?)] = []
        var status = 400
        /// Nil where the answer is no message of the protocol.
        var code: Int64?
        /// As it must be echoed, JSON.
        var id = "null"
    }

    private static let version = #""io.modelcontextprotocol/protocolVersion":"2026-07-28""#
    private static let able = #""io.modelcontextprotocol/clientCapabilities":{}"#

    private static func call(_ params: String = #""name":"price","arguments":{}"#, meta: String? = nil) -> String {
        #"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"_meta":{\#(meta ?? "\(Self.version),\(Self.able)")},\#(params)}}"#
    }

    private static func method(_ name: String, _ id: String = #""x""#) -> Case {
        Case(
            name: name,
            body: #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(name)","params":{"_meta":{\#(Self.version),\#(Self.able)}}}"#,
            head: [("Mcp-Method", name), ("Mcp-Name", nil)], status: 404, code: -32601, id: id)
    }

    private static let noJSON: [Case] = [
        "", " ", "{", "}", "nul", #"{"a":}"#, #"{"a" 1}"#, "[1,]", #"{"a":1,}"#, "'a'", "{a:1}", "\u{FEFF}{}", "{}{}", "{} x", #"{"a":01}"#,
        #"{"a":.5}"#, #"{"a":+1}"#, "{\"a\":\"\u{1}\"}", #"{"a":"\x"}"#, #"{"a":NaN}"#, String(repeating: "[", count: 100_000),
        String(repeating: "[", count: 129) + String(repeating: "]", count: 129),
    ].map { Case(name: "no JSON: \($0.prefix(20))", body: $0, code: -32700) }

    private static let noMessage: [Case] = [
        Case(name: "a batch", body: "[\(call())]", code: -32600),
        Case(name: "an empty batch", body: "[]", code: -32600),
        Case(name: "a number", body: "7", code: -32600),
        Case(name: "a text", body: #""a""#, code: -32600),
        Case(name: "null", body: "null", code: -32600),
        Case(name: "an empty object", body: "{}", code: -32600),
        Case(name: "no version", body: #"{"id":1,"method":"ping"}"#, code: -32600, id: "1"),
        Case(name: "another version", body: #"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, code: -32600, id: "1"),
        Case(name: "no method", body: #"{"jsonrpc":"2.0","id":1}"#, code: -32600, id: "1"),
        Case(name: "a method that is a number", body: #"{"jsonrpc":"2.0","id":1,"method":7}"#, code: -32600, id: "1"),
        Case(name: "a null id", body: #"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, code: -32600),
        Case(name: "an id with a fraction", body: #"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, code: -32600),
        Case(name: "an object as id", body: #"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, code: -32600),
        Case(name: "two methods", body: #"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, code: -32600, id: "1"),
        Case(name: "parameters in a list", body: #"{"jsonrpc":"2.0","id":1,"method":"ping","params":[]}"#, code: -32602, id: "1"),
    ]

    private static let badMeta: [Case] = [
        Case(name: "no meta", body: #"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"price"}}"#, code: -32602, id: "7"),
        Case(name: "no parameters", body: #"{"jsonrpc":"2.0","id":7,"method":"tools/call"}"#, code: -32602, id: "7"),
        Case(name: "an empty meta", body: call(meta: ""), code: -32602, id: "7"),
        Case(name: "no revision", body: call(meta: able), code: -32602, id: "7"),
        Case(name: "no capabilities", body: call(meta: version), code: -32602, id: "7"),
        Case(
            name: "a revision that is a number", body: call(meta: #""io.modelcontextprotocol/protocolVersion":7,\#(able)"#), code: -32602,
            id: "7"),
        Case(
            name: "capabilities that are a list",
            body: call(meta: #"\#(version),"io.modelcontextprotocol/clientCapabilities":[]"#), code: -32602, id: "7"),
    ]

    private static let badHead: [Case] = [
        Case(name: "no revision in the head", body: call(), head: [("MCP-Protocol-Version", nil)], code: -32020, id: "7"),
        Case(name: "another revision in the head", body: call(), head: [("MCP-Protocol-Version", "2025-11-25")], code: -32020, id: "7"),
        Case(name: "no method in the head", body: call(), head: [("Mcp-Method", nil)], code: -32020, id: "7"),
        Case(name: "another method in the head", body: call(), head: [("Mcp-Method", "tools/list")], code: -32020, id: "7"),
        Case(name: "another case of the method", body: call(), head: [("Mcp-Method", "TOOLS/CALL")], code: -32020, id: "7"),
        Case(name: "no name in the head", body: call(), head: [("Mcp-Name", nil)], code: -32020, id: "7"),
        Case(name: "another name in the head", body: call(), head: [("Mcp-Name", "other")], code: -32020, id: "7"),
        Case(name: "a name in bad Base64", body: call(), head: [("Mcp-Name", "=?base64?***?=")], code: -32020, id: "7"),
        Case(name: "a name in open Base64", body: call(), head: [("Mcp-Name", "=?base64?cHJpY2U=")], code: -32020, id: "7"),
        Case(name: "a parameter's head for none", body: call(), head: [("Mcp-Param-Region", "eu")], code: -32020, id: "7"),
        Case(
            name: "a revision of before", body: call(meta: #""io.modelcontextprotocol/protocolVersion":"1900-01-01",\#(able)"#),
            head: [("MCP-Protocol-Version", "1900-01-01")], code: -32022, id: "7"),
    ]

    private static let transport: [Case] = [
        Case(name: "another type", body: call(), head: [("Content-Type", "text/plain")]),
        Case(name: "no type", body: call(), head: [("Content-Type", nil)]),
        Case(name: "no streams", body: call(), head: [("Accept", "application/json")], status: 406),
        Case(name: "streams alone", body: call(), head: [("Accept", "text/event-stream")], status: 406),
        Case(name: "a page of somebody else", body: call(), head: [("Origin", "http://evil.example")], status: 403),
        Case(name: "a name that is not this server's", body: call(), head: [("Host", "evil.example")], status: 421),
        Case(name: "a wrong token", body: call(), head: [("Authorization", "Bearer no")], status: 401),
        Case(name: "no token", body: call(), head: [("Authorization", nil)], status: 401),
        Case(name: "more than 4 MiB", body: String(repeating: " ", count: (4 << 20) + 1), status: 413),
    ]

    private static let methods =
        ["initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list", "tasks/result", "no/such"]
        .map { Self.method($0) }

    /// Sound messages that ask for what cannot be: status 200, so that no client takes its connection for broken.
    private static let handled: [Case] = [
        Case(name: "no such tool", body: call(#""name":"none","arguments":{}"#), head: [("Mcp-Name", "none")], status: 200, code: -32602, id: "7"),
        Case(name: "arguments in a list", body: call(#""name":"price","arguments":[]"#), status: 200, code: -32602, id: "7"),
        Case(name: "a name that is a number", body: call(#""name":7"#), head: [("Mcp-Name", nil)], status: 200, code: -32602, id: "7"),
        Case(
            name: "a state of nobody's", body: call(#""name":"price","arguments":{},"requestState":"AAAA""#), status: 200, code: -32602,
            id: "7"),
    ]

    static let cases = noJSON + noMessage + badMeta + badHead + transport + methods + handled

    @Test func eachIsRefusedAndNothingBegins() throws {
        #expect(Self.cases.count >= 60)
        let bed = try ServerBed()
        defer { bed.server.stop() }
        let schema = #"{"type":"object","properties":{"region":{"type":"string","x-mcp-header":"Region"}}}"#
        let manifest =
            #"{"apiVersion":"apus.dev/v1","kind":"Function","metadata":{"name":"price"},"spec":{"runtime":"python3","#
            + #""handler":"main:handle","source":".","tool":{"name":"price","input":\#(schema)}}}"#
        let deployed = try bed.ask(
            "PUT", "/v1/functions/price", headers: [HTTPHeader("Apus-Bundle", try bed.makeBundle())], body: manifest)
        #expect(deployed.status == 200)
        for one in Self.cases {
            var head: [(String, String?)] = [
                ("Authorization", "Bearer \(bed.token)"), ("Content-Type", "application/json"),
                ("Accept", "application/json, text/event-stream"), ("MCP-Protocol-Version", "2026-07-28"),
                ("Mcp-Method", "tools/call"), ("Mcp-Name", "price"),
            ]
            for (name, value) in one.head { head = head.filter { $0.0 != name } + [(name, value)] }
            let answer = try bed.ask(
                "POST", "/mcp", headers: head.compactMap { name, value in value.map { HTTPHeader(name, $0) } },
                body: one.body, hasToken: false)
            let text = String(decoding: answer.body.prefix(500), as: UTF8.self)
            #expect(answer.status == one.status, "\(one.name): \(answer.status) \(text)")
            guard let code = one.code else { continue }
            let json = try JSONValue.parse(answer.body)
            #expect(json["error"]?["code"]?.integer == code, "\(one.name): \(text)")
            #expect((json["id"] ?? .null).encoded() == Array(one.id.utf8), "\(one.name): \(text)")
        }
        let instances = try JSONValue.parse(try bed.ask("GET", "/v1/instances").body)
        #expect(instances["items"]?.array?.isEmpty == true, "\(instances)")
        // And one that is sound is still taken.
        let sound = try bed.ask("GET", "/v1/functions/price")
        #expect(sound.status == 200)
    }
}
