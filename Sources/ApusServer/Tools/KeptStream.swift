internal import ApusCore
internal import ApusHTTP
internal import Synchronization

/// One stream of a session, kept so that a client whose connection broke reads on where it was. From any thread.
final class KeptStream: Sendable {
    private struct State {
        /// The events that can be read again, with the number of the first.
        var events: [[UInt8]] = []
        var first = 1
        var reader: (any KeptReader)?
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
    func prime(_ reader: any KeptReader) -> [UInt8] {
        self.state.withLock {
            $0.reader = reader
            $0.detachedAt = nil
        }
        return Array("id: \(self.place(of: 0))\nretry: 500\ndata: \n\n".utf8)
    }

    private func place(of event: Int) -> String { StreamPlace(tag: self.tag, stream: self.number, event: event).text }

    func write(_ message: [UInt8]) {
        self.state.withLock { state in
            guard !state.isDone else { return }
            let number = state.first + state.events.count
            let event = ServerSentEvent.encode(data: message, id: self.place(of: number))
            state.events.append(event)
            self.budget.add(event.count)
            // What is pushed out can no longer be read again; who reads now has it.
            while self.budget.isOver, state.events.count > 1 {
                self.budget.add(-state.events.removeFirst().count)
                state.first += 1
            }
            state.reader?.write(event, number: number)
        }
    }

    /// Nothing more comes. What is there can still be read.
    func end() {
        self.state.withLock { state in
            state.isDone = true
            state.reader?.end()
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

    /// A reader is gone.
    /// - Parameter reader: nil for the client that asked and was told nothing yet. One that another has taken the place of leaves nothing.
    func detach(_ reader: (any KeptReader)?, now: Timestamp) {
        self.state.withLock { state in
            guard state.reader === reader else { return }
            state.reader = nil
            state.detachedAt = now
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

    /// A client comes back and has read up to an event. Whoever read before is told that there is no more for it.
    func attach(_ reader: any KeptReader, after last: Int) {
        // Inside, so that what is written meanwhile comes after what was missed.
        self.state.withLock { state in
            if state.reader !== reader { state.reader?.end() }
            state.reader = state.isDone ? nil : reader
            state.detachedAt = nil
            let from = max(0, last + 1 - state.first)
            for (index, event) in state.events.enumerated().dropFirst(from) {
                reader.write(event, number: state.first + index)
            }
            if state.isDone { reader.end() }
        }
    }
}

/// What all streams of one session may keep together.
final class ReplayBudget: Sendable {
    private let bytes = Atomic<Int>(0)

    func add(_ count: Int) { self.bytes.add(count, ordering: .relaxed) }
    var isOver: Bool { self.bytes.load(ordering: .relaxed) > Limits.ToolEndpoint.replayBytes }
}
