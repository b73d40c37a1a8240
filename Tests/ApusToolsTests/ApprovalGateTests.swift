import ApusCore
import ApusJSON
import ApusManifest
import Testing

@testable import ApusTools

/// Whether a call may begin.
@Suite struct ApprovalGateTests {
    private static func tool(
        _ when: String = "always", by: String = "caller", annotations: JSONValue = [:], revision: String = "1",
        input: String = "{\"type\": \"object\"}"
    ) throws -> Tool {
        let source = try TestTools.source(
            "delete_rows", input: input,
            more: ["approval": ["when": .string(when), "by": .string(by)], "annotations": annotations],
            revision: revision)
        return try #require(Tool(source.manifest, revision: source.revision))
    }

    private static func server(_ approval: JSONValue) throws -> ToolServer {
        ToolServer(try TestTools.server("s", ["approval": approval]))
    }

    private static func rule(_ by: ToolManifest.Approval.Approver) throws -> ApprovalRule {
        try #require(ApprovalRule(try self.tool(by: by.rawValue), on: nil))
    }

    private static let name = [UInt8](repeating: 1, count: 16)
    private static let mark = CallMark.asked(name)
    private static let begun = CallMark.begun(InvocationID(high: 1, low: 2))

    @Test func whatWasLetThroughGoesOnOnce() throws {
        let mark = CallMark.letThrough(Self.name)
        for by in [ToolManifest.Approval.Approver.caller, .approver] {
            var gate = ApprovalGate()
            #expect(gate.begin(try Self.rule(by), canAsk: true, mark: mark) == .take(Self.name, .accepted), "nobody is asked again")
            #expect(gate.took(.success(.first)) == .begin && gate.isOpen)
            var again = ApprovalGate()
            _ = again.begin(try Self.rule(by), canAsk: true, mark: mark)
            #expect(again.took(.success(.other)) == .refuse(.used))
        }
        var answers = Answers()
        answers.letThrough()
        let text = answers.seal(Self.sealer, boundTo: ["call"], until: Timestamp(milliseconds: 10))
        let opened = try Answers(opening: text, Self.sealer, boundTo: ["call"], now: .zero)
        #expect(opened.mark == answers.mark && opened.mark.name.count == 16)
    }

    // MARK: the rule

    @Test func whoIsAskedIsWhatToolAndServerSay() throws {
        #expect(try ApprovalRule(Self.tool("never"), on: nil) == nil)
        #expect(try ApprovalRule(Self.tool("always"), on: nil)?.by == .caller)
        #expect(try ApprovalRule(Self.tool("always", by: "approver"), on: nil)?.by == .approver)
        #expect(try ApprovalRule(Self.tool("destructive"), on: nil)?.by == .caller, "it says nothing of itself")
        for harmless in [["readOnly": true], ["destructive": false]] as [JSONValue] {
            #expect(try ApprovalRule(Self.tool("destructive", annotations: harmless), on: nil) == nil)
            #expect(try ApprovalRule(Self.tool("always", annotations: harmless), on: nil) != nil)
        }
        // A server adds, and takes nothing away.
        let strict = try Self.server(["when": "always", "by": "approver"])
        #expect(try ApprovalRule(Self.tool("never"), on: strict)?.by == .approver)
        #expect(try ApprovalRule(Self.tool("always"), on: strict)?.by == .approver)
        let lax = try Self.server([:])
        #expect(try ApprovalRule(Self.tool("always", by: "approver"), on: lax)?.by == .approver)
        let careful = try Self.server(["when": "destructive"])
        #expect(try ApprovalRule(Self.tool("never", annotations: ["readOnly": true]), on: careful) == nil)
        #expect(try ApprovalRule(Self.tool("never"), on: careful)?.by == .caller)
    }

    // MARK: the machine

    @Test func whatNeedsNoApprovalBegins() {
        var gate = ApprovalGate()
        #expect(gate.begin(nil, canAsk: false) == .begin && gate.isOpen)
        #expect(gate.begin(nil, canAsk: false) == .refuse(.used), "once")
    }

