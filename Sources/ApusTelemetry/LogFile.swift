public import ApusCore
internal import Glibc
internal import Synchronization

/// The file that a log writes to, begun anew when it has grown to its bound or when somebody else moved it away.
///
/// Lines are appended without a lock: the descriptor keeps its number for the life of the process, and a new file takes the old
/// one's place under it in one step. Whoever writes the line that reaches the bound turns the files over; the others meanwhile
/// write to the old one. Nothing here throws after the start: a full disk or a folder that was taken away costs lines, never the server.
public final class LogFile: Sendable {
    let descriptor: CInt
    private let path: String
    private let maxBytes: Int
    private let keep: Int
    private let size: Atomic<Int>
    private let isTurning = Atomic<Bool>(false)
    private let failures = Atomic<Int>(0)

    /// Opens the file, or makes it, readable to its owner and group.
    /// - Parameters:
    ///   - maxBytes: what it may grow to.
    ///   - keep: old files that stay, `path.1` being the newest; 0 never turns over.
    /// - Throws: `configuration_invalid` when it cannot be written.
    public init(path: String, maxBytes: Int, keep: Int) throws(ApusError) {
        let descriptor = Self.open(path)
        guard descriptor >= 0 else {
            throw ApusError(
                .configurationInvalid,
                "`log.file`: cannot write \(path): \(String(cString: strerror(errno))); the server's user must own its folder"
            )
        }
        self.descriptor = descriptor
        self.path = path
        self.maxBytes = maxBytes
        self.keep = keep
        self.size = Atomic(Self.size(of: descriptor))
    }

    deinit { close(self.descriptor) }

    /// Times that a new file could not be begun.
    public var failedTurns: Int { self.failures.load(ordering: .relaxed) }

    /// Opens the path anew, for whoever moved the file away. From any thread.
    public func reopen() {
        guard !self.isTurning.exchange(true, ordering: .acquiringAndReleasing) else { return }
        self.begin()
        self.isTurning.store(false, ordering: .releasing)
    }

    /// So many bytes were appended.
    func grew(by count: Int) {
        let size = self.size.add(count, ordering: .relaxed).newValue
        guard size >= self.maxBytes, self.keep > 0, !self.isTurning.exchange(true, ordering: .acquiringAndReleasing)
        else {
            return
        }
        // Another thread may have turned between the sum and the claim.
        if self.size.load(ordering: .relaxed) >= self.maxBytes {
            self.shift()
            self.begin()
        }
        self.isTurning.store(false, ordering: .releasing)
    }

    /// `path.1` becomes `path.2` and so on; the oldest is replaced.
    private func shift() {
        for number in stride(from: self.keep - 1, through: 1, by: -1) {
            rename("\(self.path).\(number)", "\(self.path).\(number + 1)")
        }
        rename(self.path, "\(self.path).1")
    }

    private func begin() {
        let fresh = Self.open(self.path)
        guard fresh >= 0 else {
            self.failures.add(1, ordering: .relaxed)
            // Tried again after as much as fits a whole file, not with each line.
            self.size.store(0, ordering: .relaxed)
            return
        }
        dup2(fresh, self.descriptor)
        _ = fcntl(self.descriptor, F_SETFD, FD_CLOEXEC)
        self.size.store(Self.size(of: self.descriptor), ordering: .relaxed)
        close(fresh)
    }

    private static func open(_ path: String) -> CInt {
        let flags = O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC
        return Glibc.open(path, flags, 0o640)
    }

    private static func size(of descriptor: CInt) -> Int {
        var status = stat()
        return fstat(descriptor, &status) == 0 ? Int(status.st_size) : 0
    }
}
