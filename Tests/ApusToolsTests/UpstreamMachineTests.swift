import ApusCore
import ApusManifest
import ApusTools
import Testing

/// When an upstream is left alone, and when it is asked for its list.
struct UpstreamMachineTests {
    private let start = Timestamp(microseconds: 1_000_000_000)

    private func broken(at now: Timestamp) -> CircuitBreaker {
        var breaker = CircuitBreaker()
        for _ in 0..<5 {
            #expect(breaker.state != .open(until: now, after: .zero))
            let admission = breaker.admit(now: now)
            #expect(admission == .pass)
            breaker.failed(now: now)
        }
        return breaker
    }

    @Test func afterFailuresInARowCallsAreRefusedUntilOneIsAnswered() {
        var breaker = self.broken(at: self.start)
        let refused = breaker.admit(now: self.start + .seconds(1))
        #expect(refused == .refused(retryAfter: .seconds(4)))
        let trial = breaker.admit(now: self.start + .seconds(5))
        #expect(trial == .pass)
        // One is on its way: the others wait for what it shows.
        let second = breaker.admit(now: self.start + .seconds(5))
        #expect(second == .refused(retryAfter: .seconds(60)))
        breaker.succeeded()
        #expect(breaker.state == .closed(failures: 0))
        let after = breaker.admit(now: self.start + .seconds(6))
        #expect(after == .pass)
    }

    @Test func aSuccessInBetweenCountsFromTheBeginningAgain() {
        var breaker = CircuitBreaker()
        for _ in 0..<4 { breaker.failed(now: self.start) }
        breaker.succeeded()
        for _ in 0..<4 { breaker.failed(now: self.start) }
        #expect(breaker.state == .closed(failures: 4))
    }

    @Test func eachTrialThatFailsDoublesTheWaitUpToAMinute() {
        var breaker = self.broken(at: self.start)
        var now = self.start
        for seconds in [5, 10, 20, 40, 60, 60] as [Int64] {
            guard case .open(let until, let after) = breaker.state else {
                Issue.record("\(breaker.state)")
                return
            }
            #expect(after == .seconds(seconds) && until == now + .seconds(seconds))
            now = until
            let trial = breaker.admit(now: now)
            #expect(trial == .pass)
            breaker.failed(now: now)
        }
    }

    @Test func aTrialThatItsCallerGaveUpLetsTheNextTryAtOnce() {
        var breaker = self.broken(at: self.start)
        let now = self.start + .seconds(5)
        _ = breaker.admit(now: now)
        breaker.left(now: now)
        let next = breaker.admit(now: now)
        #expect(next == .pass)
        // One that never says anything is taken for lost.
        let late = breaker.admit(now: now + .seconds(60))
        #expect(late == .pass)
    }

    private let name = ResourceName(.default, "a")

    private func watch(_ generation: UInt64 = 1) -> UpstreamWatch {
        var watch = UpstreamWatch()
        if let name { watch.apply([(name, generation, .seconds(300))], now: self.start) }
        return watch
    }

