import ApusCore
import ApusLoop
import ApusTelemetry
import ApusTestSupport
import ApusTools
import Synchronization
import Testing

@testable import ApusServer

/// What servers on one log tell each other of sessions.
@Suite struct SessionRelayTests {
    @Test(arguments: [
        .sent(session: "s", body: Array(#"{"a":"\n"}"#.utf8)), .sent(session: "s", body: []), .ended(session: "s"),
        .met(session: "s", origin: "n"), .state(session: "s", level: .warning, resources: ["a:b", "c"]),
        .state(session: "s", level: nil, resources: []), .unfollowed(session: "s", resource: "a:b"),
        .resume(relay: "r", session: "s", place: StreamPlace(tag: "t", stream: 2, event: 9)), .opened(relay: "r"),
        .event(relay: "r", number: 4, isWhole: false, bytes: [0, 10, 255]), .closed(relay: "r"), .left(relay: "r"),
    ] as [NodeMessage]) func aMessageIsReadAsItWasWritten(_ message: NodeMessage) throws {
        let read = try #require(NodeMessage.read(message.event(of: "run")))
        #expect(read.run == "run" && read.message == message)
    }

    @Test(arguments: ["", "a", "a-1", "a-1-", "-1-2", "a-x-1", "a-1-2-3", "a--1-2"])
    func whatIsNoPlaceInAStreamIsNone(_ text: String) { #expect(StreamPlace(text) == nil) }

    @Test func whatIsNoMessageIsPassedOver() {
        #expect(NodeMessage.read(Event(data: nil)) == nil)
        #expect(NodeMessage.read(Event(attributes: [Attribute("type", "dev.apus.node.v1")], data: [1])) == nil)
        let unknown = Array(#"{"run":"r","kind":"dance","session":"s"}"#.utf8) + [10]
        #expect(NodeMessage.read(Event(attributes: [Attribute("type", "dev.apus.node.v1")], data: unknown)) == nil)
    }

    /// Two servers that know one session: it began at the first.
    private struct Pair {
        let log: MemoryLog
        let sessions = [ToolSessionsTests.sessions("a"), ToolSessionsTests.sessions("b")]
        let relays: [SessionRelay]
        let first: ToolSession
        let second: ToolSession
        /// As the clock of the relays is.
        let now = SystemClock().now

        init() throws {
            let log = MemoryLog { SystemClock().now }
            self.log = log
            try log.createTopic(.nodes, TopicConfiguration(partitions: 1, retentionTime: Limits.Nodes.kept))
            self.relays = self.sessions.map { SessionRelay($0, NodeTalk(log, Log())) }
            for relay in self.relays { try relay.start() }
            let (place, caller) = (ToolSessionsTests.place, ToolSessionsTests.caller)
            self.first = self.sessions[0].make(place, caller, .r20251125, [], shard: 0, now: self.now)
            self.first.setLogLevel(.error)
            _ = self.first.subscribe("test://a")
            self.second = try #require(self.sessions[1].find(self.first.id, place, caller, now: self.now))
        }

        func end() { for relay in self.relays { relay.stop() } }
    }

    @Test func whoMeetsASessionLearnsWhatItsClientAskedFor() throws {
        let pair = try Pair()
        defer { pair.end() }
        #expect(waitUntil(seconds: 30) { pair.second.logLevel == .error })
        #expect(waitUntil(seconds: 30) { pair.second.changes?.resources == ["test://a"] })
        // And what it asks for later, wherever that is.
        _ = pair.second.subscribe("test://b")
        pair.relays[1].changed(pair.second)
        #expect(waitUntil(seconds: 30) { pair.first.changes?.resources == ["test://a", "test://b"] })
        pair.second.unsubscribe("test://a")
        pair.relays[1].unfollowed("test://a", in: pair.second)
        #expect(waitUntil(seconds: 30) { pair.first.changes?.resources == ["test://b"] })
    }

    @Test func anAnswerReachesWhoAskedAndACancellationWhoRunsTheCall() throws {
        let pair = try Pair()
        defer { pair.end() }
        let answers = Mutex<[String]>([])
        let question = pair.first.ask { envelope in
            answers.withLock { $0.append(String(decoding: envelope.body, as: UTF8.self)) }
        }
        let text = #"{"jsonrpc":"2.0","id":\#(String(decoding: question.token, as: UTF8.self)),"result":{"action":"accept"}}"#
        let answer = try Envelope(parsing: Array(text.utf8))
        #expect(!pair.second.answered(answer))
        pair.relays[1].sent(answer, in: pair.second)
        #expect(waitUntil(seconds: 30) { answers.withLock { $0 } == [text] })

        let loop = EventLoop()
        defer { loop.stop() }
        let isCancelled = Atomic(false)
        _ = pair.first.begin(MessageID(token: Array("7".utf8)), loop) { isCancelled.store(true, ordering: .releasing) }
        let cancel = try Envelope(
            parsing: Array(
                #"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#.utf8))
        pair.relays[1].sent(cancel, in: pair.second)
        #expect(waitUntil(seconds: 30) { isCancelled.load(ordering: .acquiring) })
    }

    @Test func whatAClientEndsAtOneServerIsOverAtTheOther() throws {
        let pair = try Pair()
        defer { pair.end() }
        pair.sessions[1].end(pair.second.id, now: pair.now)
        pair.relays[1].ended(pair.second)
        let (place, caller) = (ToolSessionsTests.place, ToolSessionsTests.caller)
        #expect(
            waitUntil(seconds: 30) { pair.sessions[0].find(pair.first.id, place, caller, now: pair.now) == nil })
    }
}
