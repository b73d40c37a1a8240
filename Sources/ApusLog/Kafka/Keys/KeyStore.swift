internal import ApusCore
internal import CLMDB
internal import Glibc
internal import Synchronization

/// What a node keeps beside a log on Kafka and can make again from it, in a file of its own: keys that are known for a while, and how
/// far it has read what they come from.
///
/// Nothing is lost with the file: whoever needs it reads the log again. It is thrown away where it is another log's, after a start of
/// the machine (what the kernel had not written is missing), and after a failure.
final class KeyStore: Sendable {
    struct Tables {
        /// Digest to ``KnownKey``.
        let keys: MDB_dbi
        /// ``KeyTime``, with nothing of interest as value.
        let keyTimes: MDB_dbi
        /// Names to offsets: how far something was read.
        let marks: MDB_dbi

        init(_ transaction: borrowing WriteTransaction) throws(LMDBFailure) {
            self.keys = try transaction.openTable("keys", flags: MDB_CREATE)
            self.keyTimes = try transaction.openTable("keyTimes", flags: MDB_CREATE)
            self.marks = try transaction.openTable("marks", flags: MDB_CREATE)
        }

        static let count = 3
    }

    private struct State {
        var count: KeyCount
        /// It lacks what it should know: nothing is decided by it any more.
        var failure: ApusError?
    }

    let environment: Environment
    let tables: Tables
    let readers: ReaderPool
    private let path: String
    private let bootID: String
    private let keysMax: Int
    private let clock: @Sendable () -> Timestamp
    private let state: Mutex<State>

    /// - Parameter path: of the file; it is made where there is none.
    convenience init(
        path: String, keysMax: Int, bootID: String = EmbeddedLogConfiguration.systemBootID(),
        clock: @escaping @Sendable () -> Timestamp
    ) throws(ApusError) {
        let marker = BootMarker(log: path)
        if let last = try marker.read(), last != bootID { Self.remove(path) }
        do throws(LMDBFailure) {
            try self.init(opening: path, keysMax, bootID, clock)
        } catch {
            // One that cannot be read is made again.
            Self.remove(path)
            do throws(LMDBFailure) { try self.init(opening: path, keysMax, bootID, clock) } catch {
                throw error.apusError(path: path, diskAvailable: .max)
            }
        }
        try marker.write(bootID)
    }

    private init(
        opening path: String, _ keysMax: Int, _ bootID: String, _ clock: @escaping @Sendable () -> Timestamp
    ) throws(LMDBFailure) {
        let environment = try Environment(
            path: path, mapBytes: Limits.Kafka.keysMapBytes, tables: Tables.count, readers: Limits.Log.readers + 1,
            syncsCommits: false)
        let transaction = try WriteTransaction(environment)
        let tables = try Tables(transaction)
        var oldest: Int64?
        try transaction.forEach(tables.keyTimes) { key, _ in
            oldest = KeyTime(parsing: key)?.keptUntil
            return false
        }
        let count = try transaction.size(of: tables.keys).entries
        try transaction.commit()
        self.environment = environment
        self.tables = tables
        self.readers = ReaderPool(environment, limit: Limits.Log.readers)
        self.path = path
        self.bootID = bootID
        self.keysMax = keysMax
        self.clock = clock
        self.state = Mutex(State(count: KeyCount(count: count, oldest: oldest)))
    }

    private static func remove(_ path: String) {
        // One that stays is found unreadable again, and said.
        unlink(path)
        unlink("\(path)-lock")
    }

    func close() {
        guard self.readers.close() else { return }
        let isWhole = self.state.withLock { $0.failure == nil }
        if isWhole, (try? self.environment.sync()) != nil { try? BootMarker(log: self.path).remove() }
        self.environment.close()
    }

    /// Everything that is another log's goes.
    func adopt(identity: UInt64) throws(ApusError) {
        try self.write { (store, _, transaction) throws(LMDBFailure) in
            let name = Array("identity".utf8)
            var value: [UInt8] = []
            value.appendLittleEndian(identity)
            if let known = try transaction.get(store.tables.marks, name), known.elementsEqual(value) { return }
            for table in [store.tables.keys, store.tables.keyTimes, store.tables.marks] {
                try check(mdb_drop(transaction.handle, table, 0), "empty a table")
            }
            try transaction.put(store.tables.marks, name, value)
        }
        self.state.withLock { state in
            guard let size = try? self.keyCount() else { return }
            if size == 0 { state.count = KeyCount(count: 0, oldest: nil) }
        }
    }

    private func keyCount() throws(LMDBFailure) -> Int {
        let reader = try self.readers.take()
        defer { self.readers.give(reader) }
        return try reader.size(of: self.tables.keys)
    }

    // MARK: keys

    var status: (keys: Int, forgotten: UInt64, failure: ApusError?) {
        self.state.withLock { ($0.count.count, $0.count.forgottenEarly, $0.failure) }
    }