    @Test func aListIsAskedForAtOnceThenByItsIntervalAndLaterAndLaterWhileThereIsNone() throws {
        let name = try #require(self.name)
        var watch = self.watch()
        var now = self.start
        #expect(watch.nextDue == now)
        let first = watch.due(now: now)
        #expect(first == [name])
        let again = watch.due(now: now)
        #expect(again.isEmpty)
        for seconds in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] as [Int64] {
            watch.answered(name, isGood: false, now: now)
            #expect(watch.nextDue == now + .seconds(seconds))
            now = now + .seconds(seconds)
            let due = watch.due(now: now)
            #expect(due == [name])
        }
        watch.answered(name, isGood: true, now: now)
        #expect(watch.nextDue == now + .seconds(300))
    }

    @Test func aListThatChangedWhileItWasAskedForIsAskedForAgain() throws {
        let name = try #require(self.name)
        var watch = self.watch()
        _ = watch.due(now: self.start)
        watch.changed(name, now: self.start)
        #expect(watch.nextDue == nil)
        watch.answered(name, isGood: true, now: self.start)
        #expect(watch.nextDue == self.start)
        _ = watch.due(now: self.start)
        watch.answered(name, isGood: true, now: self.start)
        #expect(watch.nextDue == self.start + .seconds(300))
        watch.changed(name, now: self.start + .seconds(1))
        #expect(watch.nextDue == self.start + .seconds(1))
    }

    @Test func soManyAreAskedAtOnceAndWhatIsDeletedNoMore() throws {
        var watch = UpstreamWatch()
        let names = try (0..<6).map { try #require(ResourceName(.default, "u\($0)")) }
        watch.apply(names.map { ($0, 1, .seconds(300)) }, now: self.start)
        let first = watch.due(now: self.start)
        #expect(first == Array(names.prefix(4)))
        #expect(watch.nextDue == nil)
        watch.apply(names.dropFirst().map { ($0, 1, .seconds(300)) }, now: self.start)
        watch.answered(names[0], isGood: true, now: self.start)
        let second = watch.due(now: self.start)
        #expect(second == [names[4]])
    }

    private func sent(_ params: [UInt8], client: ClientCapabilities = [], answers: Answers = Answers(), progress: String? = nil) -> String {
        String(
            decoding: UpstreamMessage.request("tools/call", params, client: client, answers: answers, progress: progress),
            as: UTF8.self)
    }

    @Test func whatIsSentNamesTheToolAndItsArgumentsAndNobody() {
        let call = UpstreamMessage.call("se\"arch", arguments: Array(#"{"n":12345678901234567890}"#.utf8)[...])
        #expect(
            self.sent(call)
                == #"{"capabilities":{},"method":"tools/call","params":{"name":"se\"arch","arguments":{"n":12345678901234567890}}}"#)
        #expect(self.sent(call, progress: "t").hasSuffix(#","_meta":{"progressToken":"t"}}}"#))
        // What the client can be asked is told; tasks are ours.
        #expect(self.sent(call, client: [.elicitationForm, .tasks]).hasPrefix(#"{"capabilities":{"elicitation":{}},"method""#))
        #expect(
            String(decoding: UpstreamMessage.list(.tool, cursor: "c"), as: UTF8.self)
                == #"{"method":"tools/list","params":{"cursor":"c"}}"#)
        #expect(
            String(decoding: UpstreamMessage.list(.template, cursor: nil), as: UTF8.self)
                == #"{"method":"resources/templates/list","params":{}}"#)
    }

    @Test func answersAreResultsErrorsOrNothing() {
        let read = { (text: String) in UpstreamMessage.answer(Array(text.utf8)) }
        #expect(read(#"{"id":1,"result":{"content":[]}}"#) == .result(Array(#"{"content":[]}"#.utf8)))
        #expect(read(#"{"error":{"code":-32602,"message":"no"}}"#) == .error(code: -32602, message: "no"))
        #expect(read(#"{"result":{"resultType":"task"}}"#) == .other("task"))
        #expect(read(#"{"result":{"resultType":"complete","content":[]}}"#) != nil)
        for text in ["", "[]", "{", "{}", #"{"result":[]}"#, #"{"error":"x"}"#, "null"] { #expect(read(text) == nil, "\(text)") }
    }

    @Test func resultsOfPromptsAndResourcesTakeTheFormOfFunctions() {
        func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }
        let message = #"{"role":"user","content":{"type":"text","text":"a"}}"#
        #expect(text(UpstreamMessage.messages(of: Array(#"{"messages":[\#(message)],"description":"d"}"#.utf8))) == #"{"content":[\#(message)]}"#)
        #expect(text(UpstreamMessage.messages(of: Array("{}".utf8))) == #"{"content":null}"#)
        let one = #"{"uri":"a:1","text":"x"}"#
        #expect(
            text(UpstreamMessage.contents(of: Array(#"{"contents":[\#(one),\#(one)]}"#.utf8)))
                == #"{"content":[{"type":"resource","resource":\#(one)},{"type":"resource","resource":\#(one)}]}"#)
        #expect(text(UpstreamMessage.contents(of: Array("{}".utf8))) == "{}")
        #expect(text(UpstreamMessage.values(of: Array(#"{"completion":{"values":["a","b"],"total":2}}"#.utf8))) == #"["a","b"]"#)
        #expect(UpstreamMessage.values(of: Array("{}".utf8)).isEmpty)
        #expect(
            text(UpstreamMessage.complete("p", isPrompt: true, argument: Array("{}".utf8)[...], context: nil))
                == #""ref":{"type":"ref/prompt","name":"p"},"argument":{}"#)
    }

    @Test func whoDecidesNamesEachInOneSegmentOfAPath() {
        func handle(_ key: String) -> String { UpstreamOffer.handle(of: key, prefix: "x") }
        #expect(handle("search") == "x_search" && handle("prompts/greet") == "prompt:x_greet")
        for handle in [handle("resources/file:///a/b"), handle("templates/file:///{a}/b")] {
            #expect(!handle.contains("/") && handle.utf8.count < 80, "\(handle)")
        }
        #expect(handle("resources/file:///a/b") != handle("resources/file:///a_b"))
    }

    // MARK: questions

    private static let sealer = Sealer([(id: "0011223344556677", bytes: [UInt8](repeating: 7, count: 32))])

    private func question(_ json: String) throws -> UpstreamMessage.Question {
        guard case .question(let question)? = UpstreamMessage.answer(Array(json.utf8)) else {
            throw ApusError(.internal, "no question: \(json)")
        }
        return question
    }

    /// As the client's next request brings them back.
    private func back(_ answers: Answers, adding name: String, _ json: String) throws -> Answers {
        let state = answers.seal(Self.sealer, boundTo: ["ann"], until: Timestamp(milliseconds: 9))
        var back = try Answers(opening: state, Self.sealer, boundTo: ["ann"], now: .zero)
        back.add(name, Array(json.utf8))
        return back
    }

    @Test func aQuestionGoesBackWithWhatItsServerWantsBack() throws {
        let asked = try self.question(
            #"{"result":{"resultType":"input_required","inputRequests":{"who":{"method":"elicitation/create","params":{"message":"Who?"}}},"requestState":"st\"1"}}"#)
        #expect(asked.round == UpstreamRound(state: "st\"1", isAgain: false))
        let questions = try Questions(parsing: asked.requests)
        #expect(questions.all.map(\.name) == ["who"] && questions.needed == .elicitationForm)
        var answers = Answers()
        answers.ask(questions, round: asked.round)
        answers = try self.back(answers, adding: "who", #"{"action":"accept"}"#)
        #expect(
            self.sent(Array(#""name":"a""#.utf8), answers: answers).hasSuffix(
                #""params":{"name":"a","inputResponses":{"who":{"action":"accept"}},"requestState":"st\"1"}}"#))
        // The next round's answers go alone, as a client of the server itself sends them.
        let next = try self.question(
            #"{"result":{"resultType":"input_required","inputRequests":{"sure":{"method":"elicitation/create","params":{}}}}}"#)
        answers.ask(try Questions(parsing: next.requests), round: next.round)
        answers = try self.back(answers, adding: "sure", "{}")
        #expect(self.sent([], answers: answers).hasSuffix(#""params":{"inputResponses":{"sure":{}}}}"#))
    }

    @Test func aServerThatWaitedIsGivenAllAnswersAgain() throws {
        var answers = Answers()
        for name in ["one-1", "two-1"] {
            let asked = try self.question(
                #"{"result":{"resultType":"input_required","inputRequests":{"\#(name)":{"method":"elicitation/create","params":{}}}},"again":true}"#)
            #expect(asked.round == UpstreamRound(state: nil, isAgain: true))
            answers.ask(try Questions(parsing: asked.requests), round: asked.round)
            answers = try self.back(answers, adding: name, "{}")
        }
        #expect(
            self.sent(Array(#""name":"a""#.utf8), answers: answers)
                == #"{"capabilities":{},"answers":{"one-1":{},"two-1":{}},"method":"tools/call","params":{"name":"a"}}"#)
    }

    @Test func theStateIsSealedAndOfOneCaller() throws {
        var answers = Answers()
        let asked = try self.question(
            #"{"result":{"resultType":"input_required","inputRequests":{"a":{"method":"roots/list","params":{}}},"requestState":"secret-of-the-server"}}"#)
        answers.ask(try Questions(parsing: asked.requests), round: asked.round)
        let state = answers.seal(Self.sealer, boundTo: ["ann"], until: Timestamp(milliseconds: 9))
        #expect(!state.contains("secret"))
        #expect(throws: RPCError.self) { try Answers(opening: state, Self.sealer, boundTo: ["eve"], now: .zero) }
        #expect(try Answers(opening: state, Self.sealer, boundTo: ["ann"], now: .zero).round == asked.round)
    }
}
