import ApusCore
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

    @Test func whatIsSentNamesTheToolAndItsArgumentsAndNobody() {
        let call = UpstreamMessage.call("se\"arch", arguments: Array(#"{"n":12345678901234567890}"#.utf8)[...], progress: nil)
        #expect(
            String(decoding: call, as: UTF8.self)
                == #"{"method":"tools/call","params":{"name":"se\"arch","arguments":{"n":12345678901234567890}}}"#)
        let told = UpstreamMessage.call("a", arguments: Array("{}".utf8)[...], progress: "t")
        #expect(String(decoding: told, as: UTF8.self).hasSuffix(#""_meta":{"progressToken":"t"}}}"#))
        #expect(
            String(decoding: UpstreamMessage.list(cursor: "c"), as: UTF8.self)
                == #"{"method":"tools/list","params":{"cursor":"c"}}"#)
        #expect(
            String(decoding: UpstreamMessage.list(cursor: nil), as: UTF8.self)
                == #"{"method":"tools/list","params":{}}"#)
    }

    @Test func answersAreResultsErrorsOrNothing() {
        let read = { (text: String) in UpstreamMessage.answer(Array(text.utf8)) }
        #expect(read(#"{"id":1,"result":{"content":[]}}"#) == .result(Array(#"{"content":[]}"#.utf8)))
        #expect(read(#"{"error":{"code":-32602,"message":"no"}}"#) == .error(code: -32602, message: "no"))
        #expect(read(#"{"result":{"resultType":"input_required"}}"#) == .question)
        #expect(read(#"{"result":{"resultType":"complete","content":[]}}"#) != nil)
        for text in ["", "[]", "{", "{}", #"{"result":[]}"#, #"{"error":"x"}"#, "null"] { #expect(read(text) == nil, "\(text)") }
    }
}
