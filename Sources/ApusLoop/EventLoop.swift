public import CUV
internal import Glibc
internal import Synchronization

/// One libuv loop on one dedicated thread, usable as an actor executor and as a task executor.
///
/// Every libuv handle is created, used and closed on the loop thread. `uv_async_send` is the only libuv function another thread
/// may call; ``enqueue(_:)`` and ``post(_:)`` use it to wake the loop.
///
/// Start hot-path tasks with `Task(executorPreference: loop)`. Without the preference a continuation resumes on the global pool
/// first and only then comes back here: two thread hand-offs per `await`.
public final class EventLoop: SerialExecutor, TaskExecutor {
    /// Work from other threads. At most one wake-up is in flight, however much arrives.
    private struct Inbox: ~Copyable {
        var jobs: [UnownedJob] = []
        var closures: [@Sendable () -> Void] = []
        var isWakeUpInFlight = false
        var isStopping = false
        /// The thread is about to close its handles: nobody may wake it any more.
        var isClosed = false
    }

    /// Jobs run per turn before libuv looks at its descriptors again.
    private static let jobsPerTurnMax = 256

    private let inbox = Mutex(Inbox())
    /// Threads between their look at the inbox and the end of their wake-up. The handle is closed behind the last: a wake-up after that
    /// would go to whoever has the descriptor's number by then.
    private let wakers = Atomic<Int>(0)

    // SAFETY: stable heap addresses libuv keeps for the life of the loop. Loop thread only, except `wakeUp`, which
    // `uv_async_send` may be given from any thread.
    nonisolated(unsafe) private let loop: UnsafeMutablePointer<uv_loop_t>
    nonisolated(unsafe) private let wakeUp: UnsafeMutablePointer<uv_async_t>
    nonisolated(unsafe) private let ready: UnsafeMutablePointer<uv_idle_t>

    // SAFETY: loop thread only.
    nonisolated(unsafe) private var local: [UnownedJob] = []
    nonisolated(unsafe) private var batch: [UnownedJob] = []
    nonisolated(unsafe) private var isDraining = false

    /// Stored by the loop thread as its first act; zero until then, which equals no thread.
    private let threadID = Atomic<pthread_t>(0)

    // SAFETY: written once in `init`, read only by `stop`.
    nonisolated(unsafe) private var joinable = pthread_t()

    public init() {
        self.loop = .allocate(capacity: 1)
        self.wakeUp = .allocate(capacity: 1)
        self.ready = .allocate(capacity: 1)
        precondition(uv_loop_init(self.loop) == 0)
        precondition(uv_async_init(self.loop, self.wakeUp, onWakeUp) == 0)
        precondition(uv_idle_init(self.loop, self.ready) == 0)
        self.wakeUp.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        self.ready.pointee.data = Unmanaged.passUnretained(self).toOpaque()
        // The thread owns a reference, so the loop outlives every callback.
        let context = Unmanaged.passRetained(self).toOpaque()
        precondition(pthread_create(&self.joinable, nil, loopThreadMain, context) == 0)
    }

    deinit {
        self.loop.deallocate()
        self.wakeUp.deallocate()
        self.ready.deallocate()
    }

    /// The libuv loop, for handles. Loop thread only.
    public var handle: UnsafeMutablePointer<uv_loop_t> {
        precondition(self.isCurrent, "libuv handles belong to the loop thread")
        return self.loop
    }

    /// Ends the thread once what is already queued has run. Close every handle first. Call at most once, from another thread.
    public func stop() {
        precondition(!self.isCurrent)
        self.inbox.withLock { inbox in
            inbox.isStopping = true
            self.wakers.add(1, ordering: .relaxed)
        }
        self.wake()
        pthread_join(self.joinable, nil)
    }

    /// Runs `work` on the loop thread, after what was posted before. From any thread; for batches, not for single events.
    public func post(_ work: @escaping @Sendable () -> Void) {
        let mustWake = self.inbox.withLock { inbox in
            inbox.closures.append(work)
            return self.mustWake(&inbox)
        }
        if mustWake { self.wake() }
    }

