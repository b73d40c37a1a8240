internal import ApusCore
internal import Glibc
internal import Synchronization

/// Waits for a driver to be opened on another thread, and no longer than it may take.
final class DriverOpening: @unchecked Sendable {
    // SAFETY: the result is locked; the driver in it is touched by the thread that opened it only.
    typealias Opened = Result<(NVMLDriver, [FoundDevice]), ApusError>

    private let ends: (CInt, CInt)
    private let lock = Mutex(())
    private var result: Opened?

    init() {
        var ends: [CInt] = [-1, -1]
        if pipe(&ends) != 0 { ends = [-1, -1] }
        self.ends = (ends[0], ends[1])
    }

    deinit {
        close(self.ends.0)
        close(self.ends.1)
    }

    func finish(_ result: Opened) {
        self.lock.withLock { _ in self.result = result }
        var byte: UInt8 = 1
        _ = write(self.ends.1, &byte, 1)
    }

    /// - Returns: nil when the time is over.
    func wait(milliseconds: Int32) -> Opened? {
        var descriptor = pollfd(fd: self.ends.0, events: Int16(POLLIN), revents: 0)
        poll(&descriptor, 1, milliseconds)
        return self.lock.withLock { _ in self.result }
    }
}
