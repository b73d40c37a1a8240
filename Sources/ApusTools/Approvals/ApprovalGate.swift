public import ApusCore
internal import ApusManifest

/// Whether a call of a tool may begin, and what is to be done first. A machine without I/O, for one request.
///
/// It stands between the check of the arguments and the one place where a call begins. The caller performs what it says and reports; only
/// ``Action/begin`` lets anything run.
public struct ApprovalGate: Sendable {
    public enum Action: Sendable, Equatable {
        case begin
        /// Ask the person at the caller's client; report with ``answered(_:)``, or by the next request.
        case ask
        /// Note what was answered to the state of this name, once for all servers; report with ``took(_:)``.
        case take([UInt8], ApprovalAnswer)
        /// Ask the one who decides about the approval that is kept for this very call; report with ``claimed(_:)``.
        case claim
        /// It is accepted as a task that begins once the answer is there, and the gate is no more asked.
        case hold
        /// Nothing begins.
        case refuse(Refusal)
    }

    public enum Refusal: Sendable, Equatable {
        /// By the person at the client.
        case declined
        case cancelled
        /// What would let it begin counted before: the same acceptance does not let two calls begin.
        case used
        /// Until somebody has decided. `isNew` for the call that asked first.
        case waiting(isNew: Bool)
        /// By somebody else.
        case refused
        /// It could not be decided now.
        case failed(ErrorCode, String)
    }

    /// What the log knows of the answer to a state.
    public enum Taken: Sendable, Equatable {
        case first
        /// The same was answered before: whether anything began of it, the log knows under the name of that beginning.
        case again
        /// Something else was answered before.
        case other
    }

    /// What became of the approval that is kept for a call.
    public enum Claim: Sendable, Equatable {
        case created, waiting, declined, consumed
        case failed(ErrorCode, String)
    }

    private enum State: Sendable, Equatable {
        /// To `asking`, `taking`, `claiming`, `open`, `closed`.
        case new
        /// To `open`, `closed`.
        case asking
        /// To `open`, `closed`.
        case taking(ApprovalAnswer)
        /// To `open`, `closed`.
        case claiming
        /// The call may begin. To `claiming`, `closed` where it turns out that another call began because of the same.
        case open
        /// It will, once the answer is there: its task waits for it. Last.
        case held
        /// It will not. Last.
        case closed
    }

    private var state = State.new
    /// How often it was asked for an approval that is kept.
    private var claims = 0
    private var isTask = false

    public init() {}

    /// Whether its task waits for the answer.
    public var isHeld: Bool { self.state == .held }

    /// Whether the call has been let through: what its function asks from here on is no question of approval.
    public var isOpen: Bool { self.state == .open }

    /// The arguments are right, and nothing has begun.
    /// - Parameters:
    ///   - rule: nil when nobody is asked.
    ///   - canAsk: whether the client can ask its person.
    ///   - asTask: whether the call becomes a task, which may wait by itself.
    ///   - mark: of the state that came with the request. A call that has begun needs nothing more.
    ///   - answer: that came with it.
    public mutating func begin(
        _ rule: ApprovalRule?, canAsk: Bool, asTask: Bool = false, mark: CallMark = .none,
        answer: ApprovalAnswer? = nil
    ) -> Action {
        guard case .new = self.state else { return .refuse(.used) }
        self.isTask = asTask
        guard let rule else { return self.open() }
        switch (mark, answer) {
        case (.begun, _): return self.open()
        case (.letThrough(let name), _):
            self.state = .taking(.accepted)
            return .take(name, .accepted)
        // The rule may be another one than when it was asked.
        case (.asked(let name), let answer?) where rule.by == .caller:
            self.state = .taking(answer)
            return .take(name, answer)
        case (.asked, _), (.none, _):
            guard rule.by == .caller, canAsk else { return self.claim() }
            guard !asTask else { return self.hold() }
            self.state = .asking
            return .ask
        }
    }

    /// Over the stream on which it was asked.
    public mutating func answered(_ answer: ApprovalAnswer) -> Action {
        guard case .asking = self.state else { return .refuse(.used) }
        return self.decided(answer)
    }

    public mutating func took(_ result: Result<Taken, ApusError>) -> Action {
        guard case .taking(let answer) = self.state else { return .refuse(.used) }
        switch result {
        // A server may have ended between an answer and what comes of it: the same answer again is no other one.
        case .success(.first), .success(.again): return self.decided(answer)
        case .success(.other): return self.close(.used)
        case .failure(let error): return self.close(.failed(error.code, error.message))
        }
    }

    public mutating func claimed(_ claim: Claim) -> Action {
        guard case .claiming = self.state else { return .refuse(.used) }
        switch claim {
        case .consumed: return self.open()
        case .created: return self.isTask ? self.hold() : self.close(.waiting(isNew: true))
        case .waiting: return self.isTask ? self.hold() : self.close(.waiting(isNew: false))
        case .declined: return self.close(.refused)
        case .failed(let code, let message): return self.close(.failed(code, message))
        }
    }

    /// What let this call begin had let another one begin. One that somebody else approved is asked about anew.
    public mutating func hadBegun() -> Action {
        guard case .open = self.state else { return .refuse(.used) }
        guard self.claims > 0 else { return self.close(.used) }
        guard self.claims < Self.claimsMax else {
            return self.close(.failed(.overloaded, "the same call is made too often at once"))
        }
        return self.claim()
    }

    /// Each finds an approval that another call used up meanwhile.
    static let claimsMax = 8

    private mutating func hold() -> Action {
        self.state = .held
        return .hold
    }

    private mutating func claim() -> Action {
        self.claims += 1
        self.state = .claiming
        return .claim
    }

    private mutating func decided(_ answer: ApprovalAnswer) -> Action {
        switch answer {
        case .accepted: self.open()
        case .declined: self.close(.declined)
        case .cancelled: self.close(.cancelled)
        }
    }

    private mutating func open() -> Action {
        self.state = .open
        return .begin
    }

    private mutating func close(_ refusal: Refusal) -> Action {
        self.state = .closed
        return .refuse(refusal)
    }
}
