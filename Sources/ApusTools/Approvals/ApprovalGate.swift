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
        /// Note that the state of this request is used up, once for all servers; report with ``took(_:)``.
        case take(ApprovalMark)
        /// Ask the one who decides about the approval that is kept for this very call; report with ``claimed(_:)``.
        case claim
        /// Nothing begins.
        case refuse(Refusal)
    }

    public enum Refusal: Sendable, Equatable {
        /// By the person at the client.
        case declined
        case cancelled
        /// The state of this request counted before: the same acceptance does not let two calls begin.
        case used
        /// Until somebody has decided. `isNew` for the call that asked first.
        case waiting(isNew: Bool)
        /// By somebody else.
        case refused
        /// It could not be decided now.
        case failed(ErrorCode, String)
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
        /// The call has begun. Last.
        case open
        /// It will not. Last.
        case closed
    }

    private var state = State.new

    public init() {}

    /// Whether the call has been let through: what its function asks from here on is no question of approval.
    public var isOpen: Bool { self.state == .open }

    /// The arguments are right, and nothing has begun.
    /// - Parameters:
    ///   - rule: nil when nobody is asked.
    ///   - canAsk: whether the client can ask its person.
    ///   - mark: of the state that came with the request.
    ///   - answer: that came with it.
    public mutating func begin(
        _ rule: ApprovalRule?, canAsk: Bool, mark: ApprovalMark = .none, answer: ApprovalAnswer? = nil
    ) -> Action {
        guard case .new = self.state else { return .refuse(.used) }
        guard let rule else { return self.open() }
        switch (mark, answer) {
        case (.granted, _):
            self.state = .taking(.accepted)
            return .take(mark)
        // The rule may be another one than when it was asked.
        case (.asked, let answer?) where rule.by == .caller:
            self.state = .taking(answer)
            return .take(mark)
        case (.asked, _), (.none, _):
            let way: Action = rule.by == .caller && canAsk ? .ask : .claim
            self.state = way == .ask ? .asking : .claiming
            return way
        }
    }

    /// Over the stream on which it was asked.
    public mutating func answered(_ answer: ApprovalAnswer) -> Action {
        guard case .asking = self.state else { return .refuse(.used) }
        return self.decided(answer)
    }

    /// - Parameter result: whether this request was the first with that state.
    public mutating func took(_ result: Result<Bool, ApusError>) -> Action {
        guard case .taking(let answer) = self.state else { return .refuse(.used) }
        switch result {
        case .success(true): return self.decided(answer)
        case .success(false): return self.close(.used)
        case .failure(let error): return self.close(.failed(error.code, error.message))
        }
    }

    public mutating func claimed(_ claim: Claim) -> Action {
        guard case .claiming = self.state else { return .refuse(.used) }
        switch claim {
        case .consumed: return self.open()
        case .created: return self.close(.waiting(isNew: true))
        case .waiting: return self.close(.waiting(isNew: false))
        case .declined: return self.close(.refused)
        case .failed(let code, let message): return self.close(.failed(code, message))
        }
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
