internal import ApusCore
internal import CLMDB
internal import Glibc

/// A read transaction that is renewed for each use, and the cursors it keeps. Of whoever took it from the
/// ``ReaderPool``.
final class Reader: @unchecked Sendable {
    // SAFETY: one thread at a time: the one that took it from the pool. MDB_NOTLS lets that be another each time.
    private let transaction: OpaquePointer
    /// A transaction that ends after its environment was closed would write to memory that is not mapped any more.
    private let environment: Environment
    private struct Cursor {
        enum Position {
            /// Of an earlier use: it must be renewed.
            case stale
            /// Nowhere, or where whoever asked for it moved it.
            case unknown
            case at(Offset)
        }

        let table: MDB_dbi
        let pointer: OpaquePointer
        var position = Position.unknown
    }

    /// Few, and mostly asked for in turn: they are found by looking.
    private var cursors: [Cursor] = []

    fileprivate init(_ environment: Environment) throws(LMDBFailure) {
        var begun: OpaquePointer?
        try check(mdb_txn_begin(environment.handle, nil, UInt32(MDB_RDONLY), &begun), "begin a read")
        guard let transaction = begun else { throw LMDBFailure(ENOMEM, "begin a read") }
        self.transaction = transaction
        self.environment = environment
        mdb_txn_reset(transaction)
    }

    deinit {
        for cursor in self.cursors { mdb_cursor_close(cursor.pointer) }
        mdb_txn_abort(self.transaction)
    }

    fileprivate func renew() throws(LMDBFailure) { try check(mdb_txn_renew(self.transaction), "begin a read") }

    /// Lets go of the snapshot, so that its pages can be used again.
    fileprivate func reset() {
        mdb_txn_reset(self.transaction)
        guard self.cursors.count > Limits.Log.cursorsPerReader else {
            for index in self.cursors.indices { self.cursors[index].position = .stale }
            return
        }
        for cursor in self.cursors { mdb_cursor_close(cursor.pointer) }
        self.cursors.removeAll(keepingCapacity: true)
    }

    /// A cursor on a table, the same one for each call of one use. Whoever asks for it may move it.
    func cursor(_ table: MDB_dbi) throws(LMDBFailure) -> OpaquePointer {
        let index = try self.place(of: table)
        self.cursors[index].position = .unknown
        return self.cursors[index].pointer
    }

    private func place(of table: MDB_dbi) throws(LMDBFailure) -> Int {
        for index in self.cursors.indices where self.cursors[index].table == table {
            guard case .stale = self.cursors[index].position else { return index }
            try check(mdb_cursor_renew(self.transaction, self.cursors[index].pointer), "renew a cursor")
            self.cursors[index].position = .unknown
            return index
        }
        var opened: OpaquePointer?
        try check(mdb_cursor_open(self.transaction, table, &opened), "open a cursor")
        guard let opened else { throw LMDBFailure(ENOMEM, "open a cursor") }
        self.cursors.append(Cursor(table: table, pointer: opened))
        return self.cursors.count - 1
    }

    /// The record at exactly that offset, valid until the reader is given back. The one behind the last is found without a search.
    func record(_ table: MDB_dbi, _ offset: Offset) throws(LMDBFailure) -> UnsafeRawBufferPointer? {
        let index = try self.place(of: table)
        if case .at(let last) = self.cursors[index].position, offset == last + 1 {
            var (key, value) = (MDB_val(), MDB_val())
            let rc = mdb_cursor_get(self.cursors[index].pointer, &key, &value, MDB_NEXT)
            if rc == MDB_SUCCESS, key.offset == offset {
                self.cursors[index].position = .at(offset)
                return value.bytes
            }
        }
        self.cursors[index].position = .unknown
        guard let (found, bytes) = try self.seek(self.cursors[index].pointer, offset, MDB_SET_KEY) else { return nil }
        self.cursors[index].position = .at(found)
        return bytes
    }

    /// The first record at that offset or after it.
    func firstRecord(_ table: MDB_dbi, from offset: Offset) throws(LMDBFailure) -> (
        offset: Offset, bytes: UnsafeRawBufferPointer
    )? {
        try self.seek(try self.cursor(table), offset, MDB_SET_RANGE)
    }

