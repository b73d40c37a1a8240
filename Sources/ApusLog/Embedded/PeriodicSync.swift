internal import ApusCore
internal import Synchronization

/// Brings what was committed to the disk now and then, on a thread of its own, so that the writer does not wait for the
/// disk. For durability `process`.
final class PeriodicSync: Sendable {
    private let isClosing = Monitor(false)
    private let thread: LogThread

    init(_ environment: Environment, interval: TimeSpan) throws(ApusError) {
        let isClosing = self.isClosing
        self.thread = try LogThread {
            while isClosing.take(within: Int(max(1, interval.milliseconds)), { $0 ? true : nil }) == nil {
                // A failure shows at the next commit or at close; what was acknowledged promises no more than the
                // kernel's memory.
                do throws(LMDBFailure) { try environment.sync() } catch {}
            }
        }
    }

    func close() {
        self.isClosing.withLock { $0 = true }
        self.isClosing.signal()
        self.thread.join()
    }
}
