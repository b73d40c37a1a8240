public import ApusCore

/// What retention asks of the projection and removes from it, each step bounded.
extension Projection {
    public func fate(of id: DeadLetterID) throws(ApusError) -> ControlRecord.DeadLetterFate? {
        try self.database.prepare("SELECT state FROM fates WHERE id = ?").first([.text(id.description)]) {
            ControlRecord.DeadLetterFate(rawValue: $0.text(0))
        } ?? nil
    }

    /// The partitions that dead letters are known of.
    public func deadLetterPartitions() throws(ApusError) -> [TopicPartition] {
        try self.database.prepare("SELECT DISTINCT topic, partition FROM dead_letters ORDER BY topic, partition").all([]
        ) {
            row in TopicName(onLog: row.text(0)).map { TopicPartition($0, Int(row.integer(1))) }
        }.compactMap { $0 }
    }

    /// Dead letters of a partition that lie before `offset`, which retention took from the log.
    public func countDeadLetters(_ partition: TopicPartition, before offset: Offset) throws(ApusError) -> Int {
        let sql = "SELECT count(*) FROM dead_letters WHERE topic = ? AND partition = ? AND \"offset\" < ?"
        return Int(try self.database.prepare(sql).first(Self.place(partition, offset)) { $0.integer(0) } ?? 0)
    }

    /// Fates whose dead letter the projection does not know, in the order of their ids.
    public func orphanedFates(after id: String, limit: Int) throws(ApusError) -> [ForgottenFate] {
        let sql = """
            SELECT f.id, f.namespace FROM fates f LEFT JOIN dead_letters d ON d.id = f.id
            WHERE d.id IS NULL AND f.id > ? ORDER BY f.id LIMIT ?
            """
        return try self.database.prepare(sql).all([.text(id), .integer(Int64(limit))]) { row in
            guard let id = DeadLetterID(row.text(0)), let namespace = Namespace(row.text(1)) else { return nil }
            return ForgottenFate(id: id, namespace: namespace)
        }.compactMap { $0 }
    }

    /// How many rows of a table there are.
    public func count(_ table: RetainedTable) throws(ApusError) -> Int {
        Int(try self.database.prepare("SELECT count(*) FROM \(table.rawValue)").first([]) { $0.integer(0) } ?? 0)
    }

    /// Removes log lines written before a time.
    /// - Returns: how many, at most `limit`.
    public func removeLogs(before time: Timestamp, limit: Int, isDryRun: Bool) throws(ApusError) -> Int {
        let due = "SELECT sequence FROM logs WHERE written < ? ORDER BY written LIMIT ?"
        return try self.remove(
            "logs", "sequence", due, [.integer(time.microseconds), .integer(Int64(limit))], isDryRun: isDryRun)
    }

    private func remove(_ table: String, _ key: String, _ due: String, _ values: [SQLValue], isDryRun: Bool)
        throws(ApusError) -> Int
    {
        if isDryRun {
            return Int(try self.database.prepare("SELECT count(*) FROM (\(due))").first(values) { $0.integer(0) } ?? 0)
        }
        return try self.database.transaction { () throws(ApusError) in
            try self.database.prepare("DELETE FROM \(table) WHERE \(key) IN (\(due))").run(values)
            return self.database.changes
        }
    }

    private static func place(_ partition: TopicPartition, _ offset: Offset) -> [SQLValue] {
        [.text(partition.topic.onLog), .integer(Int64(partition.partition)), .integer(offset)]
    }
}

/// The tables of the projection that retention counts.
public enum RetainedTable: String, Sendable, CaseIterable {
    case deadLetters = "dead_letters"
    case fates
    case logs
    case invocations
    case usage = "usage_functions"
}