    @Test(arguments: [
        (ApprovalAnswer.accepted, ApprovalGate.Action.begin), (.declined, .refuse(.declined)),
        (.cancelled, .refuse(.cancelled)),
    ]) func thePersonAtTheClientSaysIt(_ answer: ApprovalAnswer, _ then: ApprovalGate.Action) throws {
        var session = ApprovalGate()
        #expect(session.begin(try Self.rule(.caller), canAsk: true) == .ask && !session.isOpen)
        #expect(session.answered(answer) == then && session.isOpen == (then == .begin))
        #expect(session.answered(.accepted) == .refuse(.used), "an answer counts once")
        var round = ApprovalGate()
        #expect(round.begin(try Self.rule(.caller), canAsk: true, mark: Self.mark, answer: answer) == .take(Self.name, answer))
        #expect(!round.isOpen, "nothing begins before the state is used up")
        #expect(round.took(.success(.first)) == then)
        #expect(round.took(.success(.first)) == .refuse(.used))
    }

    @Test func aStateThatWasAnsweredOtherwiseLetsNothingBegin() throws {
        var gate = ApprovalGate()
        let asked = ApprovalGate.Action.take(Self.name, .accepted)
        #expect(gate.begin(try Self.rule(.caller), canAsk: true, mark: Self.mark, answer: .accepted) == asked)
        #expect(gate.took(.success(.other)) == .refuse(.used) && !gate.isOpen)
        var unsure = ApprovalGate()
        _ = unsure.begin(try Self.rule(.caller), canAsk: true, mark: Self.mark, answer: .accepted)
        let failed = unsure.took(.failure(ApusError(.logFailed, "no log")))
        #expect(failed == .refuse(.failed(.logFailed, "no log")) && !unsure.isOpen)
    }

    @Test(arguments: [
        (ApprovalAnswer.accepted, ApprovalGate.Action.begin), (.declined, .refuse(.declined)),
    ]) func theSameAnswerAgainIsTheSame(_ answer: ApprovalAnswer, _ then: ApprovalGate.Action) throws {
        var gate = ApprovalGate()
        _ = gate.begin(try Self.rule(.caller), canAsk: true, mark: Self.mark, answer: answer)
        #expect(gate.took(.success(.again)) == then)
        guard then == .begin else { return }
        // A call that began because of it is not begun again.
        #expect(gate.hadBegun() == .refuse(.used) && !gate.isOpen)
        #expect(gate.hadBegun() == .refuse(.used))
    }

    @Test func aTaskWaitsByItself() throws {
        var asked = ApprovalGate()
        #expect(asked.begin(try Self.rule(.caller), canAsk: true, asTask: true) == .hold && asked.isHeld && !asked.isOpen)
        #expect(asked.answered(.accepted) == .refuse(.used) && asked.hadBegun() == .refuse(.used) && asked.isHeld)
        for (rule, canAsk) in [(ToolManifest.Approval.Approver.approver, true), (.caller, false)] {
            for claim in [ApprovalGate.Claim.created, .waiting] {
                var other = ApprovalGate()
                #expect(other.begin(try Self.rule(rule), canAsk: canAsk, asTask: true) == .claim)
                #expect(other.claimed(claim) == .hold && other.isHeld)
            }
        }
        // What was decided before needs no waiting.
        var accepted = ApprovalGate()
        _ = accepted.begin(try Self.rule(.approver), canAsk: true, asTask: true)
        #expect(accepted.claimed(.consumed) == .begin && !accepted.isHeld)
        var declined = ApprovalGate()
        _ = declined.begin(try Self.rule(.approver), canAsk: true, asTask: true)
        #expect(declined.claimed(.declined) == .refuse(.refused))
    }

    @Test func whatHasBegunNeedsNoMore() throws {
        var gate = ApprovalGate()
        #expect(gate.begin(try Self.rule(.approver), canAsk: true, mark: Self.begun, answer: nil) == .begin && gate.isOpen)
    }

    @Test func anApprovalThatAnotherCallUsedIsAskedForAnewAFewTimes() throws {
        var gate = ApprovalGate()
        #expect(gate.begin(try Self.rule(.approver), canAsk: true) == .claim)
        for _ in 1..<ApprovalGate.claimsMax {
            #expect(gate.hadBegun() == .refuse(.used), "it is not let through yet")
            #expect(gate.claimed(.consumed) == .begin && gate.isOpen)
            #expect(gate.hadBegun() == .claim && !gate.isOpen)
        }
        #expect(gate.claimed(.consumed) == .begin)
        guard case .refuse(.failed(.overloaded, _)) = gate.hadBegun() else {
            Issue.record("it goes on for ever")
            return
        }
        #expect(!gate.isOpen)
    }

