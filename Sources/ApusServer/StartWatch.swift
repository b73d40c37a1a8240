internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// Tells those who wait how the next start of a function went. Confined to one loop.
final class StartWatch {
    private struct Waiter {
        var function: ResourceName
        var timer: LoopTimer
        var completion: (ApusError?) -> Void
    }

    private var waiters: [UInt64: Waiter] = [:]
    private var next: UInt64 = 1
    private var isClosed = false

    func wait(for function: ResourceName, _ loop: EventLoop, _ completion: @escaping (ApusError?) -> Void) {
        guard !self.isClosed else { return completion(Self.stopping) }
        let id = self.next
        self.next += 1
        let timer = LoopTimer(loop) { [weak self] in
            let message =
                "\(function) did not become ready within \(Limits.Server.waitSeconds) s: look at `apus logs \(function.name)`"
            self?.finish(id, ApusError(.startFailed, message))
        }
        timer.start(milliseconds: UInt64(Limits.Server.waitSeconds) * 1_000)
        self.waiters[id] = Waiter(function: function, timer: timer, completion: completion)
    }

    func ready(_ function: ResourceName) { self.finish(function, nil) }

    func failed(_ function: ResourceName, _ failure: Failure) {
        let detail = failure.detail.isEmpty ? "" : "\n\(failure.detail)"
        self.finish(function, ApusError(failure.code, "\(function) did not start: \(failure.message)\(detail)"))
    }

    private func finish(_ function: ResourceName, _ error: ApusError?) {
        for (id, waiter) in self.waiters where waiter.function == function { self.finish(id, error) }
    }

    private func finish(_ id: UInt64, _ error: ApusError?) {
        guard let waiter = self.waiters.removeValue(forKey: id) else { return }
        waiter.timer.close()
        waiter.completion(error)
    }

    private static let stopping = ApusError(
        .shuttingDown, "the server is stopping: the function starts when it is back")

    /// Answers those who wait, now and from now on, with `shutting_down`.
    func close() {
        self.isClosed = true
        for id in Array(self.waiters.keys) { self.finish(id, Self.stopping) }
    }
}
