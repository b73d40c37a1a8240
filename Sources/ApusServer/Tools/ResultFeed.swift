internal import ApusCore
internal import ApusHost
internal import ApusLoop

/// Carries a large result to the disk on a thread that may wait for it. What is on its way is bounded by its flow: the worker waits for a disk
/// that is slower.
final class ResultFeed: Sendable {
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
    // SAFETY: touched on the thread of `results` only.
    nonisolated(unsafe) private var state = State.new

    /// - Parameters:
    ///   - onFailure: called at most once, on the thread; nothing follows.
    ///   - open: makes the file. On the thread.
    init(
        _ results: LargeResults, _ flow: PartFlow, onFailure: @escaping @Sendable (ApusError) -> Void,
        open: @escaping @Sendable () throws(ApusError) -> ResultSpool
    ) {
        self.results = results
        self.flow = flow
        self.onFailure = onFailure
        self.run {
            do throws(ApusError) { self.state = .open(try open()) } catch { self.fail(error) }
        }
    }

    /// - Parameter isCounted: whether the flow waits for it.
    func take(_ part: [UInt8], isCounted: Bool = true) {
        self.run {
            defer { if isCounted { self.flow.took(part.count) } }
            guard case .open(let spool) = self.state else { return }
            do throws(ApusError) { try spool.take(part) } catch { self.fail(error) }
        }
    }

    /// - Parameter completion: on the thread, unless it failed.
    func finish(_ completion: @escaping @Sendable (ResultSpool.Finished) -> Void) {
        self.run {
            guard case .open(let spool) = self.state else { return }
            do throws(ApusError) {
                let finished = try spool.finish()
                self.state = .over
                self.flow.end()
                completion(finished)
            } catch { self.fail(error) }
        }
    }

    /// Nobody wants it any more: what is written of it goes.
    func giveUp() {
        // The worker is read at once, whatever the disk does.
        self.flow.end()
        self.run { self.state = .over }
    }

    private func fail(_ error: ApusError) {
        self.state = .over
        self.flow.end()
        self.onFailure(error)
    }

    private func run(_ work: @escaping @Sendable () -> Void) {
        guard !self.results.onDisk(work) else { return }
        // Its parts would have a hole: the file goes with the last of what is queued.
        self.flow.end()
        self.onFailure(ApusError(.overloaded, "too much waits for the server's disk: try again in a moment"))
    }
}
