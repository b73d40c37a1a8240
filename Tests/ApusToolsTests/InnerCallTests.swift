import ApusCore
import ApusTools
import Testing

@Suite struct InnerCallTests {
    @Test func aRunCallsAHundredToolsAndNoMore() {
        var budget = InnerCallBudget(isInner: false)
        for _ in 0..<Limits.Tools.innerCalls {
            #expect(budget.begin() == nil)
            #expect(budget.end(bytes: 1) == nil)
        }
        #expect(budget.begin() == .count(100))
    }

    @Test func onlySoManyAreUnderWayAtOnce() {
        var budget = InnerCallBudget(isInner: false)
        for _ in 0..<Limits.Tools.innerCallsAtOnce { #expect(budget.begin() == nil) }
        #expect(budget.begin() == .concurrent(Limits.Tools.innerCallsAtOnce))
        #expect(budget.end(bytes: 0) == nil)
        #expect(budget.begin() == nil)
    }

    @Test func resultsHaveABoundTogether() {
        var budget = InnerCallBudget(isInner: false)
        #expect(budget.begin() == nil && budget.end(bytes: Limits.Tools.innerBytes - 1) == nil)
        #expect(budget.begin() == nil && budget.end(bytes: 2) == .bytes(Limits.Tools.innerBytes))
        #expect(budget.begin() == .bytes(Limits.Tools.innerBytes))
        var exact = InnerCallBudget(isInner: false)
        #expect(exact.begin() == nil && exact.end(bytes: Limits.Tools.innerBytes) == nil)
        #expect(exact.begin() == .bytes(Limits.Tools.innerBytes))
    }

    @Test func whatWasCalledByAFunctionCallsNothing() {
        var budget = InnerCallBudget(isInner: true)
        #expect(budget.begin() == .depth)
    }

    @Test func aCallBecomesTheMessageThatAnAgentSends() throws {
        let json = Array(#" {"arguments": {"n": 12345678901234567890, "a": [1]}, "name": "get"} "#.utf8)
        let envelope = try InnerCallMessage.envelope(json, number: 7, traceparent: "00-a-b-01")
        #expect(envelope.method == "tools/call" && envelope.id == MessageID(token: Array("7".utf8)))
        #expect(envelope.text(envelope.parameters.name) == "get")
        let arguments = try #require(envelope.parameters.arguments)
        #expect(String(decoding: envelope.bytes(arguments), as: UTF8.self) == #"{"n": 12345678901234567890, "a": [1]}"#)
        #expect(envelope.text(envelope.parameters.traceparent) == "00-a-b-01")
    }

    @Test(arguments: [
        "", "[]", "7", "{", #"{"name":"a","name":"b"}"#, #"{"name":"a","_meta":{"progressToken":1}}"#,
        #"{"name":"a","requestState":"x"}"#, #"{"name":"a","inputResponses":{}}"#, #"{"name":"a"}}"#,
        #"{"name":"a"},"method":"tools/list","x":{"#, "{\"name\":\"a\u{0}\",\"arguments\":{}}",
    ])
    func whatIsNoCallIsRefused(json: String) {
        #expect(throws: ApusError.self) { try InnerCallMessage.envelope(Array(json.utf8), number: 1, traceparent: nil) }
    }

    @Test func aResultIsItsMembersInBraces() {
        let members = Array(#""content":[]"#.utf8)
        #expect(InnerCallMessage.result(members, meta: []) == Array(#"{"content":[]}"#.utf8))
        #expect(
            InnerCallMessage.result(members, meta: Array(#""a":1"#.utf8)) == Array(#"{"content":[],"_meta":{"a":1}}"#.utf8))
        #expect(InnerCallMessage.result([UInt8](), meta: []) == Array("{}".utf8))
    }
}