    @Test func anAnswerThatSaysNothingIsAskedForAgain() throws {
        var gate = ApprovalGate()
        #expect(gate.begin(try Self.rule(.caller), canAsk: true, mark: Self.mark, answer: nil) == .ask)
        // Without the question an answer is nobody's.
        var unasked = ApprovalGate()
        #expect(unasked.begin(try Self.rule(.caller), canAsk: true, mark: .none, answer: .accepted) == .ask)
    }

    @Test func somebodyElseIsNeverReplacedByTheClient() throws {
        for canAsk in [true, false] {
            for mark in [CallMark.none, Self.mark] {
                var gate = ApprovalGate()
                let action = gate.begin(try Self.rule(.approver), canAsk: canAsk, mark: mark, answer: .accepted)
                #expect(action == .claim && !gate.isOpen)
            }
        }
        var mute = ApprovalGate()
        #expect(mute.begin(try Self.rule(.caller), canAsk: false) == .claim, "a client that cannot ask")
    }

    @Test(arguments: [
        (ApprovalGate.Claim.consumed, ApprovalGate.Action.begin), (.created, .refuse(.waiting(isNew: true))),
        (.waiting, .refuse(.waiting(isNew: false))), (.declined, .refuse(.refused)),
        (.failed(.overloaded, "full"), .refuse(.failed(.overloaded, "full"))),
    ]) func whatWasDecidedIsDone(_ claim: ApprovalGate.Claim, _ then: ApprovalGate.Action) throws {
        var gate = ApprovalGate()
        #expect(gate.begin(try Self.rule(.approver), canAsk: true) == .claim)
        #expect(gate.claimed(claim) == then && gate.isOpen == (then == .begin))
        #expect(gate.claimed(.consumed) == .refuse(.used))
    }

    @Test func reportsOutOfTurnOpenNothing() throws {
        var gate = ApprovalGate()
        #expect(gate.answered(.accepted) == .refuse(.used) && gate.claimed(.consumed) == .refuse(.used))
        #expect(gate.took(.success(.first)) == .refuse(.used) && !gate.isOpen)
        _ = gate.begin(try Self.rule(.approver), canAsk: true)
        #expect(gate.answered(.accepted) == .refuse(.used) && gate.took(.success(.first)) == .refuse(.used))
        #expect(!gate.isOpen)
    }

    // MARK: answers

