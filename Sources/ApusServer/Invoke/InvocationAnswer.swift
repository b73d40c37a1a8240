internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON

/// Answers an HTTP exchange with what an invocation gives: the result whole, or its parts as they come.
/// Confined to the loop of the exchange.
final class InvocationAnswer: ResponseSink {
    private let exchange: HTTPExchange
    private let call: InvocationCall
    private var form = StreamForm.bytes
    /// Of the head of the answer that follows.
    private var timing: AttemptTiming?
    /// What runs for this caller, to be given up when it leaves.
    private var abandonRunning: (() -> Void)?
    /// What its attempts took, for whoever called.
    private var span = TimeSpan.zero
    private let callers: CallerCounts
    private let begun: Timestamp
    private var isCounted = false

    init(_ exchange: HTTPExchange, _ call: InvocationCall, _ callers: CallerCounts, now: Timestamp) {
        self.exchange = exchange
        self.call = call
        self.callers = callers
        self.begun = now
    }

    /// Calls `abandon` when the client leaves before the answer is complete.
    func follow(now: @escaping () -> Timestamp, _ abandon: @escaping () -> Void) {
        self.abandonRunning = abandon
        self.exchange.onGone = {
            guard let abandon = self.abandonRunning else { return }
            self.abandonRunning = nil
            abandon()
            self.left(now: now())
        }
    }

    /// The client left: what ran for it until then is its own all the same.
    private func left(now: Timestamp) {
        self.span = now - self.begun
        self.count(hasFailed: true)
    }

    private func count(hasFailed: Bool) {
        guard !self.isCounted else { return }
        self.isCounted = true
        let principal = (self.exchange.admission as? Admission)?.principal ?? .anonymous
        self.callers.count(self.call.function, by: principal.name, running: self.span, hasFailed: hasFailed)
    }

    /// Nothing more will come.
    private func over(hasFailed: Bool = false) {
        self.abandonRunning = nil
        self.exchange.onGone = nil
        self.count(hasFailed: hasFailed)
    }

    private var headers: [(String, String)] {
        [("Apus-Invocation", self.call.identity)] + (self.call.isTrigger ? ResponseHead.protection : [])
    }

    /// Who has no token is not told how a function is run.
    func onTiming(_ timing: AttemptTiming) {
        self.span = timing.running
        if !self.exchange.isAnonymous { self.timing = timing }
    }

    /// Before the head of an answer.
    private func tellTiming() {
        if let timing = self.timing, !self.exchange.isAnswered { self.exchange.add(timing) }
        self.timing = nil
    }

    // MARK: waiting

    /// A caller that takes nothing but events is answered at once: a comment says how long the start may take, so that neither it
    /// nor a proxy takes the wait for an end.
    func onWaiting(_ span: TimeSpan) {
        guard !self.call.isTrigger, !self.exchange.isAnswered, self.wantsEventsOnly else { return }
        self.form = .events
        self.exchange.stream(status: 200, headers: self.headers + self.form.headers(""))
        _ = self.exchange.write(Array(": starting \(self.call.function.name), about \(span.retrySeconds) s\n\n".utf8))
    }

    private var wantsEventsOnly: Bool {
        let accept = (self.exchange.header("Accept") ?? "").lowercased()
        return accept.contains(ServerSentEvent.mediaType) && !accept.contains(",")
    }

    // MARK: whole results

    func onResult(_ block: UnsafeRawBufferPointer) {
        self.over()
        if self.exchange.isAnswered { return self.answerAsEvent(block) }
        if self.answerPlain(block) { return }
        do throws(ApusError) {
            try self.answer(try Self.event(block))
        } catch {
            self.fail(Failure(error.code, error.message))
        }
    }

    /// Answers with data of a common type and nothing else to a caller that takes it as it is: without building the event.
    /// - Returns: false for everything else.
    private func answerPlain(_ block: UnsafeRawBufferPointer) -> Bool {
        guard !self.call.isTrigger, let result = PlainResult(block),
            result.isTaken(by: self.exchange.header("Accept"))
        else { return false }
        var headers = self.headers
        headers.reserveCapacity(headers.count + AttemptTiming.headerCount + 1)
        self.timing?.addHeaders(to: &headers)
        guard let data = result.data else {
            self.exchange.respond(status: 204, headers: headers)
            return true
        }
        headers.append(("Content-Type", result.type))
        self.exchange.respond(status: 200, headers: headers, copying: data)
        return true
    }

