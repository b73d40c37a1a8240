internal import ApusCore
internal import ApusCrypto
internal import Glibc

/// A result on disk. The file has no name: nothing of it is left when the server ends, however it ends. Whole and never changed.
final class ResultFile: ResultSource, Sendable {
    private let descriptor: CInt
    let size: Int
    /// SHA-256, in hexadecimal digits.
    let digest: String
    /// How many lines have ended before each multiple of ``Limits/ToolEndpoint/lineMarkBytes``.
    private let marks: [UInt32]

    fileprivate init(descriptor: CInt, size: Int, digest: String, marks: [UInt32]) {
        self.descriptor = descriptor
        self.size = size
        self.digest = digest
        self.marks = marks
    }

    deinit { close(self.descriptor) }

    /// - Throws: `internal_error` for a disk that gives back less than it took.
    func read(_ range: Range<Int>) throws(ApusError) -> [UInt8] {
        let range = range.clamped(to: 0..<self.size)
        var bytes = [UInt8](repeating: 0, count: range.count)
        var at = 0
        while at < bytes.count {
            let count = bytes.withUnsafeMutableBytes { buffer in
                pread(self.descriptor, buffer.baseAddress.map { $0 + at }, buffer.count - at, off_t(range.lowerBound + at))
            }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ApusError(.internal, "a result that was kept cannot be read: \(String(cString: strerror(errno)))") }
            at += count
        }
        return bytes
    }

    func start(ofLine line: Int) throws(ApusError) -> Int {
        let wanted = line - 1
        guard wanted > 0 else { return 0 }
        // The last mark before which fewer lines have ended than must have.
        var (low, high) = (0, self.marks.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if Int(self.marks[middle]) < wanted { low = middle } else { high = middle }
        }
        var ended = Int(self.marks[low])
        let from = low * Limits.ToolEndpoint.lineMarkBytes
        for (at, byte) in try self.read(from..<from + Limits.ToolEndpoint.lineMarkBytes).enumerated() where byte == 0x0A {
            ended += 1
            if ended == wanted { return from + at + 1 }
        }
        return self.size
    }
}

/// A result that is being written to disk. What it holds goes with it, unless it is finished.
final class ResultWriter {
    /// From `open` to `finished`.
    private enum State {
        case open(CInt)
        case finished
    }

    private var state: State
    private var hash = SHA256()
    private var marks: [UInt32] = [0]
    private var lines: UInt32 = 0
    private(set) var size = 0
    private let most: Int

    /// - Parameter folder: where the file has a name for a moment; ``sweep(_:)`` takes one that was left there.
    /// - Throws: `disk_full`.
    init(in folder: String, most: Int) throws(ApusError) {
        let path = "\(folder)/\(Self.prefix)\(Hex.encode(Random.bytes(16)))"
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw Self.failure() }
        guard unlink(path) == 0 else {
            close(descriptor)
            throw Self.failure()
        }
        self.state = .open(descriptor)
        self.most = most
    }

    deinit { if case .open(let descriptor) = self.state { close(descriptor) } }

    private static let prefix = "result-"

    private static func failure() -> ApusError {
        ApusError(.diskFull, "a large result cannot be kept on the server's disk: \(String(cString: strerror(errno)))")
    }

    /// Removes what a server left that was killed between the making of a file and the taking of its name.
    static func sweep(_ folder: String) {
        guard let directory = opendir(folder) else { return }
        defer { closedir(directory) }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name.hasPrefix(Self.prefix) { unlink("\(folder)/\(name)") }
        }
    }

    /// - Throws: `disk_full`; `result_too_large` for more than room was made for.
    func write(_ bytes: [UInt8]) throws(ApusError) {
        guard case .open(let descriptor) = self.state else { return }
        guard self.size + bytes.count <= self.most else {
            throw ApusError(.resultTooLarge, "the result has more than the \(self.most) bytes that it may have")
        }
        var at = 0
        while at < bytes.count {
            let count = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress.map { $0 + at }, $0.count - at) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw Self.failure() }
            at += count
        }
        self.hash.update(bytes)
        self.countLines(bytes)
        self.size += bytes.count
    }

    private func countLines(_ bytes: [UInt8]) {
        let step = Limits.ToolEndpoint.lineMarkBytes
        bytes.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return }
            var at = 0
            while at < bytes.count {
                let end = min(bytes.count, self.marks.count * step - self.size)
                while at < end, let found = memchr(base + at, 0x0A, end - at) {
                    self.lines += 1
                    at = UnsafeRawPointer(found) - base + 1
                }
                at = end
                if self.size + at == self.marks.count * step { self.marks.append(self.lines) }
            }
        }
    }

    func finish() -> ResultFile? {
        guard case .open(let descriptor) = self.state else { return nil }
        self.state = .finished
        let hash = exchange(&self.hash, with: SHA256())
        return ResultFile(descriptor: descriptor, size: self.size, digest: Hex.encode(hash.finish()), marks: self.marks)
    }
}
