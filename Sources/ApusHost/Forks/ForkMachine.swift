internal import ApusCore

/// The session with a function's zygote, free of I/O: which frame may come when, which calls it has, what it owes. Any
/// ``FrameError`` it throws ends the sandbox, with every call in it.
struct ForkMachine {
    enum State: Equatable {
        /// The sandbox is being made. Next: `greeting`, `dead`.
        case launching
        /// It owes a HELLO. Next: `loading`, `dead`.
        case greeting
        /// INIT was sent; it loads the function. Next: `ready` on READY, `refused` on ERROR, `dead`.
        case loading
        /// It takes orders. Next: `retiring`, `dead`.
        case ready
        /// It takes no new calls; those it has may end. Next: `dead`.
        case retiring
        /// It could not load the function, or not be forked, and leaves. Next: `dead`.
        case refused
        /// Gone or being killed. Terminal.
        case dead
    }

    /// What a frame asks of the holder.
    enum Step: Equatable {
        case nothing
        /// Send INIT.
        case initialize
        case ready
        case refused(ErrorPayload)
        case log(LogPayload)
        /// The call's process is there.
        case forked(UInt64)
        /// It is gone and reaped; `wasMade` is false where it never was there.
        case ended(UInt64, WorkerExit, wasMade: Bool)
    }

    private enum Call: Equatable {
        /// FORK was sent. Next: `running` on FORKED, gone on ENDED.
        case asked
        /// Next: `killed`, or gone on ENDED.
        case running
        /// KILL was sent. Next: gone on ENDED.
        case killed
    }

    private(set) var state = State.launching
    private var calls: [UInt64: Call] = [:]
    private var next: UInt64 = 1
    private let bound: Int
    private var born: Timestamp
    /// Since when an answer is owed: the sandbox, a HELLO, READY, FORKED or ENDED.
    private var owed: [UInt64: Timestamp] = [:]
    private(set) var lastUse: Timestamp

    /// Owed by the session, not by a call.
    private static let session: UInt64 = 0

    init(children: Int, now: Timestamp) {
        self.bound = children
        self.born = now
        self.lastUse = now
        self.owed[Self.session] = now
    }

    var count: Int { self.calls.count }
    var isEmpty: Bool { self.calls.isEmpty }
    var mayFork: Bool { self.state == .ready && self.calls.count < self.bound }

    /// What its calls share of it, where memory lies and the seed of hashes, is shared by no more of them, and no longer.
    func isSpent(now: Timestamp) -> Bool {
        self.next > Limits.Host.zygoteForks || now - self.born >= Limits.Host.zygoteAge
    }

    /// It did not do what it was told in time.
    func isOverdue(now: Timestamp) -> Bool {
        self.owed.contains { number, since in
            now - since >= (number == Self.session ? Limits.Host.zygoteStart : Limits.Host.zygoteAnswer)
        }
    }

    // MARK: what the server does

    mutating func launched() { if self.state == .launching { self.state = .greeting } }

    /// - Returns: the call to send FORK for.
    mutating func fork(now: Timestamp) -> UInt64? {
        guard self.mayFork else { return nil }
        let number = self.next
        self.next += 1
        self.calls[number] = .asked
        self.owed[number] = now
        self.lastUse = now
        return number
    }

    /// - Returns: whether KILL must be sent.
    mutating func kill(_ number: UInt64, now: Timestamp) -> Bool {
        guard self.state == .ready || self.state == .retiring, let call = self.calls[number], call != .killed else {
            return false
        }
        self.calls[number] = .killed
        // What was owed before, if anything, still is.
        if self.owed[number] == nil { self.owed[number] = now }
        return true
    }

    mutating func retire() { if self.state == .ready { self.state = .retiring } }

    mutating func died() {
        self.state = .dead
        self.owed = [:]
    }

    // MARK: what it says

    mutating func receive(_ header: FrameHeader, _ payload: RawSpan, now: Timestamp) throws(FrameError) -> Step {
        guard header.flags.isEmpty else { throw .malformed }
        switch (header.type, self.state) {
        case (.hello, .greeting) where header.stream == 0:
            let hello = try HelloPayload(parsing: payload)
            guard hello.lowest <= FrameHeader.version, FrameHeader.version <= hello.highest else {
                throw .wrongVersion(hello.highest)
            }
            self.state = .loading
            return .initialize
        case (.ready, .loading) where header.stream == 0:
            guard payload.byteCount == 0 else { throw .malformed }
            self.state = .ready
            self.owed[Self.session] = nil
            self.lastUse = now
            return .ready
        case (.error, .loading) where header.stream == 0:
            let error = try ErrorPayload(parsing: payload)
            self.state = .refused
            return .refused(error)
        case (.log, .loading) where header.stream == 0:
            return .log(try LogPayload(parsing: payload))
        case (.forked, .ready), (.forked, .retiring):
            return try self.receiveForked(header.stream, payload)
        case (.ended, .ready), (.ended, .retiring):
            return try self.receiveEnded(header.stream, payload, now: now)
        default:
            throw .unexpected(header.type)
        }
    }

    private mutating func receiveForked(_ number: UInt64, _ payload: RawSpan) throws(FrameError) -> Step {
        guard payload.byteCount == 0 else { throw .malformed }
        // Calls are made in the order they were asked for in, and each is announced once.
        switch self.calls[number] {
        case .asked?:
            self.calls[number] = .running
            self.owed[number] = nil
            return .forked(number)
        default:
            throw .unexpected(.forked)
        }
    }

    /// ENDED: i32 exit code, -1 when a signal ended it, or when it could not be made; i32 signal, 0 for none.
    private mutating func receiveEnded(_ number: UInt64, _ payload: RawSpan, now: Timestamp) throws(FrameError) -> Step
    {
        guard payload.byteCount == 8 else { throw .malformed }
        guard let call = self.calls.removeValue(forKey: number) else { throw .unexpected(.ended) }
        self.owed[number] = nil
        self.lastUse = now
        let code = payload.littleEndian(at: 0, as: Int32.self)
        let signal = payload.littleEndian(at: 4, as: Int32.self)
        guard (-1...255).contains(code), (0...64).contains(signal) else { throw .malformed }
        let exit = WorkerExit(code: signal == 0 ? code : nil, signal: signal == 0 ? nil : signal)
        return .ended(number, exit, wasMade: call != .asked)
    }
}
