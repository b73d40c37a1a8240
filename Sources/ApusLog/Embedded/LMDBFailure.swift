internal import ApusCore
internal import CLMDB
internal import Glibc

/// What LMDB answered, and what was asked of it.
struct LMDBFailure: Error, Equatable {
    let code: CInt
    let stage: String

    init(_ code: CInt, _ stage: String) {
        self.code = code
        self.stage = stage
    }

    var description: String { "\(self.stage): \(String(cString: mdb_strerror(self.code)))" }

    /// - Parameter diskAvailable: bytes free on the log's file system; LMDB reports a short write as `EIO`.
    func apusError(path: String, diskAvailable: Int64) -> ApusError {
        switch self.code {
        case MDB_MAP_FULL:
            return ApusError(
                .logFull,
                "the event log \(path) is full (\(self.stage)): shorten retention, delete topics or raise its size")
        case ENOSPC, EDQUOT:
            return ApusError(
                .diskFull, "no space left for the event log \(path) (\(self.stage)): free space on its disk")
        case EIO where diskAvailable < 1 << 20:
            return ApusError(
                .diskFull, "no space left for the event log \(path) (\(self.stage)): free space on its disk")
        case MDB_CORRUPTED, MDB_PAGE_NOTFOUND, MDB_INVALID, MDB_BAD_VALSIZE, MDB_INCOMPATIBLE:
            return ApusError(
                .logDamaged, "the event log \(path) is damaged (\(self.description)): restore it from a backup")
        case MDB_VERSION_MISMATCH:
            return ApusError(
                .logFormat, "the event log \(path) was written by another version: use the server that wrote it")
        case MDB_READERS_FULL:
            return ApusError(.limitReached, "too many reads of the event log at one moment: raise its readers")
        case MDB_DBS_FULL:
            return ApusError(.limitReached, "the event log has no table left: delete topics or raise its tables")
        case ESHUTDOWN:
            return ApusError(.shuttingDown, "the event log is closing")
        case EACCES, EPERM, EROFS:
            return ApusError(
                .dataDirectoryInvalid, "cannot open the event log \(path): \(String(cString: strerror(self.code)))")
        default:
            return ApusError(.logFailed, "the event log \(path) failed (\(self.description))")
        }
    }
}

/// Throws unless LMDB answered that all is well. The stage is written only on failure.
@inline(__always)
func check(_ code: CInt, _ stage: @autoclosure () -> String) throws(LMDBFailure) {
    if code != MDB_SUCCESS { throw LMDBFailure(code, stage()) }
}
