public import ApusCore
internal import Glibc
internal import Synchronization

/// One thread that runs what it is given, in order: for work that blocks (SQLite, files, page faults) and must not hold up a loop.
///
/// The queue is bounded: a caller that is refused answers `overloaded` instead of growing it.
public final class WorkThread: Sendable {
    private struct State: ~Copyable {
        var queue = Deque<@Sendable () -> Void>()
        var isStopping = false
    }

    // SAFETY: a condition variable and its mutex at stable heap addresses, used only through pthread calls, which synchronise.
    nonisolated(unsafe) private let condition: UnsafeMutablePointer<pthread_cond_t>
    nonisolated(unsafe) private let lock: UnsafeMutablePointer<pthread_mutex_t>
    // SAFETY: touched only while `lock` is held.
    nonisolated(unsafe) private var state = State()
    // SAFETY: written once in `init`, read only by `stop` and `isCurrent`.
    nonisolated(unsafe) private var thread = pthread_t()
    private let queueMax: Int

    /// - Parameter queueMax: how much may wait.
    public init(queueMax: Int = Limits.WorkThread.queueMax) {
        self.queueMax = queueMax
        self.condition = .allocate(capacity: 1)
        self.lock = .allocate(capacity: 1)
        pthread_cond_init(self.condition, nil)
        pthread_mutex_init(self.lock, nil)
        let context = Unmanaged.passRetained(self).toOpaque()
        precondition(pthread_create(&self.thread, nil, workThreadMain, context) == 0)
    }

    deinit {
        pthread_cond_destroy(self.condition)
        pthread_mutex_destroy(self.lock)
        self.condition.deallocate()
        self.lock.deallocate()
    }

    /// Queues `work`.
    /// - Returns: false when the queue is full or the thread stops; `work` will not run then.
    @discardableResult
    public func run(_ work: @escaping @Sendable () -> Void) -> Bool {
        pthread_mutex_lock(self.lock)
        defer { pthread_mutex_unlock(self.lock) }
        guard !self.state.isStopping, self.state.queue.count < self.queueMax else { return false }
        self.state.queue.append(work)
        pthread_cond_signal(self.condition)
        return true
    }

    /// Runs what is queued, then ends the thread. Call at most once, from another thread.
    public func stop() {
        pthread_mutex_lock(self.lock)
        self.state.isStopping = true
        pthread_cond_signal(self.condition)
        pthread_mutex_unlock(self.lock)
        pthread_join(self.thread, nil)
    }

    fileprivate func runUntilStopped() {
        while let work = self.next() { work() }
    }

    private func next() -> (@Sendable () -> Void)? {
        pthread_mutex_lock(self.lock)
        defer { pthread_mutex_unlock(self.lock) }
        while self.state.queue.isEmpty {
            if self.state.isStopping { return nil }
            pthread_cond_wait(self.condition, self.lock)
        }
        return self.state.queue.popFirst()
    }
}

extension Limits {
    public enum WorkThread {
        /// What may wait for one thread: enough for a burst of requests, little enough that the last is answered within seconds.
        public static let queueMax = 4_096
    }
}

private func workThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<WorkThread>.fromOpaque(context).takeRetainedValue().runUntilStopped()
    return nil
}
