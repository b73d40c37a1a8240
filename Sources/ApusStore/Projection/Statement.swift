internal import ApusCore
internal import CSQLite

/// A value of a statement's parameter.
enum SQLValue: Equatable {
    case null
    case integer(Int64)
    case text(String)
    case bytes([UInt8])

    static func optional(_ text: String?) -> SQLValue { text.map { .text($0) } ?? .null }
    static func optional(_ number: Int64?) -> SQLValue { number.map { .integer($0) } ?? .null }
}

/// A prepared statement with one owner, finalised once. Lends rows one at a time.
struct Statement: ~Copyable {
    private let handle: OpaquePointer
    private let connection: OpaquePointer

    init(adopting handle: OpaquePointer, of connection: OpaquePointer) {
        self.handle = handle
        self.connection = connection
    }

    deinit { sqlite3_finalize(self.handle) }

    /// Runs it to its end, and hands each row to `row` until that returns false.
    func run(_ values: [SQLValue] = [], _ row: (Row) throws(ApusError) -> Bool = { _ throws(ApusError) in true })
        throws(ApusError)
    {
        defer {
            sqlite3_reset(self.handle)
            sqlite3_clear_bindings(self.handle)
        }
        precondition(
            Int(sqlite3_bind_parameter_count(self.handle)) == values.count,
            "a statement's parameters and values differ in number")
        for (index, value) in values.enumerated() { try self.bind(value, at: CInt(index + 1)) }
        while true {
            switch sqlite3_step(self.handle) {
            case SQLITE_ROW: guard try row(Row(handle: self.handle)) else { return }
            case SQLITE_DONE: return
            default: throw Self.failure(self.connection, String(cString: sqlite3_sql(self.handle)))
            }
        }
    }

    /// The first row as `make` reads it; nil when there is none.
    func first<Value>(_ values: [SQLValue] = [], _ make: (Row) throws(ApusError) -> Value) throws(ApusError) -> Value? {
        var result: Value?
        try self.run(values) { row throws(ApusError) in
            result = try make(row)
            return false
        }
        return result
    }

    func all<Value>(_ values: [SQLValue] = [], _ make: (Row) throws(ApusError) -> Value) throws(ApusError) -> [Value] {
        var results: [Value] = []
        try self.run(values) { row throws(ApusError) in
            results.append(try make(row))
            return true
        }
        return results
    }

    private func bind(_ value: SQLValue, at index: CInt) throws(ApusError) {
        // SQLite copies the bytes at once: they are gone when this returns.
        let transient = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
        let code =
            switch value {
            case .null: sqlite3_bind_null(self.handle, index)
            case .integer(let number): sqlite3_bind_int64(self.handle, index, number)
            case .text(let text): sqlite3_bind_text(self.handle, index, text, CInt(text.utf8.count), transient)
            case .bytes(let bytes):
                bytes.isEmpty
                    ? sqlite3_bind_zeroblob(self.handle, index, 0)
                    : sqlite3_bind_blob(self.handle, index, bytes, CInt(bytes.count), transient)
            }
        guard code == SQLITE_OK else { throw Self.failure(self.connection, "bind") }
    }

    /// The error of the call that failed last on this connection.
    static func failure(_ connection: OpaquePointer, _ sql: String) -> ApusError {
        let message = String(cString: sqlite3_errmsg(connection))
        if sqlite3_errcode(connection) == SQLITE_FULL {
            return ApusError(
                .diskFull, "the disk is full: the projection could not be written (\(message)); make room and try again"
            )
        }
        return ApusError(
            .projectionFailed,
            "the projection failed: \(message), in '\(sql.prefix(80))'; delete state.db to make it again")
    }
}

/// The row a statement stands on; gone with its next step.
struct Row {
    fileprivate let handle: OpaquePointer

    func integer(_ column: Int) -> Int64 { sqlite3_column_int64(self.handle, CInt(column)) }
    func isNull(_ column: Int) -> Bool { sqlite3_column_type(self.handle, CInt(column)) == SQLITE_NULL }

    func text(_ column: Int) -> String { String(decoding: self.bytes(column), as: UTF8.self) }
    func optionalText(_ column: Int) -> String? { self.isNull(column) ? nil : self.text(column) }
    func optionalInteger(_ column: Int) -> Int64? { self.isNull(column) ? nil : self.integer(column) }

    func bytes(_ column: Int) -> [UInt8] {
        guard let start = sqlite3_column_blob(self.handle, CInt(column)) else { return [] }
        return Array(UnsafeRawBufferPointer(start: start, count: Int(sqlite3_column_bytes(self.handle, CInt(column)))))
    }
}
