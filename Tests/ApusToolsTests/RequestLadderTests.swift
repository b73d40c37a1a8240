import ApusTools
import Testing

/// Every rung with every way to miss it, as raw bodies and heads.
@Suite struct RequestLadderTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var body: String
        var head = RoutingHead.modern("tools/list")
        var status: UInt32
        var code: Int
        /// As it must be echoed.
        var id: String?
        var testDescription: String { self.name }
    }

    private static let meta =
        #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#

    private static func request(_ method: String, _ params: String = "", id: String = "1", meta: String = Self.meta)
        -> String
    {
        let more = params.isEmpty ? "" : ",\(params)"
        return #"{"jsonrpc":"2.0","id":\#(id),"method":"\#(method)","params":{\#(meta)\#(more)}}"#
    }

    private static func head(_ method: String, _ change: (inout RoutingHead) -> Void) -> RoutingHead {
        var head = RoutingHead.modern(method)
        change(&head)
        return head
    }

    private static let noJSON: [Case] = [
        "", " ", "{", "}", "nul", "{\"a\":}", "{\"a\" 1}", "[1,]", "{\"a\":1,}", "'a'", "{a:1}", "\u{FEFF}{}", "{}{}",
        "{} x",
        "{\"a\":01}", "{\"a\":.5}", "{\"a\":+1}", "{\"a\":\"\u{1}\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\\u12\"}",
        "{\"a\":NaN}",
        String(repeating: "[", count: 100_000), String(repeating: "[", count: 129) + String(repeating: "]", count: 129),
    ].enumerated().map {
        Case(name: "no JSON \($0)", body: $1, status: 400, code: -32700, id: nil)
    }

    private static let noMessage: [Case] = [
        ("a batch", "[\(request("ping"))]", nil), ("an empty batch", "[]", nil), ("a number", "7", nil),
        ("a text", "\"a\"", nil),
        ("null", "null", nil), ("an empty object", "{}", nil), ("no version", #"{"id":1,"method":"ping"}"#, "1"),
        ("another version", #"{"jsonrpc":"1.0","id":1,"method":"ping"}"#, "1"),
        ("a version that is a number", #"{"jsonrpc":2.0,"id":1,"method":"ping"}"#, "1"),
        ("no method", #"{"jsonrpc":"2.0","id":1}"#, "1"),
        ("a method that is a number", #"{"jsonrpc":"2.0","id":1,"method":7}"#, "1"),
        ("a null id", #"{"jsonrpc":"2.0","id":null,"method":"ping"}"#, nil),
        ("an id with a fraction", #"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#, nil),
        ("an id with an exponent", #"{"jsonrpc":"2.0","id":1e3,"method":"ping"}"#, nil),
        ("an object as id", #"{"jsonrpc":"2.0","id":{},"method":"ping"}"#, nil),
        ("a Boolean as id", #"{"jsonrpc":"2.0","id":true,"method":"ping"}"#, nil),
        ("an endless id", #"{"jsonrpc":"2.0","id":"\#(String(repeating: "x", count: 300))","method":"ping"}"#, nil),
        ("two ids", #"{"jsonrpc":"2.0","id":1,"id":2,"method":"ping"}"#, "2"),
        ("two methods", #"{"jsonrpc":"2.0","id":1,"method":"a","method":"b"}"#, "1"),
        ("two names", request("tools/call", #""name":"a","name":"b""#), "1"),
        ("an answer with a method", #"{"jsonrpc":"2.0","id":1,"method":"a","result":{}}"#, "1"),
        ("an answer", #"{"jsonrpc":"2.0","id":1,"result":{}}"#, "1"),
        ("an error", #"{"jsonrpc":"2.0","id":1,"error":{"code":1,"message":"a"}}"#, "1"),
    ].map { Case(name: $0.0, body: $0.1, status: 400, code: -32600, id: $0.2) }

    private static let badMeta: [Case] = [
        ("no parameters", #"{"jsonrpc":"2.0","id":"a","method":"tools/list"}"#),
        ("parameters that are a list", #"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":[]}"#),
        ("no meta", #"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{}}"#),
        ("null as meta", #"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{"_meta":null}}"#),
        ("an empty meta", #"{"jsonrpc":"2.0","id":"a","method":"tools/list","params":{"_meta":{}}}"#),
        (
            "no capabilities",
            request(
                "tools/list", id: "\"a\"", meta: #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}"#)
        ),
        (
            "no revision",
            request("tools/list", id: "\"a\"", meta: #""_meta":{"io.modelcontextprotocol/clientCapabilities":{}}"#)
        ),
        (
            "capabilities that are a list",
            request(
                "tools/list", id: "\"a\"",
                meta:
                    #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":[]}"#
            )
        ),
        (
            "a revision that is a number",
            request(
                "tools/list", id: "\"a\"",
                meta:
                    #""_meta":{"io.modelcontextprotocol/protocolVersion":1,"io.modelcontextprotocol/clientCapabilities":{}}"#
            )
        ),
        (
            "a level that is none",
            request(
                "tools/list", id: "\"a\"",
                meta:
                    #""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/logLevel":"loud"}"#
            )
        ),
    ].map { Case(name: $0.0, body: $0.1, status: 400, code: -32602, id: "\"a\"") }

    private static let badHead: [Case] = [
        ("no revision in the head", head("tools/list") { $0.versions = [] }, request("tools/list")),
        ("another revision in the head", head("tools/list") { $0.versions = ["2025-11-25"] }, request("tools/list")),
        ("two revisions", head("tools/list") { $0.versions = ["2026-07-28", "2026-07-28"] }, request("tools/list")),
        ("no method in the head", head("tools/list") { $0.methods = [] }, request("tools/list")),
        ("another method", head("prompts/list") { _ in }, request("tools/list")),
        ("a method in another case", head("Tools/List") { _ in }, request("tools/list")),
        ("two methods in the head", head("tools/list") { $0.methods.append("tools/list") }, request("tools/list")),
        ("no name", head("tools/call") { _ in }, request("tools/call", #""name":"a""#)),
        ("another name", head("tools/call") { $0.names = ["b"] }, request("tools/call", #""name":"a""#)),
        ("two names in the head", head("tools/call") { $0.names = ["a", "a"] }, request("tools/call", #""name":"a""#)),
        ("a name in another case", head("tools/call") { $0.names = ["A"] }, request("tools/call", #""name":"a""#)),
        (
            "base64 that is none", head("tools/call") { $0.names = ["=?base64?!!?="] },
            request("tools/call", #""name":"a""#)
        ),
        (
            "base64 of something else", head("tools/call") { $0.names = ["=?base64?Yg==?="] },
            request("tools/call", #""name":"a""#)
        ),
        (
            "base64 with bits left over", head("tools/call") { $0.names = ["=?base64?YR==?="] },
            request("tools/call", #""name":"a""#)
        ),
        (
            "markers in another case", head("tools/call") { $0.names = ["=?BASE64?YQ==?="] },
            request("tools/call", #""name":"a""#)
        ),
        ("no suffix", head("tools/call") { $0.names = ["=?base64?YQ=="] }, request("tools/call", #""name":"a""#)),
        ("no URI", head("resources/read") { _ in }, request("resources/read", #""uri":"a://b""#)),
        ("another URI", head("resources/read") { $0.names = ["a://c"] }, request("resources/read", #""uri":"a://b""#)),
        ("another task", head("tasks/get") { $0.names = ["c"] }, request("tasks/get", #""taskId":"b""#)),
    ].map { Case(name: $0.0, body: $0.2, head: $0.1, status: 400, code: -32020, id: "1") }

    private static let badMethods: [Case] = [
        "initialize", "ping", "logging/setLevel", "resources/subscribe", "resources/unsubscribe", "tasks/list",
        "tasks/result",
        "tools/unknown", "", "TOOLS/LIST",
    ].map { Case(name: "the method '\($0)'", body: request($0), head: .modern($0), status: 404, code: -32601, id: "1") }

    private static let badVersions: [Case] = ["1900-01-01", "2027-01-01", "2025-11-25", "x"].map { version in
        Case(
            name: "the revision \(version)",
            body: request(
                "tools/list",
                meta:
                    #""_meta":{"io.modelcontextprotocol/protocolVersion":"\#(version)","io.modelcontextprotocol/clientCapabilities":{}}"#
            ),
            head: head("tools/list") { $0.versions = [version] }, status: 400, code: -32022, id: "1")
    }

    private static let order: [Case] = [
        Case(
            name: "types come before JSON", body: "{", head: head("a") { $0.isJSON = false }, status: 400, code: -32600,
            id: nil),
        Case(
            name: "what is accepted comes before JSON", body: "{", head: head("a") { $0.acceptsBoth = false },
            status: 406,
            code: -32600, id: nil),
        Case(
            name: "meta comes before the head", body: #"{"jsonrpc":"2.0","id":1,"method":"x","params":{}}"#,
            head: head("y") { _ in }, status: 400, code: -32602, id: "1"),
        Case(
            name: "the head comes before the revision",
            body: request(
                "x",
                meta:
                    #""_meta":{"io.modelcontextprotocol/protocolVersion":"1900-01-01","io.modelcontextprotocol/clientCapabilities":{}}"#
            ),
            head: head("x") { _ in }, status: 400, code: -32020, id: "1"),
        Case(
            name: "the revision comes before the method",
            body: request(
                "x",
                meta:
                    #""_meta":{"io.modelcontextprotocol/protocolVersion":"1900-01-01","io.modelcontextprotocol/clientCapabilities":{}}"#
            ),
            head: head("x") { $0.versions = ["1900-01-01"] }, status: 400, code: -32022, id: "1"),
    ]

    static let cases = noJSON + noMessage + badMeta + badHead + badMethods + badVersions + order

    @Test func thereAreEnoughOfThem() { #expect(Self.cases.count >= 60) }

    @Test(arguments: Self.cases) func eachIsRefusedAtItsRung(_ one: Case) {
        guard case .refused(let refusal) = RequestLadder.climb(one.head, Array(one.body.utf8)) else {
            Issue.record("\(one.name): it was let through")
            return
        }
        #expect(refusal.error.status == one.status, "\(one.name): \(refusal.error.message)")
        #expect(refusal.error.code.rawValue == one.code, "\(one.name): \(refusal.error.message)")
        #expect(refusal.id.map { String(decoding: $0.token, as: UTF8.self) } == one.id, "\(one.name)")
    }

    @Test func whatIsSoundGoesThrough() {
        let heads: [(RoutingHead, String)] = [
            (.modern("tools/list"), Self.request("tools/list")),
            (Self.head("tools/call") { $0.names = ["a"] }, Self.request("tools/call", #""name":"a""#)),
            (Self.head("tools/call") { $0.names = [" a\t"] }, Self.request("tools/call", #""name":"a""#)),
            (Self.head("tools/call") { $0.names = ["=?base64?w6k=?="] }, Self.request("tools/call", #""name":"é""#)),
            (
                Self.head("tools/call") { $0.names = ["=?base64?w6k=?="] },
                Self.request("tools/call", #""name":"\u00e9""#)
            ),
            (Self.head("server/discover") { $0.sessionID = "ignored" }, Self.request("server/discover")),
        ]
        for (head, body) in heads {
            guard case .request(let request) = RequestLadder.climb(head, Array(body.utf8)) else {
                Issue.record("\(body) was refused")
                continue
            }
            #expect(request.id.token == Array("1".utf8))
        }
        for id in ["\"a\"", "-7", "9007199254740993", "\"\\u0041\"", "123456789012345678901234567890"] {
            guard
                case .request(let request) = RequestLadder.climb(
                    .modern("tools/list"), Array(Self.request("tools/list", id: id).utf8))
            else {
                Issue.record("\(id) was refused")
                continue
            }
            #expect(String(decoding: request.id.token, as: UTF8.self) == id, "the very same text comes back")
        }
    }

    @Test func theEraIsFoundInBodyOrHead() {
        let plain = Array(#"{"jsonrpc":"2.0","id":1,"method":"initialize","params":{}}"#.utf8)
        for versions in [[], ["2025-06-18"], ["2025-11-25"], ["2025-03-26"], ["2024-11-05"]] {
            var head = RoutingHead()
            head.versions = versions
            guard case .legacy = RequestLadder.climb(head, plain) else {
                Issue.record("\(versions) is an era with sessions")
                continue
            }
        }
        guard
            case .acknowledged = RequestLadder.climb(
                .modern("notifications/cancelled"), Array(#"{"jsonrpc":"2.0","method":"notifications/cancelled"}"#.utf8)
            )
        else {
            Issue.record("a notification is taken")
            return
        }
    }
}

extension RoutingHead {
    static func modern(_ method: String) -> RoutingHead {
        var head = RoutingHead()
        head.versions = ["2026-07-28"]
        head.methods = [method]
        return head
    }
}
