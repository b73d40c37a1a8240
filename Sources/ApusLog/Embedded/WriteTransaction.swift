internal import ApusCore
internal import CLMDB
internal import Glibc

/// The one write transaction, on the writer's thread. Aborted unless it is committed.
struct WriteTransaction: ~Copyable {
    let handle: OpaquePointer

    init(_ environment: Environment) throws(LMDBFailure) {
        var begun: OpaquePointer?
        try check(mdb_txn_begin(environment.handle, nil, 0, &begun), "begin a transaction")
        guard let handle = begun else { throw LMDBFailure(ENOMEM, "begin a transaction") }
        self.handle = handle
    }

    deinit { mdb_txn_abort(self.handle) }

    /// LMDB frees the transaction whether or not this succeeds.
    consuming func commit() throws(LMDBFailure) {
        let handle = self.handle
        discard self
        try check(mdb_txn_commit(handle), "commit")
    }

    func openTable(_ name: String, flags: CInt) throws(LMDBFailure) -> MDB_dbi {
        var table = MDB_dbi()
        try check(mdb_dbi_open(self.handle, name, UInt32(flags), &table), "open the table \(name)")
        return table
    }

    // MARK: tables with integer keys

    /// Appends a record and lends the place for its bytes, valid until the next write.
    @inline(__always)
    func appendRecord(_ table: MDB_dbi, _ offset: Offset, count: Int) throws(LMDBFailure) -> UnsafeMutableRawPointer {
        var offset = UInt(bitPattern: Int(offset))
        let (rc, place) = withUnsafeMutableBytes(of: &offset) { bytes in
            var key = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
            var value = MDB_val(mv_size: count, mv_data: nil)
            let rc = mdb_put(self.handle, table, &key, &value, UInt32(MDB_APPEND | MDB_RESERVE))
            return (rc, value.mv_data)
        }
        try check(rc, "append")
        guard let place else { throw LMDBFailure(EINVAL, "append") }
        return place
    }

    /// The bytes of a record, valid until the next write; nil when it is not there.
    func record(_ table: MDB_dbi, _ offset: Offset) throws(LMDBFailure) -> UnsafeRawBufferPointer? {
        var offset = UInt(bitPattern: Int(offset))
        return try self.get(
            table,
            withUnsafeMutableBytes(of: &offset) { bytes in
                var key = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
                var value = MDB_val()
                let rc = mdb_get(self.handle, table, &key, &value)
                return (rc, value)
            })
    }

    /// - Returns: false when it was not there.
    func deleteRecord(_ table: MDB_dbi, _ offset: Offset) throws(LMDBFailure) -> Bool {
        var offset = UInt(bitPattern: Int(offset))
        return try self.isDeleted(
            withUnsafeMutableBytes(of: &offset) { bytes in
                var key = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
                return mdb_del(self.handle, table, &key, nil)
            })
    }

    /// The first record of a table, valid until the next write.
    func firstRecord(_ table: MDB_dbi) throws(LMDBFailure) -> (offset: Offset, bytes: UnsafeRawBufferPointer)? {
        var first: (offset: Offset, bytes: UnsafeRawBufferPointer)?
        try self.forEach(table) { key, value in
            if key.count == 8 { first = (key.loadUnaligned(as: Int64.self), value) }
            return false
        }
        return first
    }

    /// Deletes the first `count` entries of a table.
    /// - Returns: how many there were, at most `count`.
    func deleteFirst(_ table: MDB_dbi, count: Int) throws(LMDBFailure) -> Int {
        var opened: OpaquePointer?
        try check(mdb_cursor_open(self.handle, table, &opened), "open a cursor")
        defer { mdb_cursor_close(opened) }
        var key = MDB_val()
        var value = MDB_val()
        for deleted in 0..<count {
            let rc = mdb_cursor_get(opened, &key, &value, MDB_FIRST)
            if rc == MDB_NOTFOUND { return deleted }
            try check(rc, "find an entry to delete")
            try check(mdb_cursor_del(opened, 0), "delete")
        }
        return count
    }

