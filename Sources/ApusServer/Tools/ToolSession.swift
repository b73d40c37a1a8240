internal import ApusCore
internal import ApusCrypto
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusTools
internal import Synchronization

/// A session of a client that speaks an era with sessions. What must last of it lies in its id, sealed: a server that does not know it
/// makes it anew. Calls in progress and their streams are of the server that holds them; a ``SessionRelay`` lets the client reach them
/// from the others. From any thread.
final class ToolSession: Sendable {
    /// Where a session began.
    struct Origin: Sendable, Equatable {
        var node: String
        var shard: Int
    }

    private struct State {
        var logLevel: LogLevel?
        var resources: Set<String> = []
        var streams: [Int: KeptStream] = [:]
        var nextStream = 1
        var nextQuestion = 1
        /// What cancels each call in progress, and on which loop.
        var calls: [MessageID: Call] = [:]
        /// Who waits for an answer of the client.
        var questions: [MessageID: @Sendable (Envelope) -> Void] = [:]
        var usedAt: Timestamp
        /// Whoever it belongs to, with the rights of the last request.
        var caller: ToolCaller
    }

    private struct Call: Sendable {
        var loop: EventLoop
        var cancel: @Sendable () -> Void
    }

    let id: String
    let place: ToolPlace
    let revision: ProtocolRevision
    let capabilities: ClientCapabilities
    let origin: Origin
    /// Of this server's part in the session: where a client comes next, streams and questions have the same numbers and are others.
    let tag = Hex.encode(Random.bytes(4))
    private let budget = ReplayBudget()
    private let state: Mutex<State>

    init(
        id: String, place: ToolPlace, caller: ToolCaller, revision: ProtocolRevision,
        capabilities: ClientCapabilities, origin: Origin, now: Timestamp
    ) {
        self.origin = origin
        self.id = id
        self.place = place
        self.revision = revision
        self.capabilities = capabilities
        self.state = Mutex(State(usedAt: now, caller: caller))
    }

    var usedAt: Timestamp { self.state.withLock { $0.usedAt } }
    var caller: ToolCaller { self.state.withLock { $0.caller } }
    func used(now: Timestamp) { self.state.withLock { $0.usedAt = now } }
    func used(by caller: ToolCaller, now: Timestamp) {
        self.state.withLock {
            $0.usedAt = now
            $0.caller = caller
        }
    }

    /// What the client said it wants to hear; by default what every server of these revisions sends.
    var logLevel: LogLevel? { self.state.withLock { $0.logLevel } ?? .info }
    func setLogLevel(_ level: LogLevel) { self.state.withLock { $0.logLevel = level } }

    /// - Returns: false when it follows as many as it may.
    func subscribe(_ uri: String) -> Bool {
        self.state.withLock { state in
            guard state.resources.count < Limits.ToolEndpoint.resourceSubscriptions else { return false }
            state.resources.insert(uri)
            return true
        }
    }

    /// What the client asked for since the session began; nil where that is nothing.
    var changes: (level: LogLevel?, resources: [String])? {
        self.state.withLock { state in
            guard state.logLevel != nil || !state.resources.isEmpty else { return nil }
            return (state.logLevel, state.resources.sorted())
        }
    }

    func unsubscribe(_ uri: String) { self.state.withLock { _ = $0.resources.remove(uri) } }

    // MARK: streams

    /// For the answer to one request. Old ones that are read go first.
    func makeStream() -> KeptStream {
        self.state.withLock { state in
            let stream = KeptStream(number: state.nextStream, of: self.tag, budget: self.budget)
            state.nextStream += 1
            state.streams[stream.number] = stream
            while state.streams.count > Limits.ToolEndpoint.replayStreams,
                let old = state.streams.values.filter({ $0.isDone && $0.number != 0 }).min(by: { $0.number < $1.number }
                )
            {
                old.forget()
                state.streams[old.number] = nil
            }
            return stream
        }
    }

