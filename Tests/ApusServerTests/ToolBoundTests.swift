import ApusCore
import ApusJSON
import ApusLoop
import ApusTools
import Synchronization
import Testing

@testable import ApusServer

/// What the endpoint for agents keeps, at its bounds.
@Suite struct ToolBoundTests {
    private static let sealer = Sealer([(id: "0011223344556677", bytes: [UInt8](repeating: 7, count: 32))])
    private static let later = Timestamp.zero + .seconds(3_600)
    private static let place = ToolPlace(namespace: .default)
    private static let caller = ToolCaller(name: "ann", namespace: .default, scopes: [], roles: [.caller], bounds: CallBounds())

    private static func session(_ sessions: ToolSessions, at seconds: Int64) -> ToolSession {
        sessions.make(self.place, self.caller, .r20251125, [], shard: 0, now: .zero + .seconds(seconds))
    }

    @Test func aNewSessionTakesThePlaceOfTheOneThatWasNotUsedForLongest() {
        let sessions = ToolSessions(sealer: Self.sealer, node: "one")
        let most = Limits.ToolEndpoint.sessions
        let first = Self.session(sessions, at: 0)
        let second = Self.session(sessions, at: 1)
        for _ in 2..<most { _ = Self.session(sessions, at: 2) }
        #expect(sessions.count == most)
        first.used(now: .zero + .seconds(3))
        _ = Self.session(sessions, at: 4)
        #expect(sessions.count == most)
        // Who comes back with an id that was forgotten has a session anew: nothing that must last was lost.
        #expect(sessions.find(first.id, Self.place, Self.caller, now: .zero + .seconds(5)) === first)
        let again = sessions.find(second.id, Self.place, Self.caller, now: .zero + .seconds(5))
        #expect(again != nil && again !== second && sessions.count == most)
    }

    @Test func endedSessionsAreRememberedUpToABound() {
        let sessions = ToolSessions(sealer: Self.sealer, node: "one")
        let now = Timestamp.zero + .seconds(9)
        let ended = (0..<Limits.ToolEndpoint.endedSessions).map { number in
            let session = Self.session(sessions, at: Int64(number % 2))
            sessions.end(session.id, now: .zero + .milliseconds(Int64(number)))
            return session.id
        }
        #expect(sessions.count == 0)
        #expect(ended.allSatisfy { sessions.find($0, Self.place, Self.caller, now: now) == nil })
        sessions.end(Self.session(sessions, at: 1).id, now: now)
        // The one that would have ended first.
        #expect(ended.filter { sessions.find($0, Self.place, Self.caller, now: now) != nil } == [ended[0]])
    }

    @Test func aSessionFollowsSoManyResources() {
        let session = Self.session(ToolSessions(sealer: Self.sealer, node: "one"), at: 0)
        let most = Limits.ToolEndpoint.resourceSubscriptions
        #expect((0..<most).allSatisfy { session.subscribe("test://\($0)") })
        #expect(!session.subscribe("test://more"))
        session.unsubscribe("test://0")
        #expect(session.subscribe("test://more"))
    }

    @Test func aSessionKeepsSoManyStreamsAndBytes() {
        let session = Self.session(ToolSessions(sealer: Self.sealer, node: "one"), at: 0)
        let most = Limits.ToolEndpoint.replayStreams
        let open = session.makeStream()
        for _ in 1...most {
            let stream = session.makeStream()
            stream.end()
        }
        _ = session.makeStream()
        #expect(session.stream(open.number) === open, "one that is under way stays")
        #expect(session.stream(open.number + 1) == nil, "the oldest that is over goes")
        let budget = ReplayBudget()
        let kept = KeptStream(number: 1, of: "t", budget: budget)
        for _ in 0..<40 {
            kept.write([UInt8](repeating: 0x20, count: Limits.ToolEndpoint.replayBytes / 16))
            #expect(!budget.isOver)
        }
    }

    @Test func soManyRequestsOfASessionAreInProgress() {
        let session = Self.session(ToolSessions(sealer: Self.sealer, node: "one"), at: 0)
        let loop = EventLoop()
        let most = Limits.ToolEndpoint.sessionCalls
        #expect((0..<most).allSatisfy { session.begin(MessageID(text: "\($0)"), loop) {} })
        #expect(!session.begin(MessageID(text: "more"), loop) {})
        session.end(MessageID(text: "0"))
        #expect(session.begin(MessageID(text: "more"), loop) {})
        loop.stop()
    }

    @Test func largeResultsGiveWayToNewerOnes() {
        let few = LargeResults(sealer: Self.sealer, folder: "/nonexistent", resultsMax: 3)
        let addresses = (0..<5).map { few.keep([UInt8($0)], type: "text/plain", for: "ann", until: Self.later, now: .zero) }
        #expect(addresses.map { few.find($0, for: "ann", now: .zero)?.result.body.count } == [nil, nil, 1, 1, 1])
        #expect(few.find(addresses[4], for: "bob", now: .zero) == nil)
        #expect(few.find(addresses[4], for: "ann", now: Self.later) == nil)
        let small = LargeResults(sealer: Self.sealer, folder: "/nonexistent", bytesMax: 100)
        let two = [60, 40, 1].map { small.keep([UInt8](repeating: 0, count: $0), type: "text/plain", for: "ann", until: Self.later, now: .zero) }
        #expect(two.map { small.find($0, for: "ann", now: .zero) != nil } == [false, true, true])
    }

    @Test func aPartOfALargeResultIsBounded() {
        let data = [UInt8](repeating: 0x61, count: Limits.ToolEndpoint.resultPartBytes + 1)
        let source = ResultBytes(bytes: data)
        #expect(ResultRange.beginning.part(of: source, isText: true).bytes.count == Limits.ToolEndpoint.resultPartBytes)
        #expect(ResultRange.bytes(1, data.count).part(of: source, isText: false).bytes.count == Limits.ToolEndpoint.resultPartBytes)
    }

    @Test func soManyValuesAreOffered() throws {
        let most = Limits.ToolEndpoint.completions
        for (count, hasMore) in [(most, false), (most + 1, true)] {
            let members = ToolEndpoint.completion((0..<count).map { "v\($0)" })
            let json = try JSONValue.parse([UInt8(ascii: "{")] + members + [UInt8(ascii: "}")])
            #expect(json["completion"]?["values"]?.array?.count == most && json["completion"]?["total"]?.int == count)
            #expect(json["completion"]?["hasMore"]?.boolean == hasMore)
        }
    }

    @Test func soManyRequestsWaitForInvocations() {
        let loop = EventLoop()
        let thread = WorkThread()
        let waits = InvocationWaits(thread: thread, loop: loop)
        let id = InvocationID(high: 1, low: 2)
        let told = Mutex(0)
        let refusal = ResultSlot<ErrorCode?>()
        let until = SystemClock().now + .seconds(3_600)
        let isQueued = thread.run {
            var code: ErrorCode?
            for _ in 0...Limits.Invocations.waiters {
                do throws(ApusError) { try waits.wait(id, until: until) { told.withLock { $0 += 1 } } } catch { code = error.code }
            }
            refusal.fill(code)
        }
        #expect(isQueued && refusal.take() == .overloaded)
        let ended = ResultSlot<Int>()
        _ = thread.run {
            waits.ended([id.description])
            ended.fill(waits.count)
        }
        #expect(ended.take() == 0 && told.withLock { $0 } == Limits.Invocations.waiters)
        thread.stop()
        loop.stop()
    }
}
