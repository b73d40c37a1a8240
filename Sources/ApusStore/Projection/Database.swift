internal import ApusCore
internal import CSQLite

/// One connection to an SQLite file, used by one thread only.
///
/// Write-ahead log, `synchronous = NORMAL`: a power loss may take the last transactions, never damage the file, and what a
/// projection lost it follows again from the offsets it holds.
final class Database {
    private let handle: OpaquePointer
    let path: String

    static let busyMilliseconds: CInt = 5_000

    /// - Throws: `projection_failed`.
    init(path: String) throws(ApusError) {
        var handle: OpaquePointer?
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_NOFOLLOW
        let code = sqlite3_open_v2(path, &handle, flags, nil)
        guard let handle else { throw ApusError(.projectionFailed, "SQLite has no memory to open '\(path)'") }
        guard code == SQLITE_OK else {
            let message = String(cString: sqlite3_errmsg(handle))
            sqlite3_close_v2(handle)
            throw ApusError(.projectionFailed, "'\(path)' cannot be opened: \(message)")
        }
        self.handle = handle
        self.path = path
        sqlite3_busy_timeout(handle, Self.busyMilliseconds)
        try self.execute("PRAGMA journal_mode = WAL")
        try self.execute("PRAGMA synchronous = NORMAL")
    }

    // Statements that outlive the connection's owner keep it open until the last is finalised.
    deinit { sqlite3_close_v2(self.handle) }

    /// Runs statements without parameters and drops their rows.
    func execute(_ sql: String) throws(ApusError) {
        guard sqlite3_exec(self.handle, sql, nil, nil, nil) == SQLITE_OK else { throw self.failure(sql) }
    }

    func prepare(_ sql: String) throws(ApusError) -> Statement {
        var statement: OpaquePointer?
        let code = sqlite3_prepare_v3(self.handle, sql, -1, UInt32(SQLITE_PREPARE_PERSISTENT), &statement, nil)
        guard code == SQLITE_OK, let statement else { throw self.failure(sql) }
        return Statement(adopting: statement, of: self.handle)
    }

    /// All of `body`'s changes or none.
    func transaction<Value>(_ body: () throws(ApusError) -> Value) throws(ApusError) -> Value {
        try self.execute("BEGIN IMMEDIATE")
        do {
            let value = try body()
            try self.execute("COMMIT")
            return value
        } catch {
            // A failed statement may have rolled back by itself, so that this has nothing left to do and says so.
            _ = sqlite3_exec(self.handle, "ROLLBACK", nil, nil, nil)
            throw error
        }
    }

    /// Rows changed by the last statement.
    var changes: Int { Int(sqlite3_changes64(self.handle)) }

    private func failure(_ sql: String) -> ApusError { Statement.failure(self.handle, sql) }
}
