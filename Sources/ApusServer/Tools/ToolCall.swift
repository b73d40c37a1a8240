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
        case resource(ResourceName, uri: String, type: String?, Tool.Remote?)
        case completion(ResourceName, Tool.Remote?)

        var function: ResourceName {
            switch self {
            case .tool(let tool): tool.function
            case .prompt(let prompt): prompt.function
            case .resource(let function, _, _, _), .completion(let function, _): function
            }
        }

        /// Of what another server has.
        var remote: Tool.Remote? {
            switch self {
            case .tool(let tool): tool.remote
            case .prompt(let prompt): prompt.remote
            case .resource(_, _, _, let remote), .completion(_, let remote): remote
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
    /// What let it begin, as the key under which it begins once; nil where nobody was asked.
    var acceptance: IdempotencyKey?
    /// What its task waits for before it begins, as ``InvocationHold`` says it.
    var hold: [UInt8]?
    var isTask = false
    /// Its result is too large to be sent, and was kept elsewhere.
    var isLinked = false
    /// Of a call that lasts: its invocation.
    var keptID: InvocationID?
    var answers = Answers()
    /// Nil when nobody is asked before it begins.
    let rule: ApprovalRule?
    var gate = ApprovalGate()
    private var pace = ProgressPace()
    private var progressTimer: LoopTimer?
    private var abandonRunning: (() -> Void)?
    /// Since when an attempt of this call runs that is its caller's to pay for.
    private var runningSince: Timestamp?
    /// Where the time of the last attempt went.
    private var timing: AttemptTiming?
    /// Parts of a streamed result, with the type that its head says.
    var parts: [UInt8] = []
    private(set) var partType: String?
    var flow: PartFlow?
    /// A large result on its way to the disk.
    var feed: ResultFeed?
    private(set) var isOver = false
    var openQuestions: OpenQuestions?
    /// Made when the function first calls a tool.
    private var innerCalls: InnerCalls?
    /// Of a call that lasts.
    var watch: InvocationWatch?

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
        self.rule =
            if case .tool(let tool) = target {
                ApprovalRule(tool, on: request.place.server.flatMap { endpoint.catalog(request.place.namespace).server(named: $0) })
            } else { nil }
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
                opening: RequestState(text).sealed, self.endpoint.registry.sealer, boundTo: self.bound, now: self.runtime.now)
        }
        if self.request.era == .modern { try self.answers.add(self.request.envelope) }
        self.reply.wait()
        self.reply.onLeft = { [weak self] in
            if self?.isGivenUpByLeaving == true { self?.cancelKept() }
            self?.cancel()
        }
        if let session = self.request.session {
            let isBegun = session.begin(self.request.id, self.runtime.loop) { [weak self] in self?.cancelledByClient() }
            guard isBegun else {
                self.isOver = true
                throw RPCError(
                    .unavailable,
                    "\(Limits.ToolEndpoint.sessionCalls) requests of this session are in progress: wait for one of them")
            }
        }
        self.seekApproval()
    }

    /// Who asks what: an answer to one question is none to another.
    private var bound: [String] {
        var digest = ""
        if case .tool(let tool) = self.target {
            digest = tool.digest
            // What was agreed to is this revision, of this function and not of a later one of its name.
            if self.rule != nil { digest += " \(tool.revision) \(self.runtime.directory[tool.function]?.origin ?? 0)" }
        }
        return [
            self.request.caller.name, self.request.place.text, self.request.method.rawValue, self.event.subject, digest,
            Hex.encode(SHA256.hash(Array(self.data))), self.key?.name ?? "",
        ]
    }

    /// The function as it is now; nil when it cannot run, which the caller is told.
    func runnable() -> FunctionDirectory.Entry? {
        let function = self.target.function
        guard let entry = self.runtime.directory[function] else {
            self.failed(Failure(.functionNotFound, "the function '\(function)' is not deployed any more"))
            return nil
        }
        guard !entry.isPaused else {
            self.failed(Failure(.functionPaused, "the function '\(function)' is paused for now"))
            return nil
        }
        return entry
    }

    /// The one place where a call begins, and begins again with answers. ``gate`` is open.
    func run() {
        guard let entry = self.runnable() else { return }
        // Where it runs: in the function itself, or behind the one that speaks with another server.
        var block: [UInt8]?
        if let remote = self.target.remote {
            guard self.key == nil else {
                return self.failed(
                    Failure(
                        .invalidArgument,
                        "the tool is another server's: no call of it can be promised to run once, leave the key out"))
            }
            if let refusal = self.refusal(by: remote) { return self.failed(refusal) }
            let event = self.block(for: remote, self.data)
            guard event.count <= Limits.eventBytes else {
                return self.failed(
                    Failure(.invalidArgument, "the arguments and the answers are more than another server can be sent at once"))
            }
            block = event
        }
        let deadline = InvocationPreferences().deadline(now: self.runtime.now, timeout: entry.timeout)
        let course = block == nil ? self.course(entry) : .now
        switch course {
        case .now:
            if self.answerFromCache() { return }
            var invocation = ShardInvocation(
                shards: self.endpoint.server.shards, runtime: self.runtime, entry: entry,
                id: self.runtime.invocationIDs.next(), deadline: deadline,
                // Another server gets them in its own way.
                answers: block != nil || self.answers.isEmpty ? [] : self.answers.json)
            invocation.owner = ShardInvocation.owner(of: self.request.caller.name, in: self.request.place.namespace)
            self.runningSince = self.runtime.now
            self.abandonRunning = invocation.begin(block ?? self.event.block(self.data), sink: self)
        case .kept(let key): self.runKept(key, until: deadline)
        case .task(let key):
            self.isTask = true
            let first = self.runtime.now + .seconds(Limits.ToolEndpoint.firstQuestionSeconds)
            self.runKept(key, until: first)
        }
    }

    // MARK: the end

    /// Nothing of it runs any more, and nobody is told.
    func cancel() {
        guard !self.isOver else { return }
        self.over()
        if let remote = self.target.remote, self.abandonRunning != nil { self.note(remote, .left) }
        self.charge(hasFailed: true)
        self.abandonRunning?()
        self.abandonRunning = nil
    }

    private func cancelledByClient() {
        self.cancelKept()
        self.cancel()
        // A client that cancelled waits for no answer, but its connection does.
        self.reply.fail(RPCError(.invalidRequest, "the request was cancelled"))
    }

    /// What ran is counted to whoever called, once.
    private func charge(hasFailed: Bool) {
        guard let begun = self.runningSince else { return }
        self.runningSince = nil
        let (caller, running) = (self.request.caller.name, self.timing?.running ?? self.runtime.now - begun)
        self.runtime.callers.count(self.target.function, by: caller, running: running, hasFailed: hasFailed)
        self.endpoint.registry.charge(
            caller, in: self.request.place.namespace, for: self.target.function, running: running, now: self.runtime.now)
    }

    func over() {
        self.isOver = true
        self.flow?.end()
        self.feed?.giveUp()
        self.feed = nil
        self.progressTimer?.close()
        self.progressTimer = nil
        self.openQuestions?.close()
        self.openQuestions = nil
        self.innerCalls?.close()
        self.watch?.end()
        if self.acceptance != nil { self.endpoint.registry.waiting.remove(self.event.identity) }
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
            } else if block[name].elementsEqual("listchanged".utf8), let remote = self.target.remote {
                self.endpoint.server.upstreams.changed(remote.upstream)
            }
            return type == nil || self.target.remote != nil
        }
        self.succeeded(type, layout.isNull ? nil : Array(block[layout.data]))
    }

    func onStart(_ block: UnsafeRawBufferPointer) {
        self.partType = (try? EventBlock.decode(block.bytes))?["datacontenttype"]
    }

    func onFlow(_ flow: PartFlow) { if self.isOver { flow.end() } else { self.flow = flow } }

    func onPart(_ bytes: UnsafeRawBufferPointer) {
        guard !self.isOver else { return }
        if let feed { return feed.take(Array(bytes)) }
        self.parts.append(contentsOf: bytes)
        self.flow?.took(bytes.count)
        self.spill()
    }

    func onEnd() {
        guard !self.isOver else { return }
        if let feed { return self.finish(feed) }
        self.succeeded(self.partType, self.parts)
    }

    /// The function has done its work; what it returned is told next.
    func returned() {
        self.charge(hasFailed: false)
        self.tellLastProgress()
        self.over()
    }

    private func succeeded(_ type: String?, _ data: [UInt8]?) {
        guard !self.isOver else { return }
        if case .tool(let tool) = self.target, let data, data.count > tool.resultLimit {
            return self.failed(Self.tooLarge(data.count, tool))
        }
        self.charge(hasFailed: false)
        let said = self.target.remote == nil ? nil : UpstreamMessage.answer(data ?? [])
        if let remote = self.target.remote, case .question(let question)? = said {
            return self.pass(question, of: remote)
        }
        self.tellLastProgress()
        self.over()
        if let remote = self.target.remote { return self.answerUpstream(remote, said) }
        self.answer(type, data)
    }

    func onFailure(_ failure: Failure) { self.failed(failure) }

    func failed(_ failure: Failure) {
        guard !self.isOver else { return }
        self.charge(hasFailed: true)
        self.over()
        self.answer(failure)
    }

    // MARK: on the way

    func onTiming(_ timing: AttemptTiming) { self.timing = timing }

    private var devices: (count: Int, kind: String?) { self.runtime.directory[self.target.function]?.devices ?? (0, nil) }

    /// A model takes its time to come to a device: who asked for progress hears how long. Before anything that the function may say, and below it.
    func onWaiting(_ span: TimeSpan) {
        guard !self.isOver, self.devices.count > 0, self.request.envelope.parameters.progressToken != nil else { return }
        self.tell(done: "-1", total: nil, "\(self.target.function.name) is being started, about \(span.retrySeconds) s")
    }

    /// What the call cost, of a function that needs a device: `,"dev.apus/cost": …`.
    var costMeta: [UInt8] {
        let devices = self.devices
        guard devices.count > 0, let timing = self.timing else { return [] }
        let prices = self.endpoint.server.configuration.pool.prices
        let milliseconds = timing.running.milliseconds * Int64(devices.count)
        var text = #","dev.apus/timing":{"queuedMs":\#(timing.queued.milliseconds),"start":"\#(timing.startTier.rawValue)","#
            + #""startingMs":\#(timing.starting.milliseconds),"runningMs":\#(timing.running.milliseconds)}"#
            + #","dev.apus/cost":{"gpuMs":\#(milliseconds)"#
        // Which device it had is known where it asks for a kind, or where there is one kind.
        let price = devices.kind.map { prices.devices[$0] } ?? (prices.devices.count == 1 ? prices.devices.values.first : nil)
        if let price {
            let amount = JSONValue.double(price * Double(milliseconds) / 3_600_000)
            text += #","amount":\#(String(decoding: amount.encoded(), as: UTF8.self)),"currency":"\#(prices.currency)""#
        }
        return Array((text + "}").utf8)
    }

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

    func tellLastProgress() { if let report = self.pace.end() { self.tell(report) } }

    private func tell(_ report: ProgressPace.Report) {
        self.tell(done: "\(report.done)", total: report.total, report.message)
    }

    private func tell(done: String, total: UInt64?, _ message: String) {
        guard let token = self.request.envelope.parameters.progressToken,
            token.kind == .string || token.kind == .number
        else { return }
        var params = Array(#"{"progressToken":"#.utf8) + self.request.envelope.bytes(token)
        params.append(contentsOf: #","progress":\#(done)"#.utf8)
        if let total { params.append(contentsOf: #","total":\#(total)"#.utf8) }
        if !message.isEmpty {
            params.append(contentsOf: #","message":"#.utf8)
            JSONText.append(message, to: &params)
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

    func onCall(_ call: FunctionCall) {
        guard !self.isOver else { return call.answer(.failure(InnerCalls.left)) }
        let calls = self.innerCalls ?? InnerCalls(
            self.endpoint, self.request, self.reply.trace, isInner: self.reply.isInner)
        self.innerCalls = calls
        calls.begin(call)
    }

    func onQuestions(_ json: UnsafeRawBufferPointer) {
        guard !self.isOver else { return }
        self.charge(hasFailed: false)
        // The attempt has ended, and with it what it called.
        self.innerCalls?.abandon()
        let questions: Questions
        do throws(ApusError) { questions = try Questions(parsing: Array(json)) } catch {
            return self.failed(Failure(error.code, error.message))
        }
        guard !questions.all.contains(where: { $0.name == ApprovalQuestion.name }) else {
            return self.failed(
                Failure(.protocolError, "a function's question may not be called \(ApprovalQuestion.name)"))
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
        self.ask(questions)
    }

    /// Of an upstream what it wants back stands beside them.
    func ask(_ questions: Questions, round: UpstreamRound? = nil) {
        self.answers.ask(questions, round: round)
        if let session = self.request.session { return self.ask(questions, in: session) }
        self.tellLastProgress()
        self.over()
        self.demand(questions)
    }

    /// Sends the client's next request back with what it is asked, sealed: nothing of it is kept here.
    func demand(_ questions: Questions) {
        let until = self.runtime.now + .seconds(Limits.Tools.questionSeconds)
        let state = self.answers.seal(self.endpoint.registry.sealer, boundTo: self.bound, until: until)
        var members = Array(#""inputRequests":"#.utf8) + questions.inputRequests
        var version: Int?
        if case .tool(let tool) = self.target { version = tool.version }
        members.append(contentsOf: #","requestState":"\#(RequestState(version: version, sealed: state).text)""#.utf8)
        self.reply.finish(members, type: .inputRequired)
    }
}
