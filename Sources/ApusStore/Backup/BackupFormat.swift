internal import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// The bytes of a backup, as `docs/operating/backup.md` describes them.
///
///     0   12 bytes "APUS BACKUP\n"    12  u32 version of the format
///     then blocks, each:
///     0   u32 length of the contents  4   u8 kind   5  three zeros   8  contents   then 32 bytes of checksum
///
/// A block's checksum is the SHA-256 of the previous block's (at first 32 zeros), its own first eight bytes and its contents: a
/// block that was changed, moved, repeated or left out is found, and where.
enum BackupFormat {
    static let magic = Array("APUS BACKUP\n".utf8)
    static let version: UInt32 = 1
    static let startBytes = 16
    static let blockHeadBytes = 8

    enum Kind: UInt8 {
        case head = 1
        case topic = 2
        case entries = 3
        case records = 4
        case bundle = 5
        case end = 6
        case failure = 7
    }

    static var start: [UInt8] {
        var bytes = Self.magic
        bytes.appendLittleEndian(Self.version)
        return bytes
    }

    static func sum(after previous: [UInt8], _ block: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        hash.update(previous)
        hash.update(block)
        return hash.finish()
    }
}
