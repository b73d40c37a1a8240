internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusLoop
internal import ApusTools
internal import Synchronization

/// Lets a session's client reach, from whichever server it is at, the one that holds a call, a question or a stream of it. From any thread.
///
/// Answers and cancellations are told to all: ids of questions are nobody else's, and a call runs on one server only. What a session's
/// client asked for is told to all who know the session, and to who meets it by the server where it began, which its id names.
final class SessionRelay: Sendable {
    private struct State {
        /// Streams of others, which this server's clients read.
        var read: [String: RelayedStream] = [:]
        /// Streams of this server, which others read.
        var given: [String: Given] = [:]
    }

    private struct Given {
        var reader: RelayReader
        var stream: KeptStream
    }

    private let sessions: ToolSessions
    private let talk: NodeTalk
    private let clock = SystemClock()
    private let state = Mutex(State())

    init(_ sessions: ToolSessions, _ talk: NodeTalk) {
        self.sessions = sessions
        self.talk = talk
    }

    func start() throws(ApusError) {
        self.sessions.onMet.withLock { met in
            met = { [weak self] session in self?.met(session) }
        }
        try self.talk.start { [weak self] message in self?.hear(message) }
    }

    func look() { self.talk.look() }

    func stop() {
        self.sessions.onMet.withLock { $0 = nil }
        self.talk.stop()
    }

    // MARK: telling

    /// An answer or a notification that concerns nobody here.
    func sent(_ envelope: Envelope, in session: ToolSession) {
        self.talk.tell(.sent(session: session.id, body: envelope.body))
    }

    func ended(_ session: ToolSession) { self.talk.tell(.ended(session: session.id)) }

    /// Its client asked for something that lasts.
    func changed(_ session: ToolSession) {
        guard let (level, resources) = session.changes else { return }
        self.talk.tell(.state(session: session.id, level: level, resources: resources))
    }

    func unfollowed(_ uri: String, in session: ToolSession) {
        self.talk.tell(.unfollowed(session: session.id, resource: uri))
    }

    private func met(_ session: ToolSession) {
        guard session.origin.node != self.sessions.node else { return }
        self.talk.tell(.met(session: session.id, origin: session.origin.node))
    }

    // MARK: reading another's stream

    /// Answers a client that wants to read on in a stream that another server holds, if one does. On the loop of the exchange.
    func follow(_ place: StreamPlace, of session: ToolSession, _ exchange: HTTPExchange, _ runtime: ShardRuntime) {
        let name = Hex.encode(Random.bytes(12))
        let stream = RelayedStream(name, place, of: session.id, exchange, runtime, self)
        let isTaken = self.state.withLock { state in
            guard state.read.count < Limits.Nodes.relays else { return false }
            state.read[name] = stream
            return true
        }
        guard isTaken else { return RelayedStream.refuse(exchange) }
        stream.start()
    }

    func ask(_ name: String, _ session: String, _ place: StreamPlace) {
        self.talk.tell(.resume(relay: name, session: session, place: place))
    }

    /// Its client left, or it is over.
    func forget(_ name: String, isOver: Bool) {
        let was = self.state.withLock { $0.read.removeValue(forKey: name) }
        if was != nil, !isOver { self.talk.tell(.left(relay: name)) }
    }

    // MARK: hearing

    private func hear(_ message: NodeMessage) {
        let now = self.clock.now
        switch message {
        case .sent(let id, let body): self.take(body, of: self.sessions.known(id, now: now))
        case .ended(let id): self.sessions.end(id, now: now)
        case .met(let id, let origin):
            guard origin == self.sessions.node, let session = self.sessions.known(id, now: now) else { return }
            self.changed(session)
        case .state(let id, let level, let resources):
            guard let session = self.sessions.known(id, now: now) else { return }
            if let level { session.setLogLevel(level) }
            for uri in resources { _ = session.subscribe(uri) }
        case .unfollowed(let id, let uri): self.sessions.known(id, now: now)?.unsubscribe(uri)
        case .resume(let name, let id, let place): self.give(name, self.sessions.known(id, now: now), place)
        case .opened(let name): self.stream(name)?.opened()
        case .event(let name, let number, let isWhole, let bytes):
            self.stream(name)?.came(bytes, number: number, isWhole: isWhole)
        case .closed(let name): self.stream(name)?.closed()
        case .left(let name):
            guard let given = self.state.withLock({ $0.given.removeValue(forKey: name) }) else { return }
            given.stream.detach(given.reader, now: now)
        }
    }

    private func stream(_ name: String) -> RelayedStream? { self.state.withLock { $0.read[name] } }

    private func take(_ body: [UInt8], of session: ToolSession?) {
        guard let session, let envelope = try? Envelope(parsing: body) else { return }
        if envelope.isAnswer {
            _ = session.answered(envelope)
        } else if let value = envelope.member("requestId", of: envelope.parameters.all) {
            _ = session.cancel(MessageID(token: Array(envelope.bytes(value))))
        }
    }

    /// Another server's client reads a stream of this one, or reads on.
    private func give(_ name: String, _ session: ToolSession?, _ place: StreamPlace) {
        guard let session, session.tag == place.tag, let stream = session.stream(place.stream) else { return }
        let reader = self.state.withLock { state -> RelayReader? in
            if let known = state.given[name] { return known.reader }
            guard state.given.count < Limits.Nodes.relays else { return nil }
            let reader = RelayReader(name, self.talk) { [weak self] in self?.wasGiven(name) }
            state.given[name] = Given(reader: reader, stream: stream)
            return reader
        }
        guard let reader else { return }
        self.talk.tell(.opened(relay: name))
        stream.attach(reader, after: place.event)
    }

    private func wasGiven(_ name: String) { self.state.withLock { _ = $0.given.removeValue(forKey: name) } }
}

/// Another server, for a client of its own.
private final class RelayReader: KeptReader {
    private let name: String
    private let talk: NodeTalk
    private let onEnd: @Sendable () -> Void

    init(_ name: String, _ talk: NodeTalk, _ onEnd: @escaping @Sendable () -> Void) {
        self.name = name
        self.talk = talk
        self.onEnd = onEnd
    }

    func write(_ event: [UInt8], number: Int) {
        let parts = stride(from: 0, to: event.count, by: Limits.Nodes.messageBytes).map { start in
            let end = min(start + Limits.Nodes.messageBytes, event.count)
            return NodeMessage.event(
                relay: self.name, number: number, isWhole: end == event.count, bytes: Array(event[start..<end]))
        }
        // One at a time: together they could be more than one batch takes.
        for part in parts { self.talk.tell(part) }
    }

    func end() {
        self.talk.tell(.closed(relay: self.name))
        self.onEnd()
    }
}
