public import ApusCore
public import Glibc

/// The server's folder: made as root with mode 0700 and given to the server's own user.
public enum DataDirectory {
    static let folders = ["bundles", "layers", "run"]

    /// Makes what is missing and hands all of it to the user. As root, before privileges are dropped.
    /// - Throws: `data_directory_invalid`.
    public static func prepare(_ path: String, user: uid_t, group: gid_t) throws(ApusError) {
        guard path.hasPrefix("/") else {
            throw ApusError(.dataDirectoryInvalid, "the data directory '\(path)' must be an absolute path")
        }
        try Self.make(path, user: user, group: group)
        for folder in Self.folders { try Self.make("\(path)/\(folder)", user: user, group: group) }
        // Another user's server may have run here before: its files stay readable to the one that runs now.
        for file in ["log.mdb", "log.mdb-lock", "state.db", "state.db-wal", "state.db-shm", "run/admin.token", "run/lock"] {
            let file = "\(path)/\(file)"
            if access(file, F_OK) == 0, lchown(file, user, group) != 0 { throw Self.failure(file) }
        }
    }

    /// Makes the folder itself, for the nursery, which opens it before it tells who the server's user is.
    /// - Throws: `data_directory_invalid`.
    public static func prepareFolder(_ path: String) throws(ApusError) {
        guard path.hasPrefix("/") else {
            throw ApusError(.dataDirectoryInvalid, "the data directory '\(path)' must be an absolute path")
        }
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw Self.failure(path) }
        try Self.checkFree(path)
        for folder in Self.folders where mkdir("\(path)/\(folder)", 0o700) != 0 && errno != EEXIST { throw Self.failure("\(path)/\(folder)") }
    }

    /// The log locks the folder while it is open. Looking first keeps a second server from changing the owner of what the first uses.
    private static func checkFree(_ path: String) throws(ApusError) {
        let descriptor = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(path) }
        defer { close(descriptor) }
        guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
            throw ApusError(
                .dataDirectoryInUse, "another server uses the data directory \(path): stop it or choose another with --data")
        }
    }

    private static func make(_ path: String, user: uid_t, group: gid_t) throws(ApusError) {
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw Self.failure(path) }
        var status = stat()
        guard lstat(path, &status) == 0 else { throw Self.failure(path) }
        guard status.st_mode & S_IFMT == S_IFDIR else {
            throw ApusError(.dataDirectoryInvalid, "\(path) is not a folder: give another --data, or move it away")
        }
        guard chmod(path, 0o700) == 0, lchown(path, user, group) == 0 else { throw Self.failure(path) }
    }

    private static func failure(_ path: String) -> ApusError {
        ApusError(.dataDirectoryInvalid, "cannot use \(path): \(String(cString: strerror(errno)))")
    }
}
