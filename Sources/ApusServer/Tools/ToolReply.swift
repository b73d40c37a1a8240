internal import ApusCore
internal import ApusHTTP
internal import ApusLoop
internal import ApusTelemetry
internal import ApusTools

/// The answer to one request of an agent: one message as JSON, or, once there is something to say before it or it takes long, a stream
/// of messages that ends with it. Confined to the loop of its exchange.
final class ToolReply {
    private enum State {
        /// Nothing is out. To `streaming`, `done`.
        case open
        /// The head of a stream is out. To `done`.
        case streaming
        case done
    }

    /// Nil where a function gets the answer, of a call that it made.
    let exchange: HTTPExchange?
    private let function: ((Result<[UInt8], RPCError>) -> Void)?
    let id: MessageID
    let writer: MessageWriter
    private let runtime: ShardRuntime
    private var state = State.open
    private var lastWrite: Timestamp
    private let begun: Timestamp
    private var status = OperationDurations.Status.ok
    private var error: RPCError.Code?
    private var request: ToolRequest?
    private var tracer: Tracer?
    /// Where in a trace it is.
    private(set) var trace = ToolTrace.none
    /// The tool that was asked for, once it is known that there is one.
    var tool: String?
    /// Of a session: what is written here can be read again by a client that comes back.
    private let kept: KeptStream?
    /// The client of this exchange, once it reads there.
    private var reader: ClientReader?
    /// Called once when the client leaves before the answer is complete. Of a session: when it did not come back in time.
    var onLeft: (() -> Void)?
    /// Set while the answer is one that is kept: what it came to is on the log before anybody is told.
    var audit: ToolAudit?
    /// Called once when nothing more will be said, however it ended.
    var onClose: (() -> Void)?

    init(
        _ exchange: HTTPExchange, _ id: MessageID, _ writer: MessageWriter, _ runtime: ShardRuntime,
        kept: KeptStream? = nil
    ) {
        self.exchange = exchange
        self.function = nil
        self.id = id
        self.writer = writer
        self.runtime = runtime
        self.kept = kept
        self.lastWrite = runtime.now
        self.begun = runtime.now
    }

    /// The answer to a function that calls a tool: the result as JSON, once, and nothing before it.
    init(
        _ id: MessageID, _ writer: MessageWriter, _ runtime: ShardRuntime,
        toFunction function: @escaping (Result<[UInt8], RPCError>) -> Void
    ) {
        self.exchange = nil
        self.function = function
        self.id = id
        self.writer = writer
        self.runtime = runtime
        self.kept = nil
        self.lastWrite = runtime.now
        self.begun = runtime.now
    }

    /// What is asked, for the metrics and for traces.
    func measure(_ request: ToolRequest, _ tracer: Tracer?) {
        self.request = request
        self.tracer = tracer
        self.trace = ToolTrace(request, self.exchange, tracer)
        guard case .record(let context, _, _) = self.trace.decision else { return }
        self.exchange?.add(header: "traceresponse", context.description)
    }

    private func measured() {
        guard let request else { return }
        self.request = nil
        let now = self.runtime.now
        let key = OperationDurations.Key(
            method: request.method, namespace: request.place.namespace, tool: self.tool ?? "", status: self.status)
        self.runtime.tools.operations.note(key, now - self.begun)
        let span = self.trace.span(
            of: request, tool: self.tool, self.status, error: self.error, start: self.begun, end: now)
        if let span { self.tracer?.record(span) }
    }

    /// Whether a function made the call.
    var isInner: Bool { self.function != nil }

    var isDone: Bool { if case .done = self.state { true } else { false } }

    /// From here on the answer takes its time: the client's leaving is looked for, and the stream is kept alive.
    func wait() {
        guard case .open = self.state, let exchange else { return }
        exchange.onGone = { [weak self] in self?.clientLeft() }
        self.runtime.tools.waiting[ObjectIdentifier(self)] = self
        self.runtime.tools.watch(self.runtime)
    }

    /// Says something before the answer.
    func notify(_ message: [UInt8]) {
        if case .done = self.state { return }
        guard self.exchange != nil else { return }
        self.beginStream()
        self.write(message)
    }

    func finish(
        _ members: some Collection<UInt8>, type: MessageWriter.ResultType = .complete, cache: CacheHint? = nil,
        meta: [UInt8] = []
    ) {
        let message: [UInt8]
        if self.isInner {
            guard type == .complete else { return self.fail(RPCError(.invalidRequest, "a function cannot be asked")) }
            message = InnerCallMessage.result(members, meta: meta)
        } else {
            message = self.writer.result(self.id, members, type: type, cache: cache, meta: meta)
        }
        guard type != .inputRequired else {
            self.status = .inputRequired
            return self.end(.success(message))
        }
        let isError = members.suffix(Self.errorMark.count).elementsEqual(Self.errorMark)
        if isError { self.status = .toolError }
        self.end(.success(message), isError ? .failed : .allowed, code: nil, bytes: members.count)
    }

