public import ApusCore
public import Glibc

/// The folder of the server's own log file, where the server, not root any more, begins new files.
///
/// A folder that is there is its owner's business: only one that was made here, or that belongs to a user of the nursery's blocks
/// (a server without an account before this one), is given to the server. Everything goes through descriptors: who owned the folder
/// before may still run.
public enum LogFolder {
    /// As root, before privileges are dropped.
    /// - Throws: `configuration_invalid`.
    public static func prepare(for file: String, user: uid_t, group: gid_t) throws(ApusError) {
        guard let slash = file.lastIndex(of: "/") else { return }
        let folder = slash == file.startIndex ? "/" : String(file[..<slash])
        let isMade = mkdir(folder, 0o750) == 0
        guard isMade || errno == EEXIST else { throw Self.failure(folder) }
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(folder) }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure(folder) }
        guard isMade || DataDirectory.blockUsers.contains(status.st_uid) else { return }
        guard fchown(descriptor, user, group) == 0 else { throw Self.failure(folder) }
        let name = String(file[file.index(after: slash)...])
        let log = openat(descriptor, name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        guard log >= 0 else { return }
        defer { close(log) }
        guard fstat(log, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
            DataDirectory.blockUsers.contains(status.st_uid)
        else { return }
        guard fchown(log, user, group) == 0 else { throw Self.failure(file) }
    }

    private static func failure(_ path: String) -> ApusError {
        ApusError(.configurationInvalid, "`log.file`: cannot use \(path): \(String(cString: strerror(errno)))")
    }
}