    /// What the client opens to be told of changes.
    var common: KeptStream {
        self.state.withLock { state in
            if let stream = state.streams[0] { return stream }
            let stream = KeptStream(number: 0, of: self.tag, budget: self.budget)
            state.streams[0] = stream
            return stream
        }
    }

    func stream(_ number: Int) -> KeptStream? { self.state.withLock { $0.streams[number] } }

    /// Tells the client what changed, on the stream that it opened for that.
    func changed(_ update: ToolUpdate) {
        let stream = self.common
        guard stream.isAttached else { return }
        if let change = update.changes[self.place.namespace] {
            let caller = self.caller
            let isChanged = { (list: ToolList) in change.concerns(caller, list, on: self.place.server) }
            if isChanged(.tools) { stream.write(MessageWriter.notification("notifications/tools/list_changed")) }
            if isChanged(.prompts) { stream.write(MessageWriter.notification("notifications/prompts/list_changed")) }
            if isChanged(.resources) || isChanged(.templates) {
                stream.write(MessageWriter.notification("notifications/resources/list_changed"))
            }
        }
        let followed = self.state.withLock { $0.resources }
        for uri in followed.intersection(update.resources[self.place.namespace] ?? []).sorted() {
            var params = Array(#"{"uri":"#.utf8)
            JSONText.append(uri, to: &params)
            params.append(UInt8(ascii: "}"))
            stream.write(MessageWriter.notification("notifications/resources/updated", params))
        }
    }

    /// Its principal sees other lists from now on.
    func rightsChanged(_ caller: ToolCaller) {
        self.state.withLock { $0.caller = caller }
        let stream = self.common
        guard stream.isAttached else { return }
        for list in ["tools", "prompts", "resources"] {
            stream.write(MessageWriter.notification("notifications/\(list)/list_changed"))
        }
    }

    // MARK: calls in progress

    /// - Parameter cancel: called on the loop, at most once.
    /// - Returns: false when as many are in progress as may be.
    func begin(_ id: MessageID, _ loop: EventLoop, _ cancel: @escaping () -> Void) -> Bool {
        // SAFETY: called on that loop only.
        nonisolated(unsafe) let cancel = cancel
        return self.state.withLock { state in
            guard state.calls.count < Limits.ToolEndpoint.sessionCalls else { return false }
            state.calls[id] = Call(loop: loop) { cancel() }
            return true
        }
    }

    func end(_ id: MessageID) { self.state.withLock { _ = $0.calls.removeValue(forKey: id) } }

    /// - Returns: false when no such call runs here.
    func cancel(_ id: MessageID) -> Bool {
        guard let call = self.state.withLock({ $0.calls.removeValue(forKey: id) }) else { return false }
        call.loop.post { call.cancel() }
        return true
    }

    // MARK: questions to the client

    /// - Parameter onAnswer: called from any thread, at most once.
    func ask(_ onAnswer: @escaping @Sendable (Envelope) -> Void) -> MessageID {
        self.state.withLock { state in
            let id = MessageID(text: "apus-\(self.tag)-\(state.nextQuestion)")
            state.nextQuestion += 1
            state.questions[id] = onAnswer
            return id
        }
    }

    func withdraw(_ id: MessageID) { self.state.withLock { _ = $0.questions.removeValue(forKey: id) } }

    /// - Returns: false when nobody here waits for it.
    func answered(_ envelope: Envelope) -> Bool {
        guard let id = envelope.id, let onAnswer = self.state.withLock({ $0.questions.removeValue(forKey: id) })
        else { return false }
        onAnswer(envelope)
        return true
    }

    /// The client has ended it, or it is forgotten.
    func close() {
        let (calls, streams) = self.state.withLock { state -> ([Call], [KeptStream]) in
            defer {
                state.calls = [:]
                state.streams = [:]
                state.questions = [:]
            }
            return (Array(state.calls.values), Array(state.streams.values))
        }
        for call in calls { call.loop.post { call.cancel() } }
        for stream in streams { stream.end() }
    }
}
