public import ApusCore
internal import ApusStore
public import Glibc

/// The server's folder: made as root with mode 0700 and given to the server's own user.
///
/// Whoever ran here before may still have a process and owns what is in the folder, while this runs as root. So nothing is changed by
/// name: each entry is opened without following a link, looked at, and changed through its descriptor.
public enum DataDirectory {
    static let folders = ["bundles", "layers", "run"]
    static let files = [
        "log.mdb", "log.mdb-lock", "log.mdb-boot", "kafka-keys.mdb", "kafka-keys.mdb-lock", "kafka-keys.mdb-boot",
        "state.db", "state.db-wal", "state.db-shm", "run/admin.token", "run/master.key",
        "run/lock", "run/node", "devices", "devices.new", "pool.record",
    ]
    /// Where the nursery's blocks of uids lie: a server without an account has the first uid of one.
    static let blockUsers: Range<uid_t> = 2_000_000_000..<2_000_131_072

    /// Makes what is missing and hands all of it to the user. As root, before privileges are dropped.
    /// - Throws: `data_directory_invalid`.
    public static func prepare(_ path: String, user: uid_t, group: gid_t) throws(ApusError) {
        let top = try Self.open(path)
        defer { close(top) }
        let previous = try Self.status(top, path).st_uid
        // Root's for now: nobody can put anything else into it meanwhile.
        guard fchown(top, 0, 0) == 0, fchmod(top, 0o700) == 0 else { throw Self.failure(path) }
        let owners = [previous, user]
        for folder in Self.folders { try Self.hand(folder, of: top, in: path, from: owners, to: user, group) }
        if previous != user {
            // Another user's server may have run here before: its files stay readable to the one that runs now.
            for file in Self.files { try Self.hand(file: file, of: top, in: path, from: previous, to: user, group) }
            // So that retention can remove them, also after a restore by root.
            try Self.handTree("bundles", of: top, in: path, from: owners, to: user, group, depth: 0)
            // Weights have a second name in each set that they are in.
            if faccessat(top, "weights", F_OK, AT_SYMLINK_NOFOLLOW) == 0 {
                try Self.handTree(
                    "weights", of: top, in: path, from: owners, to: user, group, depth: 0, isLinked: true)
            }
        }
        guard fchown(top, user, group) == 0 else { throw Self.failure(path) }
    }

    /// Makes what is missing, for a server without root: all of it belongs to whoever started it already.
    /// - Throws: `data_directory_invalid`.
    public static func prepareOwn(_ path: String) throws(ApusError) {
        let top = try Self.open(path)
        defer { close(top) }
        try Self.checkOwn(top, path)
        for folder in Self.folders {
            guard mkdirat(top, folder, 0o700) == 0 || errno == EEXIST else { throw Self.failure("\(path)/\(folder)") }
            let descriptor = openat(top, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            guard descriptor >= 0 else {
                throw ApusError(
                    .dataDirectoryInvalid, "\(path)/\(folder) is not a folder: give another --data, or move it away")
            }
            defer { close(descriptor) }
            try Self.checkOwn(descriptor, "\(path)/\(folder)")
        }
    }

    private static func checkOwn(_ descriptor: CInt, _ path: String) throws(ApusError) {
        let owner = try Self.status(descriptor, path).st_uid
        guard owner == geteuid() else {
            throw ApusError(
                .dataDirectoryInvalid,
                "\(path) belongs to user \(owner), and the server runs as \(geteuid()): give another --data")
        }
        guard fchmod(descriptor, 0o700) == 0 else { throw Self.failure(path) }
    }

    /// Makes the folder itself, for the nursery, which opens it before it tells who the server's user is.
    /// - Parameter isDeep: makes the folders above it too.
    /// - Throws: `data_directory_invalid`; `data_directory_in_use` while another server uses it.
    public static func prepareFolder(_ path: String, isDeep: Bool = false) throws(ApusError) {
        guard path.hasPrefix("/") else {
            throw ApusError(.dataDirectoryInvalid, "the data directory '\(path)' must be an absolute path")
        }
        if isDeep { Self.makeAbove(path) }
        if mkdir(path, 0o700) != 0, errno != EEXIST { throw Self.failure(path) }
        let top = try Self.open(path)
        defer { close(top) }
        // The log locks the folder while it is open. Looking first keeps a second server from changing the owner of what the first uses.
        guard flock(top, LOCK_EX | LOCK_NB) == 0 else {
            throw ApusError(
                .dataDirectoryInUse,
                "another server uses the data directory \(path): stop it or choose another with --data")
        }
    }

    /// What cannot be made is said of the folder itself.
    private static func makeAbove(_ path: String) {
        var place = path.startIndex
        while let slash = path[place...].dropFirst().firstIndex(of: "/") {
            mkdir(String(path[..<slash]), 0o700)
            place = slash
        }
    }

    private static func open(_ path: String) throws(ApusError) -> CInt {
        let descriptor = Glibc.open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        if descriptor < 0, errno == ENOTDIR {
            throw ApusError(.dataDirectoryInvalid, "\(path) is not a folder: give another --data, or move it away")
        }
        guard descriptor >= 0 else { throw Self.failure(path) }
        return descriptor
    }

    private static func status(_ descriptor: CInt, _ path: String) throws(ApusError) -> stat {
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw Self.failure(path) }
        return status
    }

