internal import ApusCore
internal import ApusCrypto
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusSchema
internal import ApusTools

/// A request that a function answers: the call of a tool, a prompt, the reading of a resource. From its arguments to its result, over
/// as many rounds of questions as it takes. Confined to the loop of its reply.
final class ToolCall: ResponseSink {
    enum Target {
        case tool(Tool)
        case prompt(Prompt)
        /// With the media type where the manifest names one.
        case resource(ResourceName, uri: String, type: String?)
        case completion(ResourceName)

        var function: ResourceName {
            switch self {
            case .tool(let tool): tool.function
            case .prompt(let prompt): prompt.function
            case .resource(let function, _, _), .completion(let function): function
            }
        }
    }

    let endpoint: ToolEndpoint
    let request: ToolRequest
    let reply: ToolReply
    let target: Target
    let event: ToolEvent
    let data: ArraySlice<UInt8>
    /// Set before ``start()`` for a call that is run once, however often it is asked for.
    var key: IdempotencyKey?
    /// Of a call that lasts: its invocation.
    var keptID: InvocationID?
    var answers = Answers()
    private var pace = ProgressPace()
    private var progressTimer: LoopTimer?
    private var abandonRunning: (() -> Void)?
    /// Parts of a streamed result, with the type that its head says.
    private var parts: [UInt8] = []
    private var partType: String?
    private(set) var isOver = false
    var openQuestions: OpenQuestions?
    /// Of a call that lasts.
    var watch: CallWatch?

    init(
        _ endpoint: ToolEndpoint, _ request: ToolRequest, _ reply: ToolReply, _ target: Target, _ event: ToolEvent,
        data: ArraySlice<UInt8>
    ) {
        self.endpoint = endpoint
        self.request = request
        self.reply = reply
        self.target = target
        self.event = event
        self.data = data
    }

    var runtime: ShardRuntime { self.endpoint.runtime }
    var invocation: String { self.keptID?.description ?? self.event.identity }

    // MARK: running

    /// Takes the answers that came with the request, then runs the function.
    func start() throws(RPCError) {
        guard self.data.count <= Limits.ToolEndpoint.argumentsBytes else {
            throw .invalidParams(
                "the parameters have \(self.data.count) bytes; at most \(Limits.ToolEndpoint.argumentsBytes) are taken")
        }
        if let state = self.request.envelope.parameters.requestState, state.kind != .null {
            guard self.request.era == .modern, let text = self.request.envelope.text(state) else {
                throw .invalidParams("`requestState` is none that was given for this request")
            }
            self.answers = try Answers(
                opening: text, self.endpoint.registry.sealer, boundTo: self.bound, now: self.runtime.now)
        }
        if self.request.era == .modern { try self.answers.add(self.request.envelope) }
        self.reply.wait()
        self.reply.onLeft = { [weak self] in self?.cancel() }
        if let session = self.request.session {
            session.begin(self.request.id, self.runtime.loop) { [weak self] in self?.cancelledByClient() }
        }
        self.run()
    }

    /// Who asks what: an answer to one question is none to another.
    private var bound: [String] {
        var digest = ""
        if case .tool(let tool) = self.target { digest = tool.digest }
        return [
            self.request.caller.name, self.request.place.text, self.request.method.rawValue, self.event.subject, digest,
            Hex.encode(SHA256.hash(Array(self.data))),
        ]
    }

    func run() {
        let function = self.target.function
        guard let entry = self.runtime.directory[function] else {
            return self.failed(Failure(.functionNotFound, "the function '\(function)' is not deployed any more"))
        }
        if entry.isPaused {
            return self.failed(Failure(.functionPaused, "the function '\(function)' is paused for now"))
        }
        let deadline = InvocationPreferences().deadline(now: self.runtime.now, timeout: entry.timeout)
        switch self.course(entry) {
        case .now:
            self.abandonRunning = ShardInvocation(
                shards: self.endpoint.server.shards, runtime: self.runtime, entry: entry,
                id: self.runtime.invocationIDs.next(), deadline: deadline,
                answers: self.answers.isEmpty ? [] : self.answers.json
            ).begin(self.event.block(self.data), sink: self)
        case .kept(let key): self.runKept(key, until: deadline)
        }
    }

    // MARK: the end

    /// Nothing of it runs any more, and nobody is told.
    func cancel() {
        guard !self.isOver else { return }
        self.over()
        self.abandonRunning?()
        self.abandonRunning = nil
    }

    private func cancelledByClient() {
        self.cancelKept()
        self.cancel()
        // A client that cancelled waits for no answer, but its connection does.
        self.reply.fail(RPCError(.invalidRequest, "the request was cancelled"))
    }

    func over() {
        self.isOver = true
        self.progressTimer?.close()
        self.progressTimer = nil
        self.openQuestions?.close()
        self.openQuestions = nil
        self.watch?.end()
        self.request.session?.end(self.request.id)
    }

    // MARK: what the function says

