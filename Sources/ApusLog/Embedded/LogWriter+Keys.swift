internal import ApusCore
internal import CLMDB

/// Keys that are known for a while.
extension LogWriter {
    // MARK: writing

    func put(_ batch: PreparedBatch, _ time: Timestamp, _ transaction: borrowing WriteTransaction) throws(LMDBFailure) {
        for write in batch.submission.batch.keys {
            try self.put(write.key, write.value, keptUntil: write.keptUntil.microseconds, transaction)
        }
        guard let once = batch.submission.batch.once else { return }
        let receipt = LogReceipt(places: batch.places, timestamp: time)
        let value = OnceReceipt(fingerprint: once.fingerprint, receipt: receipt).encode()
        try self.put(once.key, value, keptUntil: once.keptUntil.microseconds, transaction)
    }

    private func put(
        _ key: [UInt8], _ value: [UInt8], keptUntil: Int64, _ transaction: borrowing WriteTransaction
    ) throws(LMDBFailure) {
        let known = try transaction.get(self.tables.keys, key).flatMap { KnownKey.keptUntil($0) }
        if let known { _ = try transaction.delete(self.tables.keyTimes, KeyTime(keptUntil: known, key: key).encoded) }
        try transaction.put(self.tables.keys, key, KnownKey.encoded(value, keptUntil: keptUntil))
        try transaction.put(self.tables.keyTimes, KeyTime(keptUntil: keptUntil, key: key).encoded, [0])
        self.maintenance.keys.note(keptUntil, isNew: known == nil)
    }

    /// Everything that can be wrong with the keys of a batch.
    static func checkKeys(_ batch: LogBatch) throws(ApusError) {
        let keys = batch.keys.map { ($0.key, $0.value.count) }
        // The receipt's length is known before its places are.
        let receipts = batch.once.map { once in
            let receipt = LogReceipt(
                places: Array(repeating: LogReceipt.Place(partition: 0, offset: 0), count: batch.appends.count),
                timestamp: .zero)
            return (once.key, OnceReceipt(fingerprint: once.fingerprint, receipt: receipt).encode().count)
        }
        for (key, bytes) in keys + (receipts.map { [$0] } ?? []) {
            guard key.count == Limits.logKeyBytes else {
                throw ApusError(.internal, "a key of the event log has \(key.count) bytes instead of a digest's")
            }
            guard bytes <= Limits.Log.keyValueBytes else {
                throw ApusError(
                    .invalidArgument,
                    "a request with an idempotency key has \(batch.appends.count) events, which is too many to remember: "
                        + "send them in several requests")
            }
        }
    }

    /// What a batch is answered with that takes effect once and did; nil when it is to be written.
    func earlierAnswer(to batch: LogBatch) -> Result<LogReceipt, ApusError>? {
        guard let once = batch.once else { return nil }
        do throws(LMDBFailure) {
            let reader = try self.readers.take()
            defer { self.readers.give(reader) }
            guard let bytes = try reader.value(self.tables.keys, once.key),
                let value = KnownKey.value(bytes, now: self.clock().microseconds),
                let known = OnceReceipt(decoding: value)
            else { return nil }
            return known.answer(to: once)
        } catch { return .failure(self.failed(error)) }
    }

    // MARK: forgetting

    /// Forgets keys whose time is over, and the oldest of too many, a bounded number at a time.
    /// - Returns: whether more are due.
    func forgetKeys() throws(LMDBFailure) -> Bool {
        let (now, budget) = (self.clock().microseconds, self.maintenance.stepRecords)
        let excess = self.maintenance.keys.count - self.configuration.keys
        var due: [KeyTime] = []
        var oldest: Int64?
        let transaction = try WriteTransaction(self.environment)
        try transaction.forEach(self.tables.keyTimes) { key, _ in
            guard let time = KeyTime(parsing: key) else { return true }
            guard due.count < budget, time.keptUntil < now || due.count < excess else {
                oldest = time.keptUntil
                return false
            }
            due.append(time)
            return true
        }
        for time in due {
            _ = try transaction.delete(self.tables.keyTimes, time.encoded)
            _ = try transaction.delete(self.tables.keys, time.key)
        }
        try transaction.commit()
        self.maintenance.keys.forgot(due.count, early: due.count { $0.keptUntil >= now }, oldest: oldest)
        self.committed(records: 0)
        return due.count == budget
    }
}

/// How many keys there are and when the next is due. The writer thread's alone.
struct KeyCount: Equatable {
    private(set) var count: Int
    private(set) var forgottenEarly: UInt64 = 0
    /// No key is kept shorter.
    private(set) var oldest: Int64?
    var areDue = false

    init(count: Int, oldest: Int64?) {
        self.count = count
        self.oldest = oldest
    }

    mutating func note(_ keptUntil: Int64, isNew: Bool) {
        if isNew { self.count += 1 }
        self.oldest = min(self.oldest ?? .max, keptUntil)
    }

    mutating func forgot(_ count: Int, early: Int, oldest: Int64?) {
        self.count = max(0, self.count - count)
        self.forgottenEarly += UInt64(early)
        self.oldest = oldest
    }

    mutating func look(now: Int64, max: Int) {
        if self.count > max || self.oldest.map({ $0 < now }) ?? false { self.areDue = true }
    }
}