    private static func hand(
        _ folder: String, of top: CInt, in path: String, from owners: [uid_t], to user: uid_t, _ group: gid_t
    ) throws(ApusError) {
        let isMade = mkdirat(top, folder, 0o700) == 0
        guard isMade || errno == EEXIST else { throw Self.failure("\(path)/\(folder)") }
        let descriptor = openat(top, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else {
            throw ApusError(
                .dataDirectoryInvalid, "\(path)/\(folder) is not a folder: give another --data, or move it away")
        }
        defer { close(descriptor) }
        let owner = try Self.status(descriptor, "\(path)/\(folder)").st_uid
        guard isMade || owners.contains(owner) || Self.blockUsers.contains(owner) else {
            throw ApusError(
                .dataDirectoryInvalid,
                "\(path)/\(folder) belongs to user \(owner), not to the server: give another --data, or its owner with `chown -R \(user) \(path)`"
            )
        }
        guard fchmod(descriptor, 0o700) == 0, fchown(descriptor, user, group) == 0 else {
            throw Self.failure("\(path)/\(folder)")
        }
    }

    /// Only what the one before owned, and a file with one name: a second name may be anywhere.
    private static func hand(
        file: String, of top: CInt, in path: String, from previous: uid_t, to user: uid_t, _ group: gid_t
    ) throws(ApusError) {
        var folder = top
        var name = file
        if let slash = file.firstIndex(of: "/") {
            folder = openat(top, String(file[..<slash]), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
            name = String(file[file.index(after: slash)...])
        }
        defer { if folder != top { close(folder) } }
        let descriptor = openat(folder, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
        if descriptor < 0, errno == ENOENT { return }
        guard descriptor >= 0 else { throw Self.failure("\(path)/\(file)") }
        defer { close(descriptor) }
        let status = try Self.status(descriptor, "\(path)/\(file)")
        guard status.st_uid != user else { return }
        guard status.st_mode & S_IFMT == S_IFREG, status.st_nlink == 1,
            status.st_uid == previous || Self.blockUsers.contains(status.st_uid)
        else {
            throw ApusError(
                .dataDirectoryInvalid,
                "\(path)/\(file) is not the server's: expected a regular file of user \(previous) with one name; move it away"
            )
        }
        guard fchown(descriptor, user, group) == 0 else { throw Self.failure("\(path)/\(file)") }
    }

    /// Hands on what lies in a folder: folders and regular files with one name, of the one before only.
    private static func handTree(
        _ name: String, of folder: CInt, in path: String, from owners: [uid_t], to user: uid_t, _ group: gid_t,
        depth: Int, isLinked: Bool = false
    ) throws(ApusError) {
        let place = "\(path)/\(name)"
        guard depth <= Limits.Bundle.depth + 2 else {
            throw ApusError(.dataDirectoryInvalid, "\(place) is too deep: move it away")
        }
        let descriptor = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
        guard descriptor >= 0 else { throw Self.failure(place) }
        guard let directory = fdopendir(descriptor) else {
            close(descriptor)
            throw Self.failure(place)
        }
        defer { closedir(directory) }
        try Self.handOne(descriptor, place, owners, user, group, isLinked: isLinked)
        while let entry = readdir(directory) {
            let child = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: Int(NAME_MAX) + 1) { String(cString: $0) }
            }
            if child == "." || child == ".." { continue }
            if entry.pointee.d_type == UInt8(DT_DIR) {
                try Self.handTree(
                    child, of: descriptor, in: place, from: owners, to: user, group, depth: depth + 1,
                    isLinked: isLinked)
                continue
            }
            // A way out that a server which was killed left: nobody listens there.
            if entry.pointee.d_type == UInt8(DT_SOCK) { continue }
            let file = openat(descriptor, child, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)
            guard file >= 0 else { throw Self.failure("\(place)/\(child)") }
            defer { close(file) }
            try Self.handOne(file, "\(place)/\(child)", owners, user, group, isLinked: isLinked)
        }
    }

    private static func handOne(
        _ descriptor: CInt, _ path: String, _ owners: [uid_t], _ user: uid_t, _ group: gid_t, isLinked: Bool
    ) throws(ApusError) {
        let status = try Self.status(descriptor, path)
        guard status.st_uid != user else { return }
        let isFolder = status.st_mode & S_IFMT == S_IFDIR
        guard isFolder || (status.st_mode & S_IFMT == S_IFREG && (isLinked || status.st_nlink == 1)),
            owners.contains(status.st_uid) || Self.blockUsers.contains(status.st_uid)
        else {
            throw ApusError(
                .dataDirectoryInvalid, "\(path) is not the server's: move it away, or `chown -R` the folder to one user"
            )
        }
        guard fchown(descriptor, user, group) == 0 else { throw Self.failure(path) }
    }

    private static func failure(_ path: String) -> ApusError {
        ApusError(.dataDirectoryInvalid, "cannot use \(path): \(String(cString: strerror(errno)))")
    }
}