    func put(_ table: MDB_dbi, integer: Int, _ value: [UInt8]) throws(LMDBFailure) {
        var integer = UInt(bitPattern: integer)
        let rc = withUnsafeMutableBytes(of: &integer) { key in
            value.withUnsafeBytes { self.put(table, UnsafeRawBufferPointer(key), $0) }
        }
        try check(rc, "put")
    }

    // MARK: tables with keys of bytes

    func put(_ table: MDB_dbi, _ key: [UInt8], _ value: [UInt8]) throws(LMDBFailure) {
        let rc = key.withUnsafeBytes { key in
            value.withUnsafeBytes { self.put(table, key, $0) }
        }
        try check(rc, "put")
    }

    /// Valid until the next write.
    func get(_ table: MDB_dbi, _ key: [UInt8]) throws(LMDBFailure) -> UnsafeRawBufferPointer? {
        try self.get(
            table,
            key.withUnsafeBytes { bytes in
                var key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
                var value = MDB_val()
                let rc = mdb_get(self.handle, table, &key, &value)
                return (rc, value)
            })
    }

    func delete(_ table: MDB_dbi, _ key: [UInt8]) throws(LMDBFailure) -> Bool {
        try self.isDeleted(
            key.withUnsafeBytes { bytes in
                var key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
                return mdb_del(self.handle, table, &key, nil)
            })
    }

    /// Walks a table from its first key. The bytes are gone after `body` returns, which says whether to go on.
    /// `body` may not write.
    func forEach(
        _ table: MDB_dbi, _ body: (UnsafeRawBufferPointer, UnsafeRawBufferPointer) -> Bool
    ) throws(LMDBFailure) {
        var opened: OpaquePointer?
        try check(mdb_cursor_open(self.handle, table, &opened), "open a cursor")
        defer { mdb_cursor_close(opened) }
        var key = MDB_val()
        var value = MDB_val()
        var rc = mdb_cursor_get(opened, &key, &value, MDB_FIRST)
        while rc == MDB_SUCCESS, body(key.bytes, value.bytes) { rc = mdb_cursor_get(opened, &key, &value, MDB_NEXT) }
        if rc != MDB_NOTFOUND { try check(rc, "walk a table") }
    }

    /// Pages and entries of a table.
    func size(of table: MDB_dbi) throws(LMDBFailure) -> (pages: Int, entries: Int) {
        var stat = MDB_stat()
        try check(mdb_stat(self.handle, table, &stat), "measure a table")
        return (Int(stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages), Int(stat.ms_entries))
    }

    // MARK: what the above share

    @inline(__always)
    private func put(_ table: MDB_dbi, _ key: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> CInt {
        var key = MDB_val(mv_size: key.count, mv_data: UnsafeMutableRawPointer(mutating: key.baseAddress))
        var value = MDB_val(mv_size: value.count, mv_data: UnsafeMutableRawPointer(mutating: value.baseAddress))
        return mdb_put(self.handle, table, &key, &value, 0)
    }

    private func get(_ table: MDB_dbi, _ answer: (CInt, MDB_val)) throws(LMDBFailure) -> UnsafeRawBufferPointer? {
        if answer.0 == MDB_NOTFOUND { return nil }
        try check(answer.0, "get")
        return answer.1.bytes
    }

    private func isDeleted(_ rc: CInt) throws(LMDBFailure) -> Bool {
        if rc == MDB_NOTFOUND { return false }
        try check(rc, "delete")
        return true
    }
}

extension MDB_val {
    @inline(__always)
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: self.mv_data, count: self.mv_size) }

    /// The integer key of a table with MDB_INTEGERKEY. Keys in pages are aligned to two bytes only.
    @inline(__always)
    var offset: Offset { self.mv_data.map { $0.loadUnaligned(as: Int64.self) } ?? -1 }
}
