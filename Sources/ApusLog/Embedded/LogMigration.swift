internal import CLMDB

/// Brings a log of an older format to the present one, a format at a time, in the transaction that opens it: all of it, or
/// nothing.
enum LogMigration {
    /// - Parameter format: what the file says; not newer than ``LogTables/format``.
    static func run(from format: UInt32, _ transaction: borrowing WriteTransaction) throws(LMDBFailure) {
        for step in format..<LogTables.format { try Self.step(from: step, transaction) }
    }

    private static func step(from format: UInt32, _ transaction: borrowing WriteTransaction) throws(LMDBFailure) {
        switch format {
        // 2 notes records that outlive their successor for a copy: an older server would never delete them.
        case 1: _ = try transaction.openTable("superseded", flags: MDB_CREATE)
        default: throw LMDBFailure(MDB_VERSION_MISMATCH, "read the log's format")
        }
    }
}
