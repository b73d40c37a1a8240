internal import ApusCore

/// The session with one worker, free of I/O: which frame may come when, and what it means for the session. Any
/// ``FrameError`` it throws ends the worker.
///
/// It does not know attempts: whether a stream exists is for the holder of the ``AttemptTable`` to say.
struct ChannelMachine {
    enum State: Equatable {
        /// The process is being made. Next: `greeting` when it runs, `dead`.
        case launching
        /// It runs and owes a HELLO. Next: `loading`, `dead`.
        case greeting
        /// INIT was sent; the worker loads its handler. Next: `ready` on READY, `failed` on ERROR of stream 0, `dead`.
        case loading
        /// It could not load its handler, or not sleep or wake, and is about to leave. Next: `dead`.
        case failed
        /// It takes work. Next: `asleep` when SLEEP is sent, `draining` when DRAIN is, `left` on BYE, `dead`.
        case ready
        /// SLEEP was sent; WAKE comes before the next work. Next: `ready` when WAKE is sent, `draining`, `dead`.
        case asleep
        /// DRAIN was sent; what runs may finish. Next: `left` on BYE, `dead`.
        case draining
        /// It said BYE; nothing may follow. Next: `dead`.
        case left
        /// The process is gone or being killed. Terminal.
        case dead
    }

    /// What a frame asks of the holder.
    enum Step: Equatable {
        case nothing
        /// HELLO was good: send INIT.
        case initialize
        /// READY: tell the engine. Whether its function has hooks that let it sleep.
        case ready(canSleep: Bool)
        /// The answers to SLEEP and WAKE.
        case slept
        case woken
        case credit(Int)
        case loadFailed(ErrorPayload)
        /// The frame belongs to an attempt, or to the log.
        case work
        /// BYE: the process ends by itself.
        case left
    }

    private(set) var state = State.launching
    private(set) var features: HelloPayload.Features = []
    private(set) var runtime = ""
    /// Credit the worker ever gave; a finished attempt returns its own, so this stays at most its concurrency.
    private(set) var granted = 0
    private(set) var pingSentAt: Timestamp?
    private let concurrency: Int

    init(concurrency: Int) { self.concurrency = concurrency }

    // MARK: what the server does

    mutating func launched() { if self.state == .launching { self.state = .greeting } }

    /// - Returns: whether DRAIN may be sent.
    mutating func drain() -> Bool {
        guard self.state == .ready || self.state == .asleep else { return false }
        self.state = .draining
        return true
    }

    /// - Returns: whether SLEEP may be sent.
    mutating func sleep(inFlight: Int) -> Bool {
        guard self.state == .ready, inFlight == 0, self.features.contains(.sleep) else { return false }
        self.state = .asleep
        return true
    }

    /// - Returns: whether WAKE must be sent.
    mutating func wake() -> Bool {
        guard self.state == .asleep else { return false }
        self.state = .ready
        return true
    }

    /// - Returns: whether PING may be sent: the worker is idle and owes no answer.
    mutating func ping(inFlight: Int, now: Timestamp) -> Bool {
        guard self.state == .ready, inFlight == 0, self.pingSentAt == nil else { return false }
        self.pingSentAt = now
        return true
    }

    mutating func died() { self.state = .dead }

    var takesWork: Bool { self.state == .ready || self.state == .asleep }

    // MARK: what the worker says

    /// - Parameter inFlight: attempts without their final frame.
    mutating func receive(_ header: FrameHeader, _ payload: RawSpan, inFlight: Int) throws(FrameError) -> Step {
        guard header.flags.subtracting(ChannelMachine.flags(of: header.type)).isEmpty else { throw .malformed }
        switch header.type {
        case .result, .itemResult, .data, .emit, .progress, .call, .inputRequest:
            guard self.runsWork, header.stream != 0 else { throw .unexpected(header.type) }
            return .work
        case .error:
            if header.stream != 0, self.runsWork { return .work }
            return try self.receiveLoadError(header, payload)
        case .log:
            guard self.isSpeaking else { throw .unexpected(.log) }
            return .work
        default:
            guard header.stream == 0 else { throw .unexpected(header.type) }
            return try self.receiveSession(header, payload, inFlight: inFlight)
        }
    }

    private mutating func receiveSession(
        _ header: FrameHeader, _ payload: RawSpan, inFlight: Int
    ) throws(FrameError) -> Step {
        switch (header.type, self.state) {
        case (.hello, .greeting):
            return try self.receiveHello(payload)
        case (.ready, .loading):
            // Nothing, or u32: what its function can beyond handling events.
            guard payload.byteCount == 0 || payload.byteCount == 4 else { throw .malformed }
            let abilities = payload.byteCount == 4 ? payload.littleEndian(at: 0, as: UInt32.self) : 0
            self.state = .ready
            return .ready(canSleep: abilities & 1 != 0 && self.features.contains(.sleep))
        case (.credit, .ready), (.credit, .draining), (.credit, .asleep):
            return try self.receiveCredit(payload)
        case (.ping, .ready), (.ping, .draining), (.ping, .asleep):
            guard header.flags.contains(.answer), self.pingSentAt != nil else { throw .unexpected(.ping) }
            self.pingSentAt = nil
            return .nothing
        case (.sleep, .asleep): return .slept
        case (.wake, .ready): return .woken
        case (.sleep, .ready), (.sleep, .draining), (.wake, .draining):
            // It comes after the next frame was sent.
            return .nothing
        case (.bye, .draining), (.bye, .ready), (.bye, .failed):
            guard inFlight == 0 else { throw .unexpected(.bye) }
            self.state = .left
            return .left
        default:
            throw .unexpected(header.type)
        }
    }

    private mutating func receiveHello(_ payload: RawSpan) throws(FrameError) -> Step {
        let hello = try HelloPayload(parsing: payload)
        guard hello.lowest <= FrameHeader.version, FrameHeader.version <= hello.highest else {
            throw .wrongVersion(hello.highest)
        }
        self.features = hello.features
        self.runtime = hello.runtime
        self.state = .loading
        return .initialize
    }

    /// CREDIT: u32, how many more it may take.
    private mutating func receiveCredit(_ payload: RawSpan) throws(FrameError) -> Step {
        guard payload.byteCount == 4 else { throw .malformed }
        let count = Int(payload.littleEndian(at: 0, as: UInt32.self))
        guard count > 0, count <= self.concurrency - self.granted else { throw .unexpected(.credit) }
        self.granted += count
        return .credit(count)
    }

    private mutating func receiveLoadError(_ header: FrameHeader, _ payload: RawSpan) throws(FrameError) -> Step {
        // Later than while it loads, a hook for sleeping or waking went wrong.
        guard header.stream == 0, self.state == .loading || self.takesWork else { throw .unexpected(.error) }
        let error = try ErrorPayload(parsing: payload)
        self.state = .failed
        return .loadFailed(error)
    }

    private var runsWork: Bool { self.state == .ready || self.state == .draining }

    /// Whether any frame may come at all after HELLO.
    private var isSpeaking: Bool {
        switch self.state {
        case .loading, .failed, .ready, .asleep, .draining: true
        case .launching, .greeting, .left, .dead: false
        }
    }

    /// The flags a worker may set on a frame of a type.
    private static func flags(of type: FrameType) -> FrameFlags {
        switch type {
        case .result: [.more, .stream]
        case .data, .emit: .more
        case .itemResult: [.more, .failed]
        case .ping, .sleep, .wake: .answer
        default: []
        }
    }
}
