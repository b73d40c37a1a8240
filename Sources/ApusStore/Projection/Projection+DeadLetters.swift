public import ApusCore

enum ProjectionDeadLetters {
    static let insert = """
        INSERT OR IGNORE INTO dead_letters (
            id, topic, partition, "offset", source_topic, source_partition, source_offset, namespace, function, "trigger", revision,
            attempts, code, message, detail, event_id, event_type, given_up
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
    static let select = """
        SELECT d.id, source_topic, source_partition, source_offset, d.namespace, function, "trigger", revision, attempts, code, message,
            detail, event_id, event_type, given_up, sequence, f.state, f.decided, topic, partition, "offset"
        FROM dead_letters d LEFT JOIN fates f ON f.id = d.id
        """
}

/// What to list of the dead letters.
public struct DeadLetterQuery: Sendable, Equatable {
    public var namespace: Namespace
    /// The function that gave up.
    public var function: String?
    /// A topic by its name on the log: the one they lie on, or the one they came from.
    public var topic: String?
    /// A trigger of the function.
    public var trigger: String?
    /// The code of the failure.
    public var reason: String?
    /// Only those that were given up from then on.
    public var since: Timestamp?
    /// Nil lists all of them.
    public var state: DeadLetterRow.State?
    /// The ``DeadLetterRow/sequence`` of the last row seen.
    public var after: Int64
    /// At most ``Limits/Projection/rowsPerQuery``.
    public var limit: Int

    public init(
        namespace: Namespace = .default, function: String? = nil, topic: String? = nil,
        state: DeadLetterRow.State? = .open,
        after: Int64 = 0, limit: Int = 100
    ) {
        self.namespace = namespace
        self.function = function
        self.topic = topic
        self.state = state
        self.after = after
        self.limit = limit
    }
}

extension Projection {
    /// Dead letters, oldest first.
    public func deadLetters(_ query: DeadLetterQuery) throws(ApusError) -> [DeadLetterRow] {
        let sql =
            ProjectionDeadLetters.select + """
                 WHERE d.namespace = ?1 AND sequence > ?2 AND (?3 IS NULL OR function = ?3) AND (?4 IS NULL OR topic = ?4 OR source_topic = ?4)
                    AND (?5 IS NULL OR ifnull(f.state, 'open') = ?5)
                    AND (?7 IS NULL OR "trigger" = ?7) AND (?8 IS NULL OR code = ?8) AND (?9 IS NULL OR given_up >= ?9)
                ORDER BY sequence LIMIT ?6
                """
        let values: [SQLValue] = [
            .text(query.namespace.name), .integer(query.after), .optional(query.function), .optional(query.topic),
            .optional(query.state?.rawValue), .integer(Int64(min(max(query.limit, 0), Limits.Projection.rowsPerQuery))),
            .optional(query.trigger), .optional(query.reason),
            query.since.map { .integer($0.microseconds) } ?? .null,
        ]
        return try self.database.prepare(sql).all(values, Self.deadLetter).compactMap { $0 }
    }

    /// - Returns: nil when the projection knows no such dead letter.
    public func deadLetter(_ id: DeadLetterID) throws(ApusError) -> DeadLetterRow? {
        try self.database.prepare(ProjectionDeadLetters.select + " WHERE d.id = ?").first(
            [.text(id.description)], Self.deadLetter) ?? nil
    }

    /// How many are open, for the whole server.
    public func openDeadLetters() throws(ApusError) -> Int {
        let sql = "SELECT count(*) FROM dead_letters d LEFT JOIN fates f ON f.id = d.id WHERE f.id IS NULL"
        return Int(try self.database.prepare(sql).first { $0.integer(0) } ?? 0)
    }

    /// Forgets dead letters that retention took from the log: those of a partition before `offset`. Their fates stay until the
    /// control topic forgets them.
    /// - Returns: how many, at most `limit`.
    public func expireDeadLetters(_ partition: TopicPartition, before offset: Offset, limit: Int) throws(ApusError)
        -> Int
    {
        let values: [SQLValue] = [
            .text(partition.topic.onLog), .integer(Int64(partition.partition)), .integer(offset),
            .integer(Int64(limit)),
        ]
        let due = "SELECT sequence FROM dead_letters WHERE topic = ? AND partition = ? AND \"offset\" < ? LIMIT ?"
        return try self.database.transaction { () throws(ApusError) in
            try self.database.prepare("DELETE FROM dead_letters WHERE sequence IN (\(due))").run(values)
            return self.database.changes
        }
    }

    func addDeadLetter(_ event: Event, at partition: TopicPartition, _ offset: Offset) throws(ApusError) {
        // A topic that also takes ordinary events holds records that are no dead letters.
        guard let reason = DeadLetterReason(event) else { return }
        // One that came out of a backup is known by the id it had before.
        let id =
            DeadLetterReason.restoredID(event)
            ?? DeadLetterID(
                logIdentity: self.logIdentity, topic: partition.topic, partition: partition.partition, offset: offset)
        let limit = Limits.Projection.messageBytes
        try self.insertDeadLetter.run([
            .text(id.description), .text(partition.topic.onLog), .integer(Int64(partition.partition)), .integer(offset),
            .text(reason.topic), .integer(Int64(reason.partition)), .integer(reason.offset), .text(reason.namespace),
            .text(reason.function), .text(reason.trigger), .text(reason.revision), .integer(Int64(reason.attempts)),
            .text(reason.code), .text(cut(reason.message, limit)), .text(cut(reason.detail, limit)),
            .text(event["id"] ?? ""),
            .text(event["type"] ?? ""), .integer(reason.time.microseconds),
        ])
    }

    private static func deadLetter(_ row: Row) throws(ApusError) -> DeadLetterRow? {
        guard let id = DeadLetterID(row.text(0)), let topic = TopicName(onLog: row.text(18)) else { return nil }
        let reason = DeadLetterReason(
            topic: row.text(1), partition: Int(row.integer(2)), offset: row.integer(3), attempts: Int(row.integer(8)),
            code: row.text(9),
            message: row.text(10), detail: row.text(11), namespace: row.text(4), function: row.text(5),
            trigger: row.text(6),
            time: Timestamp(microseconds: row.integer(14)), revision: row.text(7)
        )
        return DeadLetterRow(
            id: id, place: RecordPlace(TopicPartition(topic, Int(row.integer(19))), row.integer(20)), reason: reason,
            state: row.optionalText(16).flatMap(DeadLetterRow.State.init(rawValue:)) ?? .open,
            decided: row.optionalInteger(17).map(Timestamp.init(microseconds:)), eventID: row.text(12),
            eventType: row.text(13),
            sequence: row.integer(15)
        )
    }
}
