internal import ApusCore
internal import CLMDB

/// What stands beside a key: until when it is kept, then its value.
enum KnownKey {
    static let headBytes = 8

    static func encoded(_ value: [UInt8], keptUntil: Int64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.headBytes + value.count)
        bytes.appendLittleEndian(keptUntil)
        return bytes + value
    }

    static func keptUntil(_ bytes: UnsafeRawBufferPointer) -> Int64? {
        bytes.count >= Self.headBytes ? Int64(littleEndian: bytes.loadUnaligned(as: Int64.self)) : nil
    }

    /// - Returns: nil when its time is over.
    static func value(_ bytes: UnsafeRawBufferPointer, now: Int64) -> [UInt8]? {
        guard let keptUntil = Self.keptUntil(bytes), keptUntil >= now else { return nil }
        return Array(bytes[Self.headBytes...])
    }
}

/// A key that waits to be forgotten, in the order of its time.
struct KeyTime {
    static let byteCount = 8 + Limits.logKeyBytes

    var keptUntil: Int64
    var key: [UInt8]

    init(keptUntil: Int64, key: [UInt8]) {
        self.keptUntil = keptUntil
        self.key = key
    }

    init?(parsing bytes: UnsafeRawBufferPointer) {
        guard bytes.count == Self.byteCount else { return nil }
        self.keptUntil = Int64(bigEndian: bytes.loadUnaligned(as: Int64.self))
        self.key = Array(bytes[8...])
    }

    /// Big-endian, so that the order of the bytes is the order of time.
    var encoded: [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(Self.byteCount)
        bytes.appendLittleEndian(self.keptUntil.byteSwapped)
        return bytes + self.key
    }
}

extension Reader {
    /// What stands beside a key of a table keyed by bytes, valid until the reader is given back.
    func value(_ table: MDB_dbi, _ key: [UInt8]) throws(LMDBFailure) -> UnsafeRawBufferPointer? {
        let cursor = try self.cursor(table)
        let (rc, value) = key.withUnsafeBytes { bytes in
            var key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            var value = MDB_val()
            let rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY)
            return (rc, value)
        }
        if rc == MDB_NOTFOUND { return nil }
        try check(rc, "look up a key")
        return value.bytes
    }
}
