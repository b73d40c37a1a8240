internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import Glibc

/// Where a backup goes: a file that has its name only once it is whole and on the disk, or standard output.
final class BackupTarget {
    /// The file's name; `-` for standard output.
    let path: String
    private let partial: String
    private let terminal: any Terminal
    private var descriptor: CInt = -1

    var isStandardOutput: Bool { self.path == "-" }

    init(_ target: String, isForced: Bool, _ terminal: any Terminal) throws {
        self.terminal = terminal
        guard target != "-" else {
            (self.path, self.partial) = ("-", "")
            return
        }
        var status = stat()
        let isFolder = stat(target, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
        let stamp = RFC3339.format(terminal.now).prefix(19).filter { $0 != "-" && $0 != ":" }
        self.path = isFolder ? "\(target)/apus-\(stamp)Z.backup" : target
        if !isForced, access(self.path, F_OK) == 0 {
            throw ApusError(.alreadyExists, "\(self.path) is there already: give another name, a folder, or --force")
        }
        self.partial = "\(self.path).partial-\(getpid())"
        // Everything that the server knows is in it.
        self.descriptor = open(self.partial, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0o600)
        if self.descriptor < 0 { throw Self.failure("write", self.partial) }
    }

    func write(_ bytes: [UInt8]) throws {
        guard self.descriptor >= 0 else { return try self.terminal.write(bytes) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { Glibc.write(self.descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure("write", self.partial)
            }
            written += count
        }
    }

    /// Brings the file to the disk and gives it its name.
    func finish() throws(ApusError) {
        guard self.descriptor >= 0 else { return }
        guard fsync(self.descriptor) == 0, rename(self.partial, self.path) == 0 else {
            throw Self.failure("write", self.path)
        }
        close(self.descriptor)
        self.descriptor = -1
        let folder = self.path.lastIndex(of: "/").map { String(self.path[...$0]) } ?? "."
        let opened = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard opened >= 0 else { throw Self.failure("sync", folder) }
        defer { close(opened) }
        guard fsync(opened) == 0 else { throw Self.failure("sync", folder) }
    }

    /// Leaves nothing behind.
    func abandon() {
        guard self.descriptor >= 0 else { return }
        close(self.descriptor)
        self.descriptor = -1
        unlink(self.partial)
    }

    static func failure(_ what: String, _ path: String) -> ApusError {
        let number = errno
        let reason = String(cString: strerror(number))
        guard number != ENOSPC, number != EDQUOT else {
            return ApusError(
                .diskFull, "the disk is full: cannot \(what) \(path): \(reason); make room, or give another disk")
        }
        return ApusError(.invalidArgument, "cannot \(what) \(path): \(reason); give a place where this user may write")
    }
}

/// Where a backup comes from.
final class BackupSource {
    let path: String
    private let terminal: any Terminal
    private var descriptor: CInt = -1

    init(_ path: String, _ terminal: any Terminal) throws {
        self.path = path
        self.terminal = terminal
        guard path != "-" else { return }
        self.descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard self.descriptor >= 0 else {
            throw ApusError(
                .notFound, "cannot open the backup \(path): \(String(cString: strerror(errno))); give a file to read")
        }
    }

    deinit { if self.descriptor >= 0 { close(self.descriptor) } }

    /// The next bytes; empty at the end.
    func read() throws -> [UInt8] {
        guard self.descriptor >= 0 else { return try self.terminal.readInput() }
        while true {
            var count = 0
            let bytes = [UInt8](unsafeUninitializedCapacity: Limits.Backup.gatherBytes) { buffer, initialized in
                count = Glibc.read(self.descriptor, buffer.baseAddress, buffer.count)
                initialized = max(0, count)
            }
            if count >= 0 { return bytes }
            guard errno == EINTR else {
                throw ApusError(
                    .invalidArgument, "cannot read the backup \(self.path): \(String(cString: strerror(errno)))")
            }
        }
    }
}

/// How far a backup has come, in one line that a person sees.
struct BackupProgress {
    private let terminal: any Terminal
    private var shown = Timestamp.zero
    private var isOpen = false

    init(_ terminal: any Terminal) { self.terminal = terminal }

    mutating func show(_ counts: BackupCounts) {
        let now = self.terminal.now
        guard self.terminal.isErrorInteractive, now - self.shown > .milliseconds(200) else { return }
        self.shown = now
        self.isOpen = true
        self.terminal.writeError("\r\u{1B}[K\(counts.text)")
    }

    mutating func end() {
        if self.isOpen { self.terminal.writeError("\r\u{1B}[K") }
        self.isOpen = false
    }
}

extension BackupCounts {
    var text: String {
        let mebibytes = self.bytes / 104_858
        return
            "\(self.records) records of \(self.topics) topics, \(self.bundles) bundles, \(mebibytes / 10).\(mebibytes % 10) MiB"
    }

    func json(file: String) -> JSONValue {
        [
            "file": .string(file), "topics": .number(self.topics), "entries": .number(self.entries),
            "records": .number(self.records), "bundles": .number(self.bundles), "bytes": .number(self.bytes),
        ]
    }
}