    /// Answers with members that are put together in the message itself. No function asks for those.
    func finish(byteCount: Int, cache: CacheHint?, _ members: (inout [UInt8]) -> Void) {
        self.end(
            .success(self.writer.result(self.id, byteCount: byteCount, cache: cache, members)), .allowed, code: nil,
            bytes: byteCount)
    }

    /// How the members of a result end that says what went wrong.
    static let errorMark = Array(#""isError":true"#.utf8)

    /// Says in a result, which models read, why nothing was begun.
    func refuse(_ text: String, code: String, meta: [UInt8] = []) {
        let members = ToolCall.refusal(text)
        let message =
            self.isInner
            ? InnerCallMessage.result(members, meta: meta) : self.writer.result(self.id, members, meta: meta)
        self.status = .toolError
        self.runtime.tools.operations.refuse(code)
        self.end(.success(message), .refused, code: code, bytes: 0)
    }

    func fail(_ error: RPCError) {
        if case .done = self.state {} else { self.runtime.tools.operations.refuse("\(error.code)") }
        self.end(.failure(error), .refused, code: "\(error.code)", bytes: 0)
    }

    /// Says what was decided once that is kept.
    private func end(
        _ answer: Result<[UInt8], RPCError>, _ decision: AuditEntry.Decision, code: String?, bytes: Int
    ) {
        guard let audit = self.audit else { return self.end(answer) }
        self.audit = nil
        if case .done = self.state { return }
        let loop = self.runtime.loop
        // SAFETY: used on the loop of its exchange only.
        nonisolated(unsafe) let reply = self
        audit.note(decision, code: code, bytes: bytes, now: self.runtime.now) { result in
            loop.post {
                switch result {
                case .success: reply.end(answer)
                case .failure(let error):
                    reply.end(
                        .failure(
                            RPCError(
                                .internalError, "what was done cannot be kept, and so is not told: \(error.message)")))
                }
            }
        }
    }

    private func end(_ answer: Result<[UInt8], RPCError>) {
        if case .done = self.state { return }
        if case .failure(let error) = answer { (self.status, self.error) = (.error, error.code) }
        if let function {
            self.close()
            return function(answer)
        }
        switch answer {
        case .success(let message): self.end(message, status: 200)
        case .failure(let error):
            self.end(MessageWriter.error(self.id, error), status: error.status, retryAfter: error.retryAfter)
        }
    }

    private func end(_ message: [UInt8], status: UInt32, retryAfter: TimeSpan? = nil) {
        switch self.state {
        case .done: return
        case .open:
            self.close()
            self.kept?.forget()
            if let retryAfter { self.exchange?.add(header: "Retry-After", "\(retryAfter.retrySeconds)") }
            self.exchange?.respond(status: status, json: message)
        case .streaming:
            self.write(message)
            self.close()
            // What is kept is written in turn, and its end comes after it.
            if let kept { kept.end() } else { self.exchange?.end() }
        }
    }

    private func beginStream() {
        guard case .open = self.state, let exchange else { return }
        self.state = .streaming
        exchange.stream(status: 200, headers: ServerSentEvent.headers)
        guard let kept else { return }
        let reader = ClientReader(exchange)
        self.reader = reader
        _ = exchange.write(kept.prime(reader))
    }

    private func write(_ message: [UInt8]) {
        self.lastWrite = self.runtime.now
        if let kept {
            // Whoever is attached now: this exchange, or one that came back for it.
            return kept.write(message)
        }
        _ = self.exchange?.write(ServerSentEvent.encode(data: message))
    }

    /// Now and then.
    func keepAlive(now: Timestamp) {
        guard now >= self.lastWrite + .milliseconds(Limits.ToolEndpoint.keepAliveMilliseconds) else { return }
        if case .done = self.state { return }
        self.beginStream()
        self.lastWrite = now
        if let exchange, !exchange.isGone { _ = exchange.write(ServerSentEvent.keepAlive) }
    }

    private func close() {
        self.state = .done
        self.measured()
        self.exchange?.onGone = nil
        self.onLeft = nil
        self.onClose?()
        self.onClose = nil
        self.runtime.tools.waiting[ObjectIdentifier(self)] = nil
    }

    private func clientLeft() {
        guard let kept else { return self.giveUp() }
        // It may come back; what is said meanwhile is kept.
        kept.detach(self.reader, now: self.runtime.now)
        if case .open = self.state { self.state = .streaming }
    }

    /// The client of a session has not come back.
    func giveUpIfForsaken(now: Timestamp) {
        guard let kept, kept.isForsaken(now: now) else { return }
        self.giveUp()
    }

    /// Nobody waits for the answer any more.
    func giveUp() {
        if case .done = self.state { return }
        let onLeft = self.onLeft
        // Nobody waits for it; it is kept all the same.
        self.audit?.note(.failed, code: ErrorCode.cancelled.rawValue, bytes: 0, now: self.runtime.now) { _ in }
        self.audit = nil
        self.status = .cancelled
        self.close()
        self.kept?.end()
        onLeft?()
    }
}
