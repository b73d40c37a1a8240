internal import ApusCore
internal import Glibc

/// The few file system calls this module makes, each with an error that says what failed and where.
enum FileTree {
    /// The error of the call that failed last, from `errno`.
    static func failure(_ call: String, _ path: String) -> ApusError {
        let number = errno
        let reason = String(cString: strerror(number))
        if number == ENOSPC || number == EDQUOT {
            return ApusError(.diskFull, "the disk is full: \(call) '\(path)': \(reason); make room and try again")
        }
        return ApusError(
            .dataDirectoryInvalid, "\(call) '\(path)': \(reason); check that the folder exists and belongs to this user"
        )
    }

    static func isDirectory(_ path: String) -> Bool {
        var status = stat()
        return lstat(path, &status) == 0 && status.st_mode & S_IFMT == S_IFDIR
    }

    /// Makes a directory unless it is there. The mode holds whatever the umask says.
    static func makeDirectory(_ path: String, mode: mode_t) throws(ApusError) {
        if mkdir(path, mode) != 0 {
            guard errno == EEXIST, Self.isDirectory(path) else { throw Self.failure("mkdir", path) }
            return
        }
        guard chmod(path, mode) == 0 else { throw Self.failure("chmod", path) }
    }

    /// The names in a directory, without `.` and `..`, in no order.
    static func names(in path: String) throws(ApusError) -> [String] {
        guard let directory = opendir(path) else { throw Self.failure("opendir", path) }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if name != "." && name != ".." { names.append(name) }
        }
        return names
    }

    /// Removes a file, or a directory with all in it. Harmless when it is not there. Links are removed, not followed.
    static func remove(_ path: String) throws(ApusError) {
        if Self.isDirectory(path) {
            // A sealed folder is its owner's, but nobody's to write.
            _ = chmod(path, 0o700)
            for name in try Self.names(in: path) { try Self.remove("\(path)/\(name)") }
            guard rmdir(path) == 0 else { throw Self.failure("rmdir", path) }
            return
        }
        guard unlink(path) == 0 || errno == ENOENT else { throw Self.failure("unlink", path) }
    }

    /// Writes a file that must not be there yet, and syncs it.
    static func writeNew(_ path: String, _ bytes: [UInt8], mode: mode_t) throws(ApusError) {
        let descriptor = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode)
        guard descriptor >= 0 else { throw Self.failure("open", path) }
        defer { _ = close(descriptor) }
        guard fchmod(descriptor, mode) == 0 else { throw Self.failure("chmod", path) }
        var written = 0
        while written < bytes.count {
            let count = bytes[written...].withUnsafeBytes { write(descriptor, $0.baseAddress, $0.count) }
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure("write", path)
            }
            written += count
        }
        guard fsync(descriptor) == 0 else { throw Self.failure("fsync", path) }
    }

    /// Reads a whole regular file of at most `limit` bytes; one more byte than that is read when it is larger.
    static func read(_ path: String, limit: Int) throws(ApusError) -> [UInt8] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
        guard descriptor >= 0 else { throw Self.failure("open", path) }
        defer { _ = close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 64 * 1024)
        while bytes.count <= limit {
            let wanted = min(chunk.count, limit + 1 - bytes.count)
            let count = chunk.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress, wanted) }
            if count < 0 {
                if errno == EINTR { continue }
                throw Self.failure("read", path)
            }
            if count == 0 { break }
            bytes.append(contentsOf: chunk[..<count])
        }
        return bytes
    }

    /// When something was made or last marked as used.
    static func changed(_ path: String) throws(ApusError) -> Timestamp {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw Self.failure("stat", path) }
        return Timestamp(
            microseconds: Int64(status.st_mtim.tv_sec) * 1_000_000 + Int64(status.st_mtim.tv_nsec) / 1_000)
    }

    /// Marks as used now.
    static func touch(_ path: String) throws(ApusError) {
        guard utimensat(AT_FDCWD, path, nil, AT_SYMLINK_NOFOLLOW) == 0 else { throw Self.failure("utimensat", path) }
    }

    /// Bytes of the disk that a file or folder takes with all in it.
    static func bytes(_ path: String) throws(ApusError) -> Int64 {
        var status = stat()
        guard lstat(path, &status) == 0 else { throw Self.failure("stat", path) }
        var total = Int64(status.st_blocks) * 512
        if status.st_mode & S_IFMT == S_IFDIR {
            for name in try Self.names(in: path) { total += try Self.bytes("\(path)/\(name)") }
        }
        return total
    }

    /// Makes what was created or renamed in a directory survive a power loss.
    static func sync(_ path: String) throws(ApusError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure("open", path) }
        defer { _ = close(descriptor) }
        guard fsync(descriptor) == 0 else { throw Self.failure("fsync", path) }
    }
}
