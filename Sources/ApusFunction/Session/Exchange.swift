internal import ApusCore
internal import Synchronization

/// One attempt's side of the channel: what may be said on its stream, and when. Shared by its handler's tasks.
final class Exchange: Sendable {
    private enum State {
        /// Nothing was answered yet. Next: `streaming`, `answered`.
        case open
        /// Parts are under way, `sent` bytes of them. Next: `answered`.
        case streaming(sent: Int)
        /// The final frame is out: nothing may speak of the attempt any more.
        case answered
    }

    let stream: UInt64
    private let isItem: Bool
    private let outgoing: Outgoing
    private let state = Mutex(State.open)
    private let cancelled = Atomic(false)

    init(stream: UInt64, isItem: Bool = false, outgoing: Outgoing) {
        self.stream = stream
        self.isItem = isItem
        self.outgoing = outgoing
    }

    var isCancelled: Bool { self.cancelled.load(ordering: .relaxed) }
    func cancel() { self.cancelled.store(true, ordering: .relaxed) }
    var isAnswered: Bool { self.state.withLock { if case .answered = $0 { true } else { false } } }

    /// Sends while the attempt is unanswered. The lock keeps the final frame behind it.
    private func whileOpen(_ body: () throws -> Void) throws {
        try self.state.withLock { state in
            if case .answered = state {
                throw NotAvailable("the invocation has been answered: emit and report progress before that")
            }
            try body()
        }
    }

    func log(_ level: LogPayload.Level, _ message: String) {
        let payload = [level.rawValue] + Array(message.utf8.prefix(Limits.logBytes))
        self.state.withLock { state in
            // Behind the answer a line is the function's, not the attempt's.
            let isAnswered = if case .answered = state { true } else { false }
            self.outgoing.send(.log, stream: isAnswered ? 0 : self.stream, payload)
        }
    }

    func progress(_ done: UInt64, _ total: UInt64, _ message: String) throws {
        var payload: [UInt8] = []
        payload.appendLittleEndian(done)
        payload.appendLittleEndian(total)
        payload.append(contentsOf: message.utf8.prefix(Limits.messageBytes))
        try self.whileOpen { self.outgoing.send(.progress, stream: self.stream, payload) }
    }

    func emit(_ topic: String, _ event: Reply) throws {
        let name = Array(topic.utf8)
        guard (1...ApusCore.Limits.topicNameBytes).contains(name.count) else {
            throw NotAvailable("emit to '\(topic)': expected the name of a topic")
        }
        let block = try event.block()
        guard block.count <= ApusCore.Limits.eventBytes else {
            throw ResultTooLarge(
                "the event for '\(topic)' has \(block.count) bytes; at most \(ApusCore.Limits.eventBytes) are allowed")
        }
        var prefix: [UInt8] = []
        prefix.appendLittleEndian(UInt16(name.count))
        try self.whileOpen { self.outgoing.send(.emit, stream: self.stream, prefix + name, block: block) }
    }

    // MARK: the answer

    func finish(_ reply: Reply) throws {
        let count = reply.data?.count ?? 0
        // The server takes one that is given as a whole where its caller reads it in parts, and refuses it elsewhere.
        guard count <= ApusCore.Limits.largeResultBytes else {
            throw ResultTooLarge(Self.tooLarge(count, ApusCore.Limits.largeResultBytes))
        }
        let block = try reply.block()
        Descriptors.flushOutput()
        try self.whileOpen {}
        try self.state.withLock { state in
            guard case .open = state else {
                throw NotAvailable("the result has begun in parts: it cannot be given as a whole any more")
            }
            state = .answered
            self.outgoing.send(self.isItem ? .itemResult : .result, stream: self.stream, [], block: block)
        }
    }

    func fail(_ error: ErrorPayload) {
        Descriptors.flushOutput()
        self.state.withLock { state in
            if case .answered = state { return }
            state = .answered
            var payload: [UInt8] = []
            error.append(to: &payload)
            self.outgoing.send(
                self.isItem ? .itemResult : .error, flags: self.isItem ? .failed : [], stream: self.stream, payload)
        }
    }

    func startStream(_ contentType: String, _ attributes: [String: String] = [:]) throws {
        let head = try Reply(data: [], contentType: contentType, attributes: attributes).block()
        try self.state.withLock { state in
            guard case .open = state else { throw NotAvailable("the result has begun: start it only once, and first") }
            state = .streaming(sent: 0)
            self.outgoing.send(.result, flags: [.more, .stream], stream: self.stream, head)
        }
    }

    func write(_ part: [UInt8], _ standardType: String) throws {
        if self.isCancelled { throw CancellationError() }
        if self.state.withLock({ if case .open = $0 { true } else { false } }) { try self.startStream(standardType) }
        try self.state.withLock { state in
            guard case .streaming(let sent) = state else {
                throw NotAvailable("the invocation has been answered: write before finish()")
            }
            guard sent + part.count <= ApusCore.Limits.largeResultBytes else {
                throw ResultTooLarge(Self.tooLarge(sent + part.count, ApusCore.Limits.largeResultBytes))
            }
            state = .streaming(sent: sent + part.count)
            self.outgoing.sendParts(part, stream: self.stream)
        }
    }

    /// Ends the parts; an attempt that wrote none has no result.
    func finishStream() throws {
        Descriptors.flushOutput()
        let isOpen = self.state.withLock { state in
            guard case .streaming = state else { return if case .open = state { true } else { false } }
            state = .answered
            self.outgoing.send(.data, stream: self.stream, [])
            return false
        }
        if isOpen { try self.finish(.nothing) }
    }

    private static func tooLarge(_ count: Int, _ most: Int) -> String {
        "the result has \(count) bytes; at most \(most) are allowed: "
            + "store it elsewhere and return its address"
    }
}
