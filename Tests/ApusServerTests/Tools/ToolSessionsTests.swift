import ApusCore
import ApusStore
import ApusTools
import Synchronization
import Testing

@testable import ApusServer

/// Sessions of agents: what their ids hold, and what is kept of their streams.
@Suite struct ToolSessionsTests {
    static let now = Timestamp(milliseconds: 1_800_000_000_000)
    static let place = ToolPlace(namespace: .default, server: "shop")
    static let caller = ToolCaller(name: "clerk", namespace: .default, scopes: [], roles: [.caller])

    static func sessions(_ node: String, key: UInt8 = 7) -> ToolSessions {
        ToolSessions(
            sealer: Sealer([(id: "0123456789abcdef", bytes: [UInt8](repeating: key, count: 32))]), node: node)
    }

    private static func begin(_ sessions: ToolSessions, shard: Int = 3) -> ToolSession {
        sessions.make(self.place, self.caller, .r20251125, [.elicitationForm, .roots], shard: shard, now: self.now)
    }

    @Test func anIdNamesNodeAndShardAndHoldsWhatMustLast() throws {
        let began = Self.begin(Self.sessions("node-a"))
        #expect(began.id.utf8.allSatisfy { (0x21...0x7E).contains($0) })
        #expect(!began.id.contains("node-a"), "an id says nothing to whoever holds no key")
        let other = Self.sessions("node-b")
        let met = Mutex<[String]>([])
        other.onMet.withLock { $0 = { session in met.withLock { $0.append(session.origin.node) } } }
        let found = try #require(other.find(began.id, Self.place, Self.caller, now: Self.now))
        #expect(found.origin == ToolSession.Origin(node: "node-a", shard: 3))
        #expect(found.revision == .r20251125 && found.capabilities == [.elicitationForm, .roots])
        #expect(found.tag != began.tag, "streams and questions of two servers are never taken for one another's")
        #expect(other.find(began.id, Self.place, Self.caller, now: Self.now) === found)
        #expect(met.withLock { $0 } == ["node-a"], "a session is met once")
    }

    @Test func anIdIsGoodForItsCallerItsPlaceItsKeyAndItsTime() {
        let id = Self.begin(Self.sessions("node-a")).id
        func find(
            _ id: String, _ place: ToolPlace = Self.place, _ caller: ToolCaller = Self.caller, key: UInt8 = 7,
            after seconds: Int64 = 0
        ) -> ToolSession? {
            Self.sessions("node-b", key: key).find(id, place, caller, now: Self.now + .seconds(seconds))
        }
        let other = ToolCaller(name: "thief", namespace: .default, scopes: [], roles: [.caller])
        #expect(find(id) != nil)
        #expect(find(id, Self.place, other) == nil)
        #expect(find(id, ToolPlace(namespace: .default, server: nil)) == nil)
        #expect(find(id, key: 8) == nil)
        #expect(find(String(id.dropLast())) == nil)
        #expect(find(id, after: Limits.ToolEndpoint.sessionSeconds - 1) != nil)
        #expect(find(id, after: Limits.ToolEndpoint.sessionSeconds) == nil)
    }

    @Test func whatWasEndedElsewhereIsOverHereToo() {
        let id = Self.begin(Self.sessions("node-a")).id
        let here = Self.sessions("node-b")
        here.end(id, now: Self.now)
        #expect(here.find(id, Self.place, Self.caller, now: Self.now) == nil)
    }

    @Test func aboveTheirNumberTheOneThatWasNotUsedForLongestIsForgotten() throws {
        let sessions = Self.sessions("node-a")
        var all: [ToolSession] = []
        for index in 0..<Limits.ToolEndpoint.sessions {
            all.append(
                sessions.make(
                    Self.place, Self.caller, .r20250618, [], shard: 0, now: Self.now + .milliseconds(Int64(index))))
        }
        #expect(sessions.count == Limits.ToolEndpoint.sessions)
        let later = Self.now + .milliseconds(Int64(all.count))
        #expect(sessions.find(all[0].id, Self.place, Self.caller, now: later) === all[0])
        _ = sessions.make(Self.place, Self.caller, .r20250618, [], shard: 0, now: later)
        #expect(sessions.count == Limits.ToolEndpoint.sessions)
        #expect(sessions.find(all[0].id, Self.place, Self.caller, now: later) === all[0], "it was used")
        let again = try #require(sessions.find(all[1].id, Self.place, Self.caller, now: later))
        #expect(again !== all[1], "it was forgotten, and is made anew of its id")
    }

    // MARK: streams that can be read again

    private final class Collector: KeptReader {
        let events = Mutex<[(number: Int, bytes: Int)]>([])
        let isEnded = Mutex(false)
        func write(_ event: [UInt8], number: Int) { self.events.withLock { $0.append((number, event.count)) } }
        func end() { self.isEnded.withLock { $0 = true } }
        var numbers: [Int] { self.events.withLock { $0.map(\.number) } }
        var bytes: Int { self.events.withLock { $0.reduce(0) { $0 + $1.bytes } } }
    }

    @Test func aMebibyteOfASessionCanBeReadAgainAndNoMore() {
        let session = Self.begin(Self.sessions("node-a"))
        let (first, second) = (session.makeStream(), session.makeStream())
        let message = [UInt8](repeating: UInt8(ascii: "x"), count: 16 * 1_024)
        for _ in 0..<30 { first.write(message) }
        let whole = Collector()
        first.attach(whole, after: 0)
        #expect(whole.numbers == Array(1...30), "below the bound nothing is lost")
        // What all streams of a session keep counts together.
        for _ in 0..<60 { second.write(message) }
        let rest = Collector()
        second.attach(rest, after: 0)
        #expect(whole.bytes + rest.bytes <= Limits.ToolEndpoint.replayBytes)
        #expect(whole.bytes + rest.bytes > Limits.ToolEndpoint.replayBytes - 17 * 1_024)
        #expect(rest.numbers.last == 60, "the oldest go first")
        let numbers = rest.numbers
        #expect(numbers == Array((61 - numbers.count)...60))
        // Another session has a bound of its own.
        let other = Self.begin(Self.sessions("node-a")).makeStream()
        for _ in 0..<60 { other.write(message) }
        let all = Collector()
        other.attach(all, after: 57)
        #expect(all.numbers == [58, 59, 60])
    }

    @Test func whoComesLaterReadsOnAndWhoeverReadBeforeIsToldSo() {
        let stream = Self.begin(Self.sessions("node-a")).makeStream()
        let (first, second) = (Collector(), Collector())
        _ = stream.prime(first)
        stream.write([1])
        stream.attach(second, after: 1)
        stream.write([2])
        #expect(first.numbers == [1] && first.isEnded.withLock { $0 })
        // That the first connection breaks is no news of the second.
        stream.detach(first, now: Self.now)
        stream.write([3])
        #expect(second.numbers == [2, 3] && stream.isAttached)
        stream.detach(second, now: Self.now)
        let due = Self.now + .seconds(Limits.ToolEndpoint.resumeSeconds)
        #expect(stream.isForsaken(now: due) && !stream.isForsaken(now: Self.now))
        stream.end()
        let late = Collector()
        stream.attach(late, after: 2)
        #expect(late.numbers == [3] && late.isEnded.withLock { $0 })
    }

    @Test func onlySoManyStreamsAreKept() {
        let session = Self.begin(Self.sessions("node-a"))
        for _ in 0..<Limits.ToolEndpoint.replayStreams + 1 { session.makeStream().end() }
        #expect(session.stream(1) == nil && session.stream(2) != nil)
    }
}
