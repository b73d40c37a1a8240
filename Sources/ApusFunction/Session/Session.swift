internal import ApusCore
internal import Glibc
internal import Synchronization

/// The session of one worker: a thread reads frames, tasks run the handler, whoever has something to say writes.
///
/// The reading thread never runs a handler: a CANCEL reaches the task of one that computes without pause, too.
final class Session: Sendable {
    private struct State {
        var loaded: Function.Loaded?
        /// Calls that are under way, until their handler has returned, by their stream.
        var running: [UInt64: Running] = [:]
        /// Calls that wait until a handler that works on after its answer has returned.
        var waiting: [[Call]] = []
        /// Handlers that run, those for tables aside.
        var busy = 0
        /// The newest record of a table: the next one waits for it.
        var lastRecord: Task<Void, Never>?
        var isDraining = false
        var ended: CheckedContinuation<Int32, Never>?
    }

    private struct Running {
        var exchange: Exchange
        var task: Task<Void, Never>?

        func cancel() {
            self.exchange.cancel()
            self.task?.cancel()
        }
    }

    private let function: Function
    private let input: CInt
    private let ancillary: CInt
    private let outgoing: Outgoing
    private let state = Mutex(State())

    init(_ function: Function, input: CInt, output: CInt, ancillary: CInt) {
        self.function = function
        self.input = input
        self.ancillary = ancillary
        self.outgoing = Outgoing(descriptor: output)
    }

    /// Speaks until the end.
    /// - Returns: the exit code: 0, 1 for a function that could not be loaded, 70 for a server that broke the protocol.
    func run() async -> Int32 {
        // The server may close the pipe while something is still being said: that is an error of the write, not the end.
        signal(SIGPIPE, SIG_IGN)
        return await withCheckedContinuation { continuation in
            self.state.withLock { $0.ended = continuation }
            Descriptors.startThread { self.read() }
        }
    }

    private func end(_ code: Int32) {
        let (ended, running) = self.state.withLock { state in
            let ended = state.ended
            state.ended = nil
            return (ended, Array(state.running.values))
        }
        for item in running { item.cancel() }
        ended?.resume(returning: code)
    }

    // MARK: reading

    private func read() {
        var hello: [UInt8] = []
        HelloPayload(
            lowest: FrameHeader.version, highest: FrameHeader.version,
            features: [.descriptors, .batch, .sleep, .streams], runtime: "swift"
        ).append(to: &hello)
        self.outgoing.send(.hello, hello)
        var source = FrameSource(descriptor: self.input)
        var arrivals = Arrivals(ancillary: self.ancillary)
        var caller: Caller?
        do {
            while let (header, payload) = try source.next() {
                try self.receive(header, payload, &arrivals, &caller)
            }
            self.end(0)
        } catch {
            Descriptors.say(
                "apus: the server broke the worker protocol: \((error as? Violation)?.reason ?? "\(error)")")
            self.end(70)
        }
    }

    private func receive(
        _ header: FrameHeader, _ payload: [UInt8], _ arrivals: inout Arrivals, _ caller: inout Caller?
    ) throws {
        switch header.type {
        case .initialize:
            guard caller == nil else { throw Violation(reason: "a second INIT") }
            let configuration: Configuration
            do { configuration = try Configuration(parsing: payload) } catch {
                throw Violation(reason: "an INIT that cannot be read: \(error)")
            }
            let secrets = configuration.secrets.isEmpty ? [:] : try arrivals.secrets()
            caller = Caller(configuration: configuration, secrets: secrets, outgoing: self.outgoing)
            self.begin { await self.load(configuration) }
        case .drain: self.drain()
        case .ping:
            if !header.flags.contains(.answer) { self.outgoing.send(.ping, flags: .answer, payload) }
        case .cancel: self.cancel(header.stream)
        case .sleep, .wake: self.hook(header.type)
        case .invoke, .batch, .data:
            guard let caller, self.state.withLock({ $0.loaded != nil }) else {
                throw Violation(reason: "work before READY")
            }
            let items = try arrivals.frame(header, payload)
            if !items.isEmpty { try self.start(items.map { try caller.call($0) }, caller.configuration) }
        default:
            throw Violation(reason: "a frame that a worker does not receive: \(header.type)")
        }
    }

    /// A task of the session's own. All of them end before it does, or with the process.
    private func begin(_ body: @escaping @Sendable () async -> Void) { Task { await body() } }

    // MARK: hooks

    private func load(_ configuration: Configuration) async {
        do {
            let loaded = try await self.function.load()
            if configuration.hasBatch, case .single = loaded.body {
                throw NotAvailable("spec.batch needs a handler that takes batches: a BatchFunctionHandler")
            }
            if !configuration.hasBatch, case .batch = loaded.body {
                throw NotAvailable("a BatchFunctionHandler needs spec.batch in the manifest")
            }
            self.state.withLock { $0.loaded = loaded }
            var credit: [UInt8] = []
            credit.appendLittleEndian(UInt32(configuration.concurrency))
            self.outgoing.send(.ready, [])
            self.outgoing.send(.credit, credit)
            if self.state.withLock({ $0.isDraining }) { await self.leave() }
        } catch {
            self.failed("the handler could not be made", error)
        }
    }

    private func failed(_ what: String, _ error: any Error) {
        var payload: [UInt8] = []
        var told = ErrorPayload.of(error)
        told.kind = .permanent
        told.code = ErrorCode.startFailed.rawValue
        told.message = "\(what): \(told.message)"
        told.append(to: &payload)
        Descriptors.flushOutput()
        self.outgoing.send(.error, payload)
        self.end(1)
    }

