internal import CLMDB
internal import Glibc
internal import Synchronization

/// The open LMDB file. Whoever reads or writes holds a reference; ``close()`` comes after the last transaction.
final class Environment: Sendable {
    // SAFETY: LMDB allows an environment to be used from every thread; it is closed once, guarded by `isClosed`.
    nonisolated(unsafe) let handle: OpaquePointer
    let path: String
    let pageBytes: Int
    let mapBytes: Int
    private let isClosed = Atomic<Bool>(false)

    /// - Parameters:
    ///   - tables: named tables that may be open.
    ///   - readers: read transactions that may be open, the writer's own included.
    init(path: String, mapBytes: Int, tables: Int, readers: Int, syncsCommits: Bool) throws(LMDBFailure) {
        var created: OpaquePointer?
        try check(mdb_env_create(&created), "create the environment")
        guard let handle = created else { throw LMDBFailure(ENOMEM, "create the environment") }
        let pageBytes = Int(sysconf(CInt(_SC_PAGESIZE)))
        // LMDB wants whole pages.
        let mapBytes = (mapBytes + pageBytes - 1) / pageBytes * pageBytes
        // Never MDB_WRITEMAP: a stray write of this process would reach the file.
        let flags = MDB_NOSUBDIR | MDB_NOTLS | (syncsCommits ? 0 : MDB_NOSYNC)
        do throws(LMDBFailure) {
            try check(mdb_env_set_mapsize(handle, mapBytes), "set the size of the map")
            try check(mdb_env_set_maxdbs(handle, UInt32(tables)), "set the number of tables")
            try check(mdb_env_set_maxreaders(handle, UInt32(readers)), "set the number of readers")
            try check(mdb_env_open(handle, path, UInt32(flags), 0o600), "open")
        } catch {
            mdb_env_close(handle)
            throw error
        }
        self.handle = handle
        self.path = path
        var stat = MDB_stat()
        mdb_env_stat(handle, &stat)
        self.pageBytes = Int(stat.ms_psize)
        var info = MDB_envinfo()
        mdb_env_info(handle, &info)
        self.mapBytes = info.me_mapsize
    }

    deinit { self.close() }

    /// Harmless when closed already.
    func close() {
        if !self.isClosed.exchange(true, ordering: .acquiringAndReleasing) { mdb_env_close(self.handle) }
    }

    /// Pages that were ever used, which is what the file holds.
    var usedPages: Int {
        var info = MDB_envinfo()
        mdb_env_info(self.handle, &info)
        return info.me_last_pgno + 1
    }

    /// Lets go of what this process has looked at: the pages stay in the cache of the system, and whoever needs one again finds it there.
    /// Readers may be at work.
    func giveBackPages() {
        // Failing costs memory and nothing else.
        guard let map = self.map else { return }
        _ = madvise(map.baseAddress, min(map.count, self.usedPages * self.pageBytes), MADV_DONTNEED)
    }

    /// Where the file is mapped. LMDB tells it for fixed addresses only, so it is looked for where the system lists what it mapped.
    private var map: UnsafeMutableRawBufferPointer? {
        guard let list = fopen("/proc/self/maps", "re") else { return nil }
        defer { fclose(list) }
        var line: UnsafeMutablePointer<CChar>?
        var room = 0
        defer { free(line) }
        while getline(&line, &room, list) > 0 {
            guard let line, let path = strchr(line, CInt(UInt8(ascii: "/"))) else { continue }
            path[strcspn(path, "\n")] = 0
            guard strcmp(path, self.path) == 0 else { continue }
            var end: UnsafeMutablePointer<CChar>?
            let first = strtoul(line, &end, 16)
            guard let end else { return nil }
            let last = strtoul(end + 1, nil, 16)
            return UnsafeMutableRawBufferPointer(
                start: UnsafeMutableRawPointer(bitPattern: first), count: Int(last - first))
        }
        return nil
    }

    /// Brings everything committed to the disk, whatever the durability.
    func sync() throws(LMDBFailure) { try check(mdb_env_sync(self.handle, 1), "sync") }

    /// Bytes that an unprivileged process may still write to the file system.
    var diskAvailable: Int64 {
        var stat = statvfs()
        guard statvfs(self.path, &stat) == 0 else { return 0 }
        return Int64(clamping: UInt64(stat.f_bavail) * UInt64(stat.f_frsize))
    }
}
