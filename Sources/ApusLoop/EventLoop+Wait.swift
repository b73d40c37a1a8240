internal import Glibc
internal import Synchronization

extension EventLoop {
    /// Runs `body` on the loop and waits for it: for starting and stopping, from a thread that may block. Never from the loop.
    public func runAndWait<Result: Sendable>(_ body: @escaping @Sendable () -> Result) -> Result {
        precondition(!self.isCurrent, "the loop cannot wait for itself")
        let slot = ResultSlot<Result>()
        self.post { slot.fill(body()) }
        return slot.take()
    }
}

/// A place for one value that one thread fills and another waits for.
public final class ResultSlot<Value: Sendable>: Sendable {
    private let value = Mutex<Value?>(nil)
    // SAFETY: a semaphore at a stable heap address, used only through its calls, which synchronise.
    nonisolated(unsafe) private let filled: UnsafeMutablePointer<sem_t>

    public init() {
        self.filled = .allocate(capacity: 1)
        sem_init(self.filled, 0, 0)
    }

    deinit {
        sem_destroy(self.filled)
        self.filled.deallocate()
    }

    /// Call once.
    public func fill(_ value: sending Value) {
        self.value.withLock { $0 = value }
        sem_post(self.filled)
    }

    /// Waits until the value is there. Call once.
    public func take() -> Value {
        while true {
            while sem_wait(self.filled) != 0 {}
            if let value = self.value.withLock({ $0 }) { return value }
        }
    }
}
