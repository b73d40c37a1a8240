internal import ApusCore
internal import ApusHost
internal import ApusLoop
internal import Synchronization

/// Carries a large result to the disk on a thread that may wait for it. What is on its way is bounded by its flow: the worker waits for a disk
/// that is slower. However small its parts are, it waits for the thread as one piece of work.
final class ResultFeed: Sendable {
    private enum Step {
        case open(@Sendable () throws(ApusError) -> ResultSpool)
        /// - counted: how much of it the flow waits for.
        case part([UInt8], counted: Int)
        case finish(@Sendable (ResultSpool.Finished) -> Void)
        case giveUp
    }

    /// What the thread was not handed yet.
    private enum Waiting {
        /// The thread will come for them, unless there are none. Next: `refused`.
        case steps([Step])
        /// It failed, or the thread takes nothing: its parts would have a hole.
        case refused

        /// - Returns: whether the thread is to be asked to come.
        mutating func add(_ step: Step) -> Bool {
            guard case .steps(var steps) = self else { return false }
            // Nothing else may hold what grows.
            self = .refused
            defer { self = .steps(steps) }
            guard case .part(let more, let moreCounted) = step, case .part(var bytes, let counted) = steps.last else {
                steps.append(step)
                return steps.count == 1
            }
            steps.removeLast()
            bytes += more
            steps.append(.part(bytes, counted: counted + moreCounted))
            return false
        }

        /// - Returns: whether it took steps until now.
        mutating func refuse() -> Bool {
            defer { self = .refused }
            if case .refused = self { return false }
            return true
        }

        mutating func takeAll() -> [Step] {
            guard case .steps(let steps) = self else { return [] }
            self = .steps([])
            return steps
        }
    }

    private enum State {
        /// It is not begun. Next: `open`, `over`.
        case new
        case open(ResultSpool)
        /// Finished, failed, or given up.
        case over
    }

    private let results: LargeResults
    private let flow: PartFlow
    private let onFailure: @Sendable (ApusError) -> Void
    private let waiting = Mutex(Waiting.steps([]))
    // SAFETY: touched on the thread of `results` only.
    nonisolated(unsafe) private var state = State.new

    /// - Parameters:
    ///   - onFailure: called at most once: on the thread, or by the caller whose step it does not take. Nothing follows.
    ///   - open: makes the file. On the thread.
    init(
        _ results: LargeResults, _ flow: PartFlow, onFailure: @escaping @Sendable (ApusError) -> Void,
        open: @escaping @Sendable () throws(ApusError) -> ResultSpool
    ) {
        self.results = results
        self.flow = flow
        self.onFailure = onFailure
        self.add(.open(open))
    }

    /// - Parameter isCounted: whether the flow waits for it.
    func take(_ part: [UInt8], isCounted: Bool = true) { self.add(.part(part, counted: isCounted ? part.count : 0)) }

    /// - Parameter completion: on the thread, unless it failed.
    func finish(_ completion: @escaping @Sendable (ResultSpool.Finished) -> Void) { self.add(.finish(completion)) }

    /// Nobody wants it any more: what is written of it goes.
    func giveUp() {
        // The worker is read at once, whatever the disk does.
        self.flow.end()
        self.add(.giveUp)
    }

    private func add(_ step: Step) {
        guard self.waiting.withLock({ $0.add(step) }), !self.results.onDisk({ self.work() }) else { return }
        // The file goes with the last of what is queued.
        self.fail(ApusError(.overloaded, "too much waits for the server's disk: try again in a moment"))
    }

    private func fail(_ error: ApusError) {
        guard self.waiting.withLock({ $0.refuse() }) else { return }
        self.flow.end()
        self.onFailure(error)
    }

    // MARK: on the thread

    private func work() {
        for step in self.waiting.withLock({ $0.takeAll() }) {
            do throws(ApusError) { try self.perform(step) } catch {
                self.state = .over
                self.fail(error)
            }
        }
    }

    private func perform(_ step: Step) throws(ApusError) {
        switch (step, self.state) {
        case (.open(let open), .new): self.state = .open(try open())
        case (.part(let bytes, let counted), .open(let spool)):
            try spool.take(bytes)
            self.flow.took(counted)
        case (.finish(let completion), .open(let spool)):
            let finished = try spool.finish()
            self.state = .over
            self.flow.end()
            completion(finished)
        case (.giveUp, _): self.state = .over
        // Its flow has ended with it.
        case (.open, _), (.part, _), (.finish, _): break
        }
    }
}