    private func hook(_ type: FrameType) {
        self.begin {
            let loaded = self.state.withLock { $0.loaded }
            do {
                try await type == .sleep ? loaded?.sleep() : loaded?.wake()
                Descriptors.flushOutput()
                self.outgoing.send(type, flags: .answer, [])
            } catch {
                self.failed(type == .sleep ? "sleep() failed" : "wake() failed", error)
            }
        }
    }

    private func drain() {
        let isLoaded = self.state.withLock { state in
            state.isDraining = true
            return state.loaded != nil
        }
        // While it loads, the end of loading sees to it.
        if isLoaded { self.begin { await self.leave() } }
    }

    /// Everything is answered and has returned; then the hook, and the last frame.
    private func leave() async {
        while let task = self.state.withLock({ $0.running.values.lazy.compactMap(\.task).first }) { await task.value }
        do { try await self.state.withLock({ $0.loaded })?.stop() } catch {
            Descriptors.say("apus: stop() failed: \(error)")
        }
        Descriptors.flushOutput()
        self.outgoing.send(.bye, [])
        self.end(0)
    }

    // MARK: calls

    private func cancel(_ stream: UInt64) {
        // One that was answered already is nothing.
        self.state.withLock { $0.running[stream] }?.cancel()
    }

    /// Starts the handler for one event or one batch. One that works on after its answer keeps its place until it returns; the
    /// server's credit bounds how many wait for a place.
    private func start(_ calls: [Call], _ configuration: Configuration) throws {
        try self.state.withLock { state in
            guard calls.allSatisfy({ state.running[$0.exchange.stream] == nil }),
                state.waiting.count < configuration.concurrency
            else { throw Violation(reason: "more work than credit, or a stream that is in use") }
            for call in calls { state.running[call.exchange.stream] = Running(exchange: call.exchange) }
            if calls[0].event.isTable {
                self.feed(calls[0], &state)
            } else if state.busy < configuration.concurrency {
                state.busy += 1
                self.run(calls, &state)
            } else {
                state.waiting.append(calls)
            }
        }
    }

    private func run(_ calls: [Call], _ state: inout State) {
        guard let loaded = state.loaded else { return }
        let task = Task {
            switch loaded.body {
            case .single(let body): await self.perform(body, calls[0])
            case .batch(let body): await body(calls)
            }
            self.returned(calls)
        }
        for call in calls {
            state.running[call.exchange.stream]?.task = task
            if call.exchange.isCancelled { task.cancel() }
        }
    }

    /// Records of a table are handled one after the other, as they come.
    private func feed(_ call: Call, _ state: inout State) {
        guard let loaded = state.loaded else { return }
        let task = Task { [before = state.lastRecord] in
            await before?.value
            switch loaded.body {
            case .single(let body): await self.perform(body, call)
            case .batch(let body): await body([call])
            }
            self.state.withLock { $0.running[call.exchange.stream] = nil }
        }
        state.running[call.exchange.stream]?.task = task
        state.lastRecord = task
    }

    private func perform(_ body: @Sendable (Event, Exchange, Context) async throws -> Void, _ call: Call) async {
        do {
            try await body(call.event, call.exchange, call.context)
        } catch {
            guard !call.exchange.isAnswered else {
                return call.exchange.log(
                    .error, "after its answer the handler failed: \(ErrorPayload.of(error).message)")
            }
            call.exchange.fail(.of(error))
        }
    }

    private func returned(_ calls: [Call]) {
        Descriptors.flushOutput()
        self.state.withLock { state in
            for call in calls { state.running[call.exchange.stream] = nil }
            if state.waiting.isEmpty {
                state.busy -= 1
            } else {
                self.run(state.waiting.removeFirst(), &state)
            }
        }
    }
}

/// Makes what a handler is given.
private struct Caller {
    let configuration: Configuration
    let secrets: [String: String]
    let outgoing: Outgoing

    func call(_ item: Arrivals.Item) throws -> Call {
        let bytes = item.block.span.bytes
        guard let layout = try? EventLayout(parsing: bytes), layout.data.count == layout.dataCount,
            let attributes = try? layout.decodeAttributes(in: bytes)
        else { throw Violation(reason: "an event that cannot be read") }
        let exchange = Exchange(stream: item.stream, isItem: item.isItem, outgoing: self.outgoing)
        let named = Dictionary(
            attributes.filter { $0.kind != .header }.map { ($0.name, $0.text) }, uniquingKeysWith: { first, _ in first }
        )
        let event = Event(
            attributes: named,
            headers: attributes.filter { $0.kind == .header }.map { Event.Header($0.name, bytes: $0.value) },
            keyBytes: layout.key.map { copy(bytes, $0) }, data: layout.isNull ? nil : copy(bytes, layout.data),
            place: self.place(item.head), isTable: item.isTable,
            isReplay: item.head.flags.contains(.replay))
        let context = Context(
            function: self.configuration.function, invocation: item.head.invocation.description,
            attempt: Int(item.head.attempt), deadline: item.deadline == .zero ? nil : item.deadline.microseconds,
            trace: Self.trace(attributes) ?? named["traceparent"], exchange: exchange, secrets: self.secrets)
        return Call(event: event, exchange: exchange, context: context)
    }

    /// The last hop, which is this attempt where its trace is recorded. The attribute of that name only says where the trace began.
    private static func trace(_ attributes: [Attribute]) -> String? {
        attributes.first { $0.kind == .header && $0.name == "traceparent" }?.text
    }

    private func place(_ head: InvokeHead) -> Event.Place? {
        guard self.configuration.triggers.indices.contains(Int(head.trigger)) else { return nil }
        let trigger = self.configuration.triggers[Int(head.trigger)]
        return Event.Place(
            trigger: trigger.name, topic: trigger.topic, partition: Int(head.partition), offset: head.offset)
    }
}
