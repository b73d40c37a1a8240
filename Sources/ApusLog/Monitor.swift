// For the members of `timespec`, which the compiler counts to the first C module that includes it.
internal import CLMDB
internal import Glibc

/// State behind a lock, with a condition that threads can wait on.
///
/// `Mutex` has no condition. The lock is held for a few lines only, never over a system call other than the wait
/// itself.
final class Monitor<State>: @unchecked Sendable {
    // SAFETY: `state` is touched only between lock and unlock; the two pointers are stable for the life of the object.
    private var state: State
    private let mutex: UnsafeMutablePointer<pthread_mutex_t>
    private let condition: UnsafeMutablePointer<pthread_cond_t>

    init(_ state: sending State) {
        self.state = state
        self.mutex = .allocate(capacity: 1)
        self.condition = .allocate(capacity: 1)
        pthread_mutex_init(self.mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        // A step of the wall clock must not lengthen or shorten a wait.
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(self.condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(self.condition)
        pthread_mutex_destroy(self.mutex)
        self.condition.deallocate()
        self.mutex.deallocate()
    }

    func withLock<Result>(_ body: (inout State) -> Result) -> Result {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        return body(&self.state)
    }

    /// Wakes everyone who waits.
    func signal() { pthread_cond_broadcast(self.condition) }

    /// Waits until `take` gives a value, and returns it; nil when that did not happen within `milliseconds` (nil: no
    /// bound, for waits that another thread of this module is sure to end).
    func take<Result>(within milliseconds: Int?, _ take: (inout State) -> Result?) -> Result? {
        var deadline = timespec()
        if let milliseconds {
            clock_gettime(CLOCK_MONOTONIC, &deadline)
            let nanoseconds = deadline.tv_nsec + milliseconds % 1_000 * 1_000_000
            deadline.tv_sec += milliseconds / 1_000 + nanoseconds / 1_000_000_000
            deadline.tv_nsec = nanoseconds % 1_000_000_000
        }
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        while true {
            if let result = take(&self.state) { return result }
            guard milliseconds != nil else {
                pthread_cond_wait(self.condition, self.mutex)
                continue
            }
            if pthread_cond_timedwait(self.condition, self.mutex, &deadline) == ETIMEDOUT { return take(&self.state) }
        }
    }
}