    /// The stream was begun while the function started: its whole result is the only event.
    private func answerAsEvent(_ block: UnsafeRawBufferPointer) {
        do throws(ApusError) {
            let result = try Self.event(block)
            if let data = result.data { data.withUnsafeBytes { self.onPart($0) } }
            _ = self.exchange.write(self.form.end())
            self.exchange.end()
        } catch {
            self.fail(Failure(error.code, error.message))
        }
    }

    private static func event(_ block: UnsafeRawBufferPointer) throws(ApusError) -> Event {
        do { return try EventBlock.decode(block.bytes) } catch {
            throw ApusError(.protocolError, "the worker's result could not be read")
        }
    }

    private func answer(_ result: Event) throws(ApusError) {
        let head = try self.head(of: result)
        self.tellTiming()
        let accept = AcceptHeader(self.exchange.header("Accept"))
        let message = try CloudEventAnswer.of(result, self.call, accept: accept)
        let status = head.status ?? (message.body == nil ? 204 : 200)
        var headers = self.headers + head.headers.map { ($0.name, $0.value) }
        guard let body = message.body, ![204, 205, 304].contains(status) else {
            return self.exchange.respond(status: status, headers: headers + message.headers)
        }
        headers.append(("Content-Type", message.contentType))
        self.exchange.respond(status: status, headers: headers + message.headers, body: body)
    }

    private func head(of result: Event) throws(ApusError) -> ResponseHead {
        self.call.isTrigger ? try ResponseHead(of: result) : ResponseHead()
    }

    // MARK: streams

    func onStart(_ block: UnsafeRawBufferPointer) {
        do throws(ApusError) {
            let result = try Self.event(block)
            let head = try self.head(of: result)
            let type = HeaderValue.contentType(result["datacontenttype"])
            let accept = self.exchange.header("Accept") ?? ""
            self.tellTiming()
            self.form = StreamForm(type, wantsEvents: accept.lowercased().contains(ServerSentEvent.mediaType))
            // Begun while it started.
            if self.exchange.isAnswered { return }
            let headers = self.headers + head.headers.map { ($0.name, $0.value) } + self.form.headers(type)
            self.exchange.stream(status: head.status ?? 200, headers: headers)
        } catch {
            self.over()
            self.fail(Failure(error.code, error.message))
        }
    }

    func onPart(_ bytes: UnsafeRawBufferPointer) {
        // A client that does not read is cut off by the exchange's own bound.
        let written = self.form.part(bytes)
        if !written.isEmpty { _ = self.exchange.write(written) }
    }

    func onEnd() {
        self.over()
        let written = self.form.end()
        if !written.isEmpty { _ = self.exchange.write(written) }
        self.exchange.end()
    }

    // MARK: failures

    func onFailure(_ failure: Failure) {
        self.over(hasFailed: true)
        self.fail(failure)
    }

    private func fail(_ failure: Failure) {
        self.tellTiming()
        let problem = self.problem(failure)
        guard self.exchange.isAnswered else {
            return self.exchange.respond(problem, headers: self.headers + Self.retryAfter(failure))
        }
        // The head is out. A stream of events can say what happened; of the other forms only breaking off tells the client.
        guard self.form.saysErrors else { return self.exchange.abort() }
        _ = self.exchange.write(self.form.end(problem))
        self.exchange.end()
    }

    /// Whole seconds, at least one.
    private static func retryAfter(_ failure: Failure) -> [(String, String)] {
        guard let span = failure.retryAfter else { return [] }
        return [("Retry-After", String(span.retrySeconds))]
    }

    /// Who calls without a token hears what a function says to its callers, not how it is made.
    private func problem(_ failure: Failure) -> Problem {
        if self.call.way == .trigger(isAnonymous: true), failure.code.httpStatus == 502 {
            return Problem(failure.code, "the function could not answer; its logs say why")
        }
        let lines = failure.detail.isEmpty ? [] : failure.detail.split(separator: "\n").map(String.init)
        return Problem(failure.code, failure.message, errors: lines)
    }
}
