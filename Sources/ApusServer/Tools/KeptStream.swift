internal import ApusCore
internal import ApusHTTP
internal import Synchronization

/// One stream of a session, kept so that a client whose connection broke reads on where it was. From any thread.
final class KeptStream: Sendable {
    private struct State {
        /// The events that can be read again, with the number of the first.
        var events: [[UInt8]] = []
        var first = 1
        var reader: HTTPReply?
        var isDone = false
        /// Since when nobody reads.
        var detachedAt: Timestamp?
    }

    /// Of its session; 0 is what the client opened without asking anything.
    let number: Int
    /// Of the session here: with it the ids of events are nobody else's.
    private let tag: String
    private let budget: ReplayBudget
    private let state = Mutex(State())

    init(number: Int, of tag: String, budget: ReplayBudget) {
        self.number = number
        self.tag = tag
        self.budget = budget
    }

    /// What a stream begins with: an event without data, so that its reader knows where it is, and how soon it may come back.
    func prime(_ reader: HTTPReply) -> [UInt8] {
        self.state.withLock {
            $0.reader = reader
            $0.detachedAt = nil
        }
        return Array("id: \(self.tag)-\(self.number)-0\nretry: 500\ndata: \n\n".utf8)
    }

    func write(_ message: [UInt8]) {
        self.state.withLock { state in
            guard !state.isDone else { return }
            let number = state.first + state.events.count
            let event = ServerSentEvent.encode(data: message, id: "\(self.tag)-\(self.number)-\(number)")
            state.events.append(event)
            self.budget.add(event.count)
            // What is pushed out can no longer be read again; who reads now has it.
            while self.budget.isOver, state.events.count > 1 {
                self.budget.add(-state.events.removeFirst().count)
                state.first += 1
            }
            state.reader?.perform { _ = $0.write(event) }
        }
    }

    /// Nothing more comes. What is there can still be read.
    func end() {
        self.state.withLock { state in
            state.isDone = true
            state.reader?.perform { $0.end() }
            state.reader = nil
        }
    }

    /// The answer went another way.
    func forget() {
        self.state.withLock { state in
            state.isDone = true
            self.budget.add(-state.events.reduce(0) { $0 + $1.count })
            state.events = []
        }
    }

    func detach(now: Timestamp) {
        self.state.withLock {
            $0.reader = nil
            $0.detachedAt = now
        }
    }

    func isForsaken(now: Timestamp) -> Bool {
        self.state.withLock { state in
            guard let since = state.detachedAt, state.reader == nil else { return false }
            return now >= since + .seconds(Limits.ToolEndpoint.resumeSeconds)
        }
    }

    var isAttached: Bool { self.state.withLock { $0.reader != nil } }
    var isDone: Bool { self.state.withLock { $0.isDone } }

    /// A client comes back and has read up to an event. On the loop of its exchange.
    func attach(_ exchange: HTTPExchange, after last: Int) {
        let reader = exchange.reply()
        let (missed, isDone) = self.state.withLock { state -> ([[UInt8]], Bool) in
            state.reader?.perform { $0.end() }
            state.reader = state.isDone ? nil : reader
            state.detachedAt = nil
            return (Array(state.events.dropFirst(max(0, last + 1 - state.first))), state.isDone)
        }
        for event in missed { reader.perform { _ = $0.write(event) } }
        if isDone { reader.perform { $0.end() } }
    }
}

/// What all streams of one session may keep together.
final class ReplayBudget: Sendable {
    private let bytes = Atomic<Int>(0)

    func add(_ count: Int) { self.bytes.add(count, ordering: .relaxed) }
    var isOver: Bool { self.bytes.load(ordering: .relaxed) > Limits.ToolEndpoint.replayBytes }
}