    /// - Throws: `log_failed` once something is missing that it should know.
    func values(_ keys: [[UInt8]]) throws(ApusError) -> [[UInt8]?] {
        if let failure = self.state.withLock({ $0.failure }) { throw failure }
        guard !keys.isEmpty else { return [] }
        let now = self.clock().microseconds
        do throws(LMDBFailure) {
            let reader = try self.readers.take()
            defer { self.readers.give(reader) }
            var values: [[UInt8]?] = []
            values.reserveCapacity(keys.count)
            for key in keys {
                // LMDB takes neither an empty key nor one of any length.
                let bytes = key.count == Limits.logKeyBytes ? try reader.value(self.tables.keys, key) : nil
                values.append(bytes.flatMap { KnownKey.value($0, now: now) })
            }
            return values
        } catch { throw self.failure(error) }
    }

    /// - Parameter mark: how far something was read, with what was found there.
    func put(_ writes: [LogBatch.KeyWrite], mark: (name: String, offset: Offset)? = nil) throws(ApusError) {
        guard !writes.isEmpty || mark != nil else { return }
        try self.write { (store, count, transaction) throws(LMDBFailure) in
            for write in writes {
                let until = write.keptUntil.microseconds
                let known = try transaction.get(store.tables.keys, write.key).flatMap { KnownKey.keptUntil($0) }
                if let known {
                    _ = try transaction.delete(
                        store.tables.keyTimes, KeyTime(keptUntil: known, key: write.key).encoded)
                }
                try transaction.put(store.tables.keys, write.key, KnownKey.encoded(write.value, keptUntil: until))
                try transaction.put(store.tables.keyTimes, KeyTime(keptUntil: until, key: write.key).encoded, [0])
                count.note(until, isNew: known == nil)
            }
            guard let mark else { return }
            var value: [UInt8] = []
            value.appendLittleEndian(mark.offset)
            try transaction.put(store.tables.marks, Array(mark.name.utf8), value)
        }
    }

    func mark(_ name: String) throws(ApusError) -> Offset? {
        do throws(LMDBFailure) {
            let reader = try self.readers.take()
            defer { self.readers.give(reader) }
            return try reader.indexed(self.tables.marks, Array(name.utf8))
        } catch { throw self.failure(error) }
    }

    /// Forgets keys whose time is over, and the oldest of too many. Now and then, from any thread.
    func forget() {
        // What cannot be deleted now is tried again with the next look.
        while (try? self.forgetSome()) == true {}
    }

    /// - Returns: whether more are due.
    private func forgetSome() throws(ApusError) -> Bool {
        let (now, budget) = (self.clock().microseconds, Limits.Log.maintenanceStepRecords)
        let isDue = self.state.withLock { state in
            state.count.count > self.keysMax || state.count.oldest.map { $0 < now } ?? false
        }
        guard isDue else { return false }
        return try self.write { (store, count, transaction) throws(LMDBFailure) in
            let excess = count.count - store.keysMax
            var due: [KeyTime] = []
            var oldest: Int64?
            try transaction.forEach(store.tables.keyTimes) { key, _ in
                guard let time = KeyTime(parsing: key) else { return true }
                guard due.count < budget, time.keptUntil < now || due.count < excess else {
                    oldest = time.keptUntil
                    return false
                }
                due.append(time)
                return true
            }
            for time in due {
                _ = try transaction.delete(store.tables.keyTimes, time.encoded)
                _ = try transaction.delete(store.tables.keys, time.key)
            }
            count.forgot(due.count, early: due.count { $0.keptUntil >= now }, oldest: oldest)
            return due.count == budget
        }
    }

    // MARK: what the above share

    /// One transaction, one at a time. After one that failed something may be missing here.
    func write<Value>(
        _ body: (KeyStore, inout KeyCount, borrowing WriteTransaction) throws(LMDBFailure) -> Value
    ) throws(ApusError) -> Value {
        try self.state.withLock { (state) throws(ApusError) in
            if let failure = state.failure { throw failure }
            var count = state.count
            do throws(LMDBFailure) {
                let transaction = try WriteTransaction(self.environment)
                let value = try body(self, &count, transaction)
                try transaction.commit()
                state.count = count
                return value
            } catch {
                let failure = ApusError(
                    .logFailed,
                    "the keys in \(self.path) cannot be written (\(error.description)): free space on its disk and start again; the file is made anew"
                )
                state.failure = failure
                // No boot of this name: the next start begins with an empty file.
                try? BootMarker(log: self.path).write("failed")
                throw failure
            }
        }
    }

    private func failure(_ error: LMDBFailure) -> ApusError {
        error.apusError(path: self.path, diskAvailable: self.environment.diskAvailable)
    }
}

extension Reader {
    /// How many entries a table has.
    func size(of table: MDB_dbi) throws(LMDBFailure) -> Int {
        let cursor = try self.cursor(table)
        var stat = MDB_stat()
        try check(mdb_stat(mdb_cursor_txn(cursor), table, &stat), "measure a table")
        return Int(stat.ms_entries)
    }
}
