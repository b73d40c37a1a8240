internal import ApusCore
internal import Glibc
internal import Synchronization

/// A thread with one body, joined once.
final class LogThread: Sendable {
    // SAFETY: written once in `init`, read only by `join`, which is called once.
    nonisolated(unsafe) private var joinable = pthread_t()
    private let identifier: Atomic<pthread_t>

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// - Throws: `log_failed` when the system gives no thread.
    init(_ body: @escaping @Sendable () -> Void) throws(ApusError) {
        self.identifier = Atomic(0)
        let context = Unmanaged.passRetained(Body(body))
        let rc = pthread_create(&self.joinable, nil, logThreadMain, context.toOpaque())
        guard rc == 0 else {
            context.release()
            throw ApusError(
                .logFailed,
                "cannot start a thread of the event log: \(String(cString: strerror(rc))); raise the limit of processes"
            )
        }
        self.identifier.store(self.joinable, ordering: .releasing)
    }

    var isCurrent: Bool { self.identifier.load(ordering: .acquiring) == pthread_self() }

    func join() { pthread_join(self.joinable, nil) }

    fileprivate static func run(_ context: UnsafeMutableRawPointer) {
        Unmanaged<Body>.fromOpaque(context).takeRetainedValue().run()
    }
}

extension Mutex where Value == LogThread? {
    /// Waits for the end of the thread, once; what its body waits for must say so before.
    borrowing func join() {
        let thread = self.withLock { thread in
            defer { thread = nil }
            return thread
        }
        thread?.join()
    }
}

private func logThreadMain(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    if let context { LogThread.run(context) }
    return nil
}