    public func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if self.isCurrent {
            self.local.append(job)
            if !self.isDraining { uv_idle_start(self.ready, onReady) }
            return
        }
        let mustWake = self.inbox.withLock { inbox in
            inbox.jobs.append(job)
            return self.mustWake(&inbox)
        }
        if mustWake { self.wake() }
    }

    private func mustWake(_ inbox: inout Inbox) -> Bool {
        guard !inbox.isWakeUpInFlight, !inbox.isClosed else { return false }
        inbox.isWakeUpInFlight = true
        self.wakers.add(1, ordering: .relaxed)
        return true
    }

    /// Only after being counted among the ``wakers``.
    private func wake() {
        uv_async_send(self.wakeUp)
        self.wakers.subtract(1, ordering: .releasing)
    }

    fileprivate func takeInbox() {
        var closures: [@Sendable () -> Void] = []
        let isStopping = self.inbox.withLock { inbox in
            self.local.append(contentsOf: inbox.jobs)
            inbox.jobs.removeAll(keepingCapacity: true)
            swap(&closures, &inbox.closures)
            inbox.isWakeUpInFlight = false
            return inbox.isStopping
        }
        for closure in closures { closure() }
        self.drain()
        if isStopping { uv_stop(self.loop) }
    }

    fileprivate func drain() {
        self.isDraining = true
        var budget = Self.jobsPerTurnMax
        while !self.local.isEmpty, budget > 0 {
            swap(&self.batch, &self.local)
            for job in self.batch {
                job.runSynchronously(
                    isolatedTo: self.asUnownedSerialExecutor(),
                    taskExecutor: self.asUnownedTaskExecutor()
                )
            }
            budget -= self.batch.count
            self.batch.removeAll(keepingCapacity: true)
        }
        self.isDraining = false
        if self.local.isEmpty { uv_idle_stop(self.ready) } else { uv_idle_start(self.ready, onReady) }
    }

    fileprivate func runUntilStopped() {
        self.threadID.store(pthread_self(), ordering: .relaxed)
        uv_run(self.loop, UV_RUN_DEFAULT)
        self.inbox.withLock { $0.isClosed = true }
        // A wake-up is one system call that does not wait.
        while self.wakers.load(ordering: .acquiring) > 0 { sched_yield() }
        for handle in [UnsafeMutableRawPointer(self.wakeUp), UnsafeMutableRawPointer(self.ready)] {
            uv_close(handle.assumingMemoryBound(to: uv_handle_t.self), nil)
        }
        uv_run(self.loop, UV_RUN_NOWAIT)
        uv_loop_close(self.loop)
    }

    public var isCurrent: Bool { self.threadID.load(ordering: .relaxed) == pthread_self() }
    public func checkIsolated() { precondition(self.isCurrent, "expected to be on the event loop thread") }
    public func isIsolatingCurrentContext() -> Bool? { self.isCurrent }
    public func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
    public func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
}

// C callbacks are file-scope functions. A closure literal written inside global-actor code inherits that isolation and traps when
// C calls it on another thread.

private func eventLoop(_ context: UnsafeMutableRawPointer?) -> EventLoop {
    guard let context else { preconditionFailure("the loop's handles carry their loop") }
    return Unmanaged<EventLoop>.fromOpaque(context).takeUnretainedValue()
}

private func onWakeUp(_ handle: UnsafeMutablePointer<uv_async_t>?) { eventLoop(handle?.pointee.data).takeInbox() }
private func onReady(_ handle: UnsafeMutablePointer<uv_idle_t>?) { eventLoop(handle?.pointee.data).drain() }

private func loopThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let context else { return nil }
    Unmanaged<EventLoop>.fromOpaque(context).takeRetainedValue().runUntilStopped()
    return nil
}
