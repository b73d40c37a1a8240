import ApusCore
import ApusTools
import Testing

/// What a call is made of, apart from running it.
@Suite struct CallPartsTests {
    @Test func answersOfOneCallAreBoundedTogether() throws {
        func envelope(_ bytes: Int) throws -> Envelope {
            let text = String(repeating: "x", count: bytes)
            let body =
                #"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"t","inputResponses":{"a":{"v":"\#(text)"}}}}"#
            return try Envelope(parsing: Array(body.utf8))
        }
        let around = #"{"a":{"v":""}}"#.utf8.count
        var most = Answers()
        try most.add(envelope(Limits.Tools.answersBytes - around))
        #expect(most.json.count == Limits.Tools.answersBytes)
        var more = Answers()
        #expect(throws: RPCError.self) { try more.add(envelope(Limits.Tools.answersBytes - around + 1)) }
    }

    private static let sealer = Sealer([(id: "0011223344556677", bytes: [UInt8](repeating: 7, count: 32))])

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    @Test func whatIsSealedOpensOnlyForWhatItIsBoundTo() {
        let sealed = Self.sealer.seal(Array("state".utf8), boundTo: ["ann", "tool"])
        #expect(Self.sealer.open(sealed, boundTo: ["ann", "tool"]) == Array("state".utf8))
        for bound in [["bob", "tool"], ["ann"], ["ann", "tool", ""], ["anntool"], ["ann", "too", "l"]] {
            #expect(Self.sealer.open(sealed, boundTo: bound) == nil)
        }
        for at in sealed.indices {
            var other = sealed
            other.replaceSubrange(at...at, with: sealed[at] == "A" ? "B" : "A")
            #expect(Self.sealer.open(other, boundTo: ["ann", "tool"]) == nil)
        }
        let another = Sealer([(id: "8899aabbccddeeff", bytes: [UInt8](repeating: 8, count: 32))])
        #expect(another.open(sealed, boundTo: ["ann", "tool"]) == nil)
    }

