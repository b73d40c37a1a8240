public import ApusCore

enum ProjectionLogs {
    static let insert = """
        INSERT INTO logs (namespace, function, revision, worker, invocation, trace, written, level, text)
        VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
}

extension Projection {
    /// Lines of one function in the order they were taken in.
    /// - Parameter after: the ``LogRow/sequence`` that was seen last; nil gives the newest lines.
    /// - Parameter limit: at most ``Limits/Projection/rowsPerQuery``.
    public func logs(of function: ResourceName, after: Int64? = nil, filter: LogFilter = LogFilter(), limit: Int)
        throws(ApusError) -> [LogRow]
    {
        try self.logPage(of: function, after: after, filter: filter, limit: limit).rows
    }

    /// The same, with where to go on: behind what was looked at, whether it was wanted or not.
    public func logPage(of function: ResourceName, after: Int64?, filter: LogFilter, limit: Int) throws(ApusError)
        -> LogPage
    {
        let order = after == nil ? "DESC" : "ASC"
        let limit = min(max(limit, 0), Limits.Projection.rowsPerQuery)
        // Before the lines are read: what comes meanwhile is for the next page.
        let newest = try self.database.prepare("SELECT COALESCE(MAX(sequence), 0) FROM logs").all([]) { $0.integer(0) }
        let upTo = newest.first ?? 0
        let (conditions, wanted) = filter.conditions
        let sql = """
            SELECT sequence, revision, worker, invocation, written, level, text, trace FROM logs
            WHERE namespace = ? AND function = ? AND sequence > ? AND sequence <= ?\(conditions) ORDER BY sequence \(order) LIMIT ?
            """
        let values: [SQLValue] =
            [.text(function.namespace.name), .text(function.name), .integer(after ?? 0), .integer(upTo)] + wanted
            + [.integer(Int64(limit))]
        let rows = try self.database.prepare(sql).all(values) { row in
            LogRow(
                sequence: row.integer(0),
                line: LogLine(
                    function: function, time: Timestamp(microseconds: row.integer(4)),
                    level: LogPayload.Level(rawValue: UInt8(truncatingIfNeeded: row.integer(5))) ?? .info,
                    text: row.text(6),
                    revision: row.text(1), worker: UInt64(bitPattern: row.integer(2)), invocation: row.text(3),
                    trace: row.text(7)
                )
            )
        }
        guard after != nil else { return LogPage(rows: rows.reversed(), next: upTo) }
        return LogPage(rows: rows, next: rows.count == limit ? rows.last?.sequence ?? upTo : upTo)
    }

    func add(_ line: LogLine) throws(ApusError) {
        try self.insertLog.run([
            .text(line.function.namespace.name), .text(line.function.name), .text(line.revision),
            .integer(Int64(bitPattern: line.worker)), .text(line.invocation), .text(line.trace),
            .integer(line.time.microseconds),
            .integer(Int64(line.level.rawValue)), .text(cut(line.text, Limits.Projection.logLineBytes)),
        ])
    }

    func trimLogs(of function: ResourceName) throws(ApusError) {
        let sql = """
            DELETE FROM logs WHERE namespace = ?1 AND function = ?2 AND sequence <= (
                SELECT sequence FROM logs WHERE namespace = ?1 AND function = ?2 ORDER BY sequence DESC LIMIT 1 OFFSET ?3
            )
            """
        try self.database.prepare(sql).run([
            .text(function.namespace.name), .text(function.name),
            .integer(Int64(Limits.Projection.logLinesPerFunction)),
        ])
    }

    func trimLogs() throws(ApusError) {
        try self.database.prepare("DELETE FROM logs WHERE sequence <= (SELECT max(sequence) FROM logs) - ?")
            .run([.integer(Int64(Limits.Projection.logLines))])
    }
}

/// `text` cut to at most `count` bytes, at a character's end.
func cut(_ text: String, _ count: Int) -> String {
    guard text.utf8.count > count else { return text }
    var end = text.utf8.index(text.utf8.startIndex, offsetBy: count)
    while end > text.startIndex, text.utf8[end] & 0xC0 == 0x80 { end = text.utf8.index(before: end) }
    return String(text[..<end])
}