    private func seek(
        _ cursor: OpaquePointer, _ offset: Offset, _ operation: MDB_cursor_op
    ) throws(LMDBFailure) -> (offset: Offset, bytes: UnsafeRawBufferPointer)? {
        var wanted = UInt(bitPattern: Int(offset))
        let (rc, found, value) = withUnsafeMutableBytes(of: &wanted) { bytes in
            var key = MDB_val(mv_size: 8, mv_data: bytes.baseAddress)
            var value = MDB_val()
            let rc = mdb_cursor_get(cursor, &key, &value, operation)
            return (rc, rc == MDB_SUCCESS ? key.offset : -1, value)
        }
        if rc == MDB_NOTFOUND { return nil }
        try check(rc, "look up a record")
        return (found, value.bytes)
    }

    /// The offset that an index has for a key's digest.
    func indexed(_ table: MDB_dbi, _ digest: [UInt8]) throws(LMDBFailure) -> Offset? {
        let cursor = try self.cursor(table)
        let (rc, value) = digest.withUnsafeBytes { bytes in
            var key = MDB_val(mv_size: bytes.count, mv_data: UnsafeMutableRawPointer(mutating: bytes.baseAddress))
            var value = MDB_val()
            return (mdb_cursor_get(cursor, &key, &value, MDB_SET_KEY), value)
        }
        if rc == MDB_NOTFOUND { return nil }
        try check(rc, "look up a key")
        guard value.mv_size == 8 else { return nil }
        return Int64(littleEndian: value.bytes.loadUnaligned(as: Int64.self))
    }

    /// All entries of a table keyed by bytes.
    func entries(_ table: MDB_dbi) throws(LMDBFailure) -> [(key: [UInt8], value: [UInt8])] {
        let cursor = try self.cursor(table)
        var entries: [(key: [UInt8], value: [UInt8])] = []
        var key = MDB_val()
        var value = MDB_val()
        var rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
        while rc == MDB_SUCCESS {
            entries.append((Array(key.bytes), Array(value.bytes)))
            rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)
        }
        if rc != MDB_NOTFOUND { try check(rc, "read a table") }
        return entries
    }

    /// Bytes of the pages that LMDB keeps to be used again: table 0 holds lists of them, each with its length first.
    func freePages() throws(LMDBFailure) -> Int {
        var opened: OpaquePointer?
        try check(mdb_cursor_open(self.transaction, 0, &opened), "read the free list")
        defer { mdb_cursor_close(opened) }
        var pages = 0
        var key = MDB_val()
        var value = MDB_val()
        var rc = mdb_cursor_get(opened, &key, &value, MDB_FIRST)
        while rc == MDB_SUCCESS {
            if value.mv_size >= 8, let list = value.mv_data { pages += list.loadUnaligned(as: Int.self) }
            rc = mdb_cursor_get(opened, &key, &value, MDB_NEXT)
        }
        if rc != MDB_NOTFOUND { try check(rc, "read the free list") }
        return pages
    }
}

/// The readers of an environment. At most `limit` are in use at one moment; one more is refused, since a wait could be
/// for ever.
final class ReaderPool: Sendable {
    private struct Content {
        var idle: [Reader] = []
        var inUse = 0
        var isClosed = false
    }

    private let environment: Environment
    private let limit: Int
    private let content = Monitor(Content())

    init(_ environment: Environment, limit: Int) {
        self.environment = environment
        self.limit = limit
    }

    /// A reader on the newest snapshot. Give it back before any wait: it keeps every page that is freed meanwhile.
    func take() throws(LMDBFailure) -> Reader {
        let (refusal, idle) = self.content.withLock { content -> (CInt, Reader?) in
            if content.isClosed { return (ESHUTDOWN, nil) }
            if content.inUse >= self.limit { return (MDB_READERS_FULL, nil) }
            content.inUse += 1
            return (MDB_SUCCESS, content.idle.popLast())
        }
        try check(refusal, "begin a read")
        do throws(LMDBFailure) {
            let reader = if let idle { idle } else { try Reader(self.environment) }
            try reader.renew()
            return reader
        } catch {
            self.content.withLock { $0.inUse -= 1 }
            throw error
        }
    }

    func give(_ reader: Reader) {
        reader.reset()
        let isLast = self.content.withLock { content in
            content.inUse -= 1
            if !content.isClosed { content.idle.append(reader) }
            return content.isClosed && content.inUse == 0
        }
        if isLast { self.content.signal() }
    }

    /// Ends the idle readers and waits a bounded time for those in use.
    /// - Returns: whether none is left.
    func close() -> Bool {
        self.content.withLock { content in
            content.isClosed = true
            content.idle.removeAll()
        }
        return self.content.take(within: Limits.Log.closeWaitMilliseconds) { $0.inUse == 0 ? true : nil } ?? false
    }
}
