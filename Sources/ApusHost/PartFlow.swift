internal import ApusCore
internal import Synchronization

/// What of a result that is taken in parts has come, and is not yet where it goes. Above its bound the worker is not read, until half of that was
/// taken: a disk that is slower than a worker slows that worker, and costs nobody memory. From any thread.
public final class PartFlow: Sendable {
    private enum State {
        /// The worker is read. Next: `held`, `ended`.
        case open(waiting: Int)
        /// It is not. Next: `open`, `ended`.
        case held(waiting: Int)
        /// Nobody takes the rest, and nothing waits for that.
        case ended
    }

    private let state = Mutex(State.open(waiting: 0))
    private let resume: @Sendable () -> Void

    /// - Parameter resume: the worker may be read again; called on whichever thread that turns out.
    public init(resume: @escaping @Sendable () -> Void) { self.resume = resume }

    public var isHeld: Bool {
        self.state.withLock { if case .held = $0 { true } else { false } }
    }

    /// A part came from the worker.
    func came(_ bytes: Int) {
        self.state.withLock { state in
            switch state {
            case .open(let waiting):
                let waiting = waiting + bytes
                state = waiting > Limits.Host.partsWaitingBytes ? .held(waiting: waiting) : .open(waiting: waiting)
            case .held(let waiting): state = .held(waiting: waiting + bytes)
            case .ended: break
            }
        }
    }

    /// So much is where it goes.
    public func took(_ bytes: Int) {
        let resumes = self.state.withLock { state -> Bool in
            switch state {
            case .open(let waiting): state = .open(waiting: waiting - bytes)
            case .held(let waiting) where waiting - bytes > Limits.Host.partsWaitingBytes / 2: state = .held(waiting: waiting - bytes)
            case .held(let waiting):
                state = .open(waiting: waiting - bytes)
                return true
            case .ended: break
            }
            return false
        }
        if resumes { self.resume() }
    }

    /// Nobody takes the rest: what still comes is read and dropped.
    public func end() {
        let resumes = self.state.withLock { state -> Bool in
            defer { state = .ended }
            if case .held = state { return true }
            return false
        }
        if resumes { self.resume() }
    }
}