    @Test func answersComeBackAsTheyWere() throws {
        var answers = Answers()
        answers.add("early", Array(#"{"action":"accept"}"#.utf8))
        answers.ask(try Questions(parsing: Array(#"{"name":{"method":"roots/list","params":{}}}"#.utf8)))
        answers.add("name", Array(#"{"roots":[]}"#.utf8))
        answers.add("unasked", Array("{}".utf8))
        #expect(Self.text(answers.json) == #"{"early":{"action":"accept"},"name":{"roots":[]}}"#)
        let until = Timestamp(milliseconds: 1_000)
        let state = answers.seal(Self.sealer, boundTo: ["ann"], until: until)
        let opened = try Answers(opening: state, Self.sealer, boundTo: ["ann"], now: .zero)
        #expect(opened.all == answers.all && opened.asked == ["name"] && opened.rounds == 1)
        #expect(throws: RPCError.self) { try Answers(opening: state, Self.sealer, boundTo: ["bob"], now: .zero) }
        #expect(throws: RPCError.self) { try Answers(opening: state, Self.sealer, boundTo: ["ann"], now: until) }
    }

    @Test func questionsSayWhatTheyNeed() throws {
        let json =
            #"{"a":{"method":"elicitation/create","params":{"mode":"form"}},"b":{"method":"elicitation/create","params":{"mode":"url"}},"#
            + #""c":{"method":"sampling/createMessage","params":{"tools":[]}}}"#
        let questions = try Questions(parsing: Array(json.utf8))
        #expect(questions.needed == [.elicitationForm, .elicitationURL, .samplingTools])
        for wrong in [
            "[]", "{}", #"{"a":{"method":"ping","params":{}}}"#, #"{"a":{"method":"roots/list"}}"#,
            #"{"":{"method":"roots/list","params":{}}}"#,
            #"{"a":{"method":"roots/list","params":{}},"a":{"method":"roots/list","params":{}}}"#,
            "{" + (0..<17).map { #""q\#($0)":{"method":"roots/list","params":{}}"# }.joined(separator: ",") + "}",
        ] {
            #expect(throws: ApusError.self, "\(wrong)") { try Questions(parsing: Array(wrong.utf8)) }
        }
    }

    @Test(arguments: [
        (#""a\u001b[31mred\u001b[0mb""#, #""aredb""#), (#""bell\u0007 null\u0000.""#, #""bell null.""#),
        (#""\u001b]0;title\u0007x""#, #""x""#), (#""\u001b]8;;http://a\u001b\\link""#, #""link""#),
        (#""tab\tline\nreturn\r""#, #""tab\tline\nreturn\r""#), (#""\u009b31mx\b\f\u007f""#, #""x""#),
        (#""\u001b""#, #""""#), (#""\u001b[31""#, #""""#), (#""quote\\u001b stays""#, #""quote\\u001b stays""#),
        (#"{"a":"é\u00e9","b":[1,true]}"#, #"{"a":"é\u00e9","b":[1,true]}"#), ("\"c1\u{85}.\"", "\"c1.\""),
    ]) func whatSteersATerminalIsTakenOut(_ dirty: String, _ clean: String) {
        #expect(Self.text(JSONCleaner.clean(Array(dirty.utf8))) == clean)
    }

    @Test func resultsBecomePartsByTheirType() throws {
        func blocks(_ type: String?, _ data: String?, promised: Bool = false) throws -> ContentBlocks {
            try ResultContent.blocks(
                type: type, data: data.map { Array($0.utf8) }, hasOutputSchema: promised, name: "n")
        }
        #expect(try blocks(nil, nil) == ContentBlocks(content: []))
        #expect(try Self.text(blocks("application/json", #""hi""#).content) == #"{"type":"text","text":"hi"}"#)
        let object = try blocks("application/json", #"{"a":1}"#)
        #expect(Self.text(object.content) == #"{"type":"text","text":"{\"a\":1}"}"#)
        #expect(object.structured.map(Self.text) == #"{"a":1}"#)
        #expect(try blocks("application/json", #""hi""#, promised: true).structured.map(Self.text) == #""hi""#)
        #expect(
            try Self.text(blocks("image/png", "a").content) == #"{"type":"image","data":"YQ==","mimeType":"image/png"}"#
        )
        #expect(try Self.text(blocks("text/plain; charset=utf-8", "a").content) == #"{"type":"text","text":"a"}"#)
        #expect(try Self.text(blocks("application/pdf", "a").content).contains(#""blob":"YQ==""#))
    }

    @Test(arguments: [
        "7", "{}", #"{"content":{}}"#, #"{"content":[7]}"#, #"{"content":[{"type":"text"}]}"#,
        #"{"content":[{"type":"video","text":"a"}]}"#,
        #"{"content":[{"type":"image","data":"%%%%","mimeType":"a/b"}]}"#,
        #"{"content":[{"type":"image","data":"YQ=="}]}"#,
        #"{"content":[{"type":"resource","resource":{"uri":"a"}}]}"#,
        #"{"content":[{"type":"resource","resource":{"uri":"a","text":"a","blob":"YQ=="}}]}"#,
        #"{"content":[{"type":"resource_link","uri":"a"}]}"#,
        #"{"content":[{"type":"text","text":"a","annotations":{"priority":2}}]}"#,
        #"{"content":[{"type":"text","text":"a","annotations":{"audience":["all"]}}]}"#,
        #"{"content":[{"type":"text","text":"a","_meta":7}]}"#,
    ]) func contentThatIsNoneIsRefused(_ json: String) {
        #expect(throws: ContentBlocks.Fault.self) { try ContentBlocks(parsing: Array(json.utf8)) }
    }

    @Test(arguments: [
        (#"{"b":[1, 2.0 ,"x"],"a":{"d":null,"c":true}}"#, #"{"a":{"c":true,"d":null},"b":[1,2.0,"x"]}"#),
        (#"{"\u0062":"\u00e4\/","a":"\n"}"#, #"{"a":"\n","b":"ä/"}"#), (#" [ ] "#, "[]"), (#"{ }"#, "{}"),
    ]) func oneThingIsWrittenInOneWay(_ json: String, _ canonical: String) throws {
        let written = try #require(CanonicalJSON.encode(Array(json.utf8)))
        #expect(Self.text(written) == canonical)
        #expect(CanonicalJSON.encode(written) == written)
    }

    @Test func whatIsNoJSONHasNoOneWay() {
        #expect(CanonicalJSON.encode(Array("{".utf8)) == nil)
        #expect(CanonicalJSON.encode(Array(String(repeating: "[", count: 129).utf8)) == nil)
    }

    @Test func progressGrowsAndIsPaced() {
        var pace = ProgressPace()
        let report = { (done: UInt64) in ProgressPace.Report(done: done, total: nil, message: "") }
        let at = { (milliseconds: Int64) in Timestamp(milliseconds: milliseconds) }
        #expect(pace.report(report(0), now: at(1_000)) == .send(report(0)))
        #expect(pace.report(report(1), now: at(1_010)) == .wait(until: at(1_050)))
        #expect(pace.report(report(2), now: at(1_020)) == .nothing)
        #expect(pace.report(report(1), now: at(1_030)) == .nothing)
        #expect(pace.due(now: at(1_050)) == .send(report(2)))
        #expect(pace.report(report(2), now: at(1_200)) == .nothing)
        #expect(pace.report(report(3), now: at(1_200)) == .send(report(3)))
        #expect(pace.report(report(4), now: at(1_201)) == .wait(until: at(1_250)))
        #expect(pace.end() == report(4))
        #expect(pace.end() == nil)
    }
}