    func onResult(_ block: UnsafeRawBufferPointer) {
        guard let layout = try? EventLayout(parsing: block.bytes) else {
            return self.failed(Failure(.protocolError, "the function's result could not be read"))
        }
        var type: String?
        try? layout.forEachAttribute(in: block.bytes) { name, _, value in
            if block[name].elementsEqual("datacontenttype".utf8) {
                type = String(decoding: block[value], as: UTF8.self)
            }
            return type == nil
        }
        self.succeeded(type, layout.isNull ? nil : Array(block[layout.data]))
    }

    func onStart(_ block: UnsafeRawBufferPointer) {
        self.partType = (try? EventBlock.decode(block.bytes))?["datacontenttype"]
    }

    func onPart(_ bytes: UnsafeRawBufferPointer) { self.parts.append(contentsOf: bytes) }

    func onEnd() { self.succeeded(self.partType, self.parts) }

    private func succeeded(_ type: String?, _ data: [UInt8]?) {
        guard !self.isOver else { return }
        self.tellLastProgress()
        self.over()
        self.answer(type, data)
    }

    func onFailure(_ failure: Failure) { self.failed(failure) }

    func failed(_ failure: Failure) {
        guard !self.isOver else { return }
        self.over()
        self.answer(failure)
    }

    // MARK: on the way

    func onProgress(_ progress: ProgressPayload) {
        guard !self.isOver, self.request.envelope.parameters.progressToken != nil else { return }
        let report = ProgressPace.Report(
            done: progress.done, total: progress.total == 0 ? nil : progress.total, message: progress.message)
        self.perform(self.pace.report(report, now: self.runtime.now))
    }

    private func perform(_ action: ProgressPace.Action) {
        switch action {
        case .nothing: break
        case .send(let report): self.tell(report)
        case .wait(let time):
            let timer =
                self.progressTimer
                ?? LoopTimer(self.runtime.loop) { [weak self] in
                    guard let self, !self.isOver else { return }
                    self.perform(self.pace.due(now: self.runtime.now))
                }
            self.progressTimer = timer
            timer.start(milliseconds: UInt64(max(1, (time - self.runtime.now).milliseconds)))
        }
    }

    private func tellLastProgress() { if let report = self.pace.end() { self.tell(report) } }

    private func tell(_ report: ProgressPace.Report) {
        guard let token = self.request.envelope.parameters.progressToken,
            token.kind == .string || token.kind == .number
        else { return }
        var params = Array(#"{"progressToken":"#.utf8) + self.request.envelope.bytes(token)
        params.append(contentsOf: #","progress":\#(report.done)"#.utf8)
        if let total = report.total { params.append(contentsOf: #","total":\#(total)"#.utf8) }
        if !report.message.isEmpty {
            params.append(contentsOf: #","message":"#.utf8)
            JSONText.append(report.message, to: &params)
        }
        params.append(UInt8(ascii: "}"))
        self.reply.notify(MessageWriter.notification("notifications/progress", JSONCleaner.clean(params)))
    }

    func onLog(_ level: LogPayload.Level, _ text: String) {
        guard !self.isOver, let wanted = self.request.session?.logLevel ?? self.request.logLevel else { return }
        let name: LogLevel =
            switch level {
            case .debug: .debug
            case .warning: .warning
            case .error: .error
            default: .info
            }
        guard name >= wanted else { return }
        var params = Array(#"{"level":"\#(name.rawValue)","logger":"#.utf8)
        JSONText.append(self.target.function.name, to: &params)
        params.append(contentsOf: #","data":"#.utf8)
        JSONText.append(text, to: &params)
        params.append(UInt8(ascii: "}"))
        self.reply.notify(MessageWriter.notification("notifications/message", JSONCleaner.clean(params)))
    }

    func onQuestions(_ json: UnsafeRawBufferPointer) {
        guard !self.isOver else { return }
        let questions: Questions
        do throws(ApusError) { questions = try Questions(parsing: Array(json)) } catch {
            return self.failed(Failure(error.code, error.message))
        }
        let missing = questions.needed.subtracting(self.request.capabilities)
        guard missing.isEmpty else {
            self.over()
            return self.reply.fail(.missing(missing))
        }
        guard self.answers.rounds < Limits.ToolEndpoint.rounds else {
            return self.failed(
                Failure(.functionFailed, "the function asked more than \(Limits.ToolEndpoint.rounds) times"))
        }
        self.answers.ask(questions)
        if let session = self.request.session { return self.ask(questions, in: session) }
        self.tellLastProgress()
        self.over()
        let until = self.runtime.now + .seconds(Limits.Tools.questionSeconds)
        let state = self.answers.seal(self.endpoint.registry.sealer, boundTo: self.bound, until: until)
        var members = Array(#""inputRequests":"#.utf8) + questions.inputRequests
        members.append(contentsOf: #","requestState":"\#(state)""#.utf8)
        self.reply.finish(members, type: .inputRequired)
    }
}