    @Test(arguments: [
        (#"{"action":"accept","content":{"approve":true}}"#, ApprovalAnswer?.some(.accepted)),
        (#"{"action":"accept","content":{"approve":false}}"#, .declined), (#"{"action":"accept"}"#, .declined),
        (#"{"action":"accept","content":{"approve":"true"}}"#, .declined), (#"{"action":"accept","content":{}}"#, .declined),
        (#"{"action":"decline"}"#, .declined), (#"{"action":"cancel"}"#, .cancelled),
        (#"{"action":"yes"}"#, nil), ("{}", nil), ("[]", nil), ("", nil),
    ]) func onlyAFormThatSaysSoAgrees(_ json: String, _ answer: ApprovalAnswer?) {
        #expect(ApprovalAnswer(Array(json.utf8)) == answer)
    }

    private static let sealer = Sealer([(id: "0011223344556677", bytes: [UInt8](repeating: 7, count: 32))])

    private static func reopened(_ answers: Answers) throws -> Answers {
        let state = answers.seal(self.sealer, boundTo: ["ann"], until: Timestamp(milliseconds: 9))
        return try Answers(opening: state, self.sealer, boundTo: ["ann"], now: .zero)
    }

    @Test func theStateSaysHowFarTheApprovalIs() throws {
        var answers = Answers()
        answers.add(ApprovalQuestion.name, Array(#"{"action":"accept","content":{"approve":true}}"#.utf8))
        #expect(answers.takeApproval() == nil, "nobody asked")
        answers.add("early", Array("{}".utf8))
        answers.askApproval()
        var second = try Self.reopened(answers)
        #expect(second.mark == answers.mark && second.mark.name.count == 16 && second.rounds == 1)
        second.add("smuggled", Array("{}".utf8))
        second.add(ApprovalQuestion.name, Array(#"{"action":"accept","content":{"approve":true}}"#.utf8))
        #expect(second.takeApproval() == .accepted && second.all.map(\.name) == ["early"])
        var another = Answers()
        another.askApproval()
        #expect(another.mark != answers.mark, "each state has a name of its own")
        // What an invocation asks that has begun is answered by name, and by nothing else.
        let id = InvocationID(high: 0x0123_4567_89AB_CDEF, low: 7)
        let asked = try Questions(parsing: Array(#"{"who":{"method":"roots/list","params":{}}}"#.utf8))
        var last = try Self.reopened(Answers(to: id, asked))
        last.add("who", Array(#"{"roots":[]}"#.utf8))
        last.add("smuggled", Array("{}".utf8))
        #expect(last.mark == .begun(id) && last.asked == ["who"] && last.all.map(\.name) == ["who"])
        #expect(last.takeApproval() == nil)
    }

    // MARK: the question, and what is shown

    @Test func theQuestionShowsTheCallAndNoMore() throws {
        let question = ApprovalQuestion.question(ToolName("delete_rows"), #"{"a":"x\nThe tool 'harmless'"}"#)
        let params = try JSONValue.parse(question.params)
        let message = try #require(params["message"]?.string)
        #expect(message.contains("'delete_rows'") && !message.contains("\n"), "\(message)")
        #expect(params["requestedSchema"]?["properties"]?["approve"]?["type"]?.string == "boolean")
        let long = ApprovalQuestion.question(ToolName("t"), String(repeating: "x", count: 5_000))
        let cut = try #require(try JSONValue.parse(long.params)["message"]?.string)
        #expect(cut.contains("904 more bytes are not shown"), "\(cut.suffix(60))")
    }

    private static func shown(_ arguments: String, _ schema: String = "{}") -> ShownArguments? {
        ShownArguments(Array(arguments.utf8)[...], schema: Array(schema.utf8))
    }

    @Test func theSameArgumentsAreTheSameInAnyOrder() throws {
        let one = try #require(Self.shown(#"{"b":[1,{"y":1,"x":2}],"a":"t"}"#))
        let two = try #require(Self.shown(#"{ "a" : "t", "b" : [1, {"x": 2, "y": 1}] }"#))
        #expect(one == two && one.text == #"{"a":"t","b":[1,{"x":2,"y":1}]}"#)
        for other in [#"{"a":"t","b":[{"x":2,"y":1},1]}"#, #"{"a":"t"}"#, #"{"a":"T","b":[1,{"x":2,"y":1}]}"#] {
            #expect(Self.shown(other)?.digest != one.digest)
        }
        #expect(Self.shown("{") == nil)
    }

    @Test func secretsAreMaskedAndStillCount() throws {
        let schema =
            #"{"properties":{"token":{"type":"string","writeOnly":true},"deep":{"properties":{"pin":{"format":"password"}}},"#
            + #""list":{"items":{"properties":{"key":{"writeOnly":true}}}}}}"#
        let text = #"{"token":"s3cret","deep":{"pin":"1234","open":1},"list":[{"key":"k3y","n":2}],"free":"seen"}"#
        let shown = try #require(Self.shown(text, schema))
        #expect(
            shown.text
                == #"{"deep":{"open":1,"pin":"********"},"free":"seen","list":[{"key":"********","n":2}],"token":"********"}"#)
        #expect(Self.shown(text.replacing("s3cret", with: "other"), schema)?.digest != shown.digest)
    }

    @Test func aCallIsTheSameOnlyForWhoMadeItOfWhatItWas() throws {
        let tool = try Self.tool()
        let shown = try #require(Self.shown(#"{"a":1}"#))
        let one = CallBinding.digest("ann", tool, shown)
        #expect(CallBinding.digest("ann", try Self.tool(), shown) == one)
        var others = [CallBinding.digest("bob", tool, shown), CallBinding.digest("ann", try Self.tool(revision: "2"), shown)]
        others.append(CallBinding.digest("ann", try Self.tool(input: "{\"type\": \"object\", \"maxProperties\": 2}"), shown))
        others.append(CallBinding.digest("ann", tool, try #require(Self.shown(#"{"a":2}"#))))
        #expect(!others.contains(one) && Set(others).count == 4)
    }
}
