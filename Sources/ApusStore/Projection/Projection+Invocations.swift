public import ApusCore

enum ProjectionInvocations {
    static let insert = """
        INSERT OR REPLACE INTO invocations (
            id, namespace, function, state, principal, queued, started, finished, attempts, revision, code, message, detail,
            progress, timing, content_type, bytes, partition, "offset", updated, task
        ) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
        """
    static let accept = """
        INSERT OR IGNORE INTO invocations (
            id, namespace, function, state, principal, queued, attempts, revision, partition, "offset", updated, task
        ) VALUES (?1, ?2, ?3, 'queued', ?4, ?5, 0, '', 0, ?6, ?5, ?7)
        """
    static let select = """
        SELECT id, namespace, function, state, principal, queued, started, finished, attempts, revision, code, message, detail,
            progress, timing, content_type, bytes, partition, "offset", updated FROM invocations
        """
}

extension Projection {
    // MARK: queries

    /// - Returns: nil when the projection knows no such invocation.
    public func invocation(_ id: InvocationID) throws(ApusError) -> InvocationRow? {
        try self.database.prepare(ProjectionInvocations.select + " WHERE id = ?").first(
            [.text(id.description)], Self.invocation) ?? nil
    }

    public func invocations(_ query: InvocationQuery) throws(ApusError) -> [InvocationRow] {
        // Said so that the index by function is taken when there is one to take it for.
        let function = query.function == nil ? "?2 IS NULL" : "function = ?2"
        let sql =
            ProjectionInvocations.select + """
                 WHERE namespace = ?1 AND \(function) AND (?3 IS NULL OR state = ?3)
                    AND (?4 IS NULL OR (queued, id) < (SELECT queued, id FROM invocations WHERE id = ?4))
                ORDER BY queued DESC, id DESC LIMIT ?5
                """
        let values: [SQLValue] = [
            .text(query.namespace.name), .optional(query.function), .optional(query.state?.rawValue),
            .optional(query.after?.description),
            .integer(Int64(min(max(query.limit, 0), Limits.Projection.rowsPerQuery))),
        ]
        return try self.database.prepare(sql).all(values, Self.invocation).compactMap { $0 }
    }

    /// How many tasks of agents there are, by what they are doing or how they ended.
    public func taskCounts() throws(ApusError) -> [(state: InvocationState, code: String?, count: Int)] {
        let sql = "SELECT state, code, COUNT(*) FROM invocations WHERE task IS NOT NULL GROUP BY state, code"
        return try self.database.prepare(sql).all([]) { row in
            InvocationState(rawValue: row.text(0)).map { ($0, row.optionalText(1), Int(row.integer(2))) }
        }.compactMap { $0 }
    }

    /// How many of a function wait that were accepted before a moment; counted up to a bound.
    public func invocationsAhead(
        of time: Timestamp, _ namespace: String, _ function: String, limit: Int
    ) throws(ApusError) -> Int {
        let sql = """
            SELECT COUNT(*) FROM (
                SELECT 1 FROM invocations WHERE namespace = ?1 AND function = ?2 AND queued < ?3 AND state = 'queued'
                ORDER BY queued DESC LIMIT ?4
            )
            """
        return try self.database.prepare(sql).first(
            [.text(namespace), .text(function), .integer(time.microseconds), .integer(Int64(limit))]
        ) { Int($0.integer(0)) } ?? 0
    }

    /// Invocations that ended before a moment, oldest first: what a sweep may forget.
    public func endedInvocations(before time: Timestamp, limit: Int) throws(ApusError) -> [InvocationID] {
        let sql = "SELECT id FROM invocations WHERE finished IS NOT NULL AND finished < ? ORDER BY finished LIMIT ?"
        return try self.database.prepare(sql).all([.integer(time.microseconds), .integer(Int64(limit))]) {
            InvocationID($0.text(0))
        }.compactMap { $0 }
    }

    /// Ids of invocations whose terminal state was taken in since this was last asked.
    public func takeEndedInvocations() -> [String] {
        defer { self.endedInvocations = [] }
        return self.endedInvocations
    }

    /// Ids of invocations that got another state, which is not their last, since this was last asked.
    public func takeChangedInvocations() -> [String] {
        defer { self.changedInvocations = [] }
        return self.changedInvocations
    }

    /// Ids of invocations that somebody asked to cancel since the last call.
    public func takeCancelRequests() -> [String] {
        defer { self.cancelRequests = [] }
        return self.cancelRequests
    }

    /// Answers that somebody gave to questions of invocations since the last call.
    public func takeAnswerRequests() -> [QuestionAnswer] {
        defer { self.answerRequests = [] }
        return self.answerRequests
    }

    // MARK: following

    /// An accepted invocation: `queued`, unless a later state is known already.
    func addInvocation(_ event: Event, of topic: TopicName, _ offset: Offset) throws(ApusError) {
        guard let function = topic.invokedFunction,
            let lane = event.header(InvocationHeader.lane).flatMap({ UInt64($0, radix: 16) })
        else { return }
        let id = InvocationID(high: lane, low: UInt64(bitPattern: offset))
        try self.database.prepare(ProjectionInvocations.accept).run([
            .text(id.description), .text(function.namespace.name), .text(function.name),
            .text(event.header(InvocationHeader.principal) ?? ""), .integer(event.timestamp.microseconds),
            .integer(offset), Self.mark(event),
        ])
    }

    private static func mark(_ event: Event) -> SQLValue { .optional(event.header(InvocationHeader.task) == nil ? nil : Int64(1)) }

    /// A state, or its end: requests have keys that go on after the id and are passed over.
    func applyInvocation(_ event: Event, at partition: Int, _ offset: Offset) throws(ApusError) {
        let key = String(decoding: event.key ?? [], as: UTF8.self)
        guard let id = InvocationID(key) else {
            if event.data != nil, key.hasSuffix(Self.cancelSuffix) {
                self.cancelRequests.append(String(key.dropLast(Self.cancelSuffix.count)))
            } else if let answer = event.data, let mark = key.firstRange(of: Self.answerMark) {
                self.answerRequests.append(
                    QuestionAnswer(
                        invocation: String(key[..<mark.lowerBound]), question: String(key[mark.upperBound...]), json: answer))
            }
            return
        }
        guard let data = event.data else {
            try self.database.prepare("DELETE FROM invocations WHERE id = ?").run([.text(id.description)])
            return
        }
        guard let state = event.header(InvocationHeader.state).flatMap(InvocationState.init(rawValue:)),
            let name = event.header(InvocationHeader.function)?.split(separator: "/"), name.count == 2
        else { return }
        func number(_ name: String) -> Int64? { event.header(name).flatMap(Int64.init) }
        let isResult = state == .succeeded
        let isNull = event.header(InvocationHeader.isNull) != nil
        let limit = Limits.Projection.messageBytes
        try self.insertInvocation.run([
            .text(id.description), .text(String(name[0])), .text(String(name[1])), .text(state.rawValue),
            .text(event.header(InvocationHeader.principal) ?? ""), .integer(number(InvocationHeader.queued) ?? 0),
            .optional(number(InvocationHeader.started)), .optional(number(InvocationHeader.finished)),
            .integer(number(InvocationHeader.attempts) ?? 0),
            .text(event.header(InvocationHeader.revision) ?? ""), .optional(event.header(InvocationHeader.code)),
            .optional(event.header(InvocationHeader.message).map { cut($0, limit) }),
            .optional(event.header(InvocationHeader.detail).map { cut($0, limit) }),
            .optional(event.header(InvocationHeader.progress)), .optional(event.header(InvocationHeader.timing)),
            .optional(isResult ? event["datacontenttype"] : nil),
            .optional(isResult && !isNull ? Int64(data.count) : nil), .integer(Int64(partition)), .integer(offset),
            .integer(event.timestamp.microseconds), Self.mark(event),
        ])
        if state.isTerminal {
            self.endedInvocations.append(id.description)
        } else {
            self.changedInvocations.append(id.description)
        }
    }

    private static let answerMark = "/answer/"
    private static let cancelSuffix = "/cancel"

    private static func invocation(_ row: Row) throws(ApusError) -> InvocationRow? {
        guard let id = InvocationID(row.text(0)), let state = InvocationState(rawValue: row.text(3)) else { return nil }
        let result = InvocationRow.Result(
            contentType: row.optionalText(15), bytes: row.optionalInteger(16).map { Int($0) })
        return InvocationRow(
            id: id, namespace: row.text(1), function: row.text(2), state: state, principal: row.text(4),
            queued: Timestamp(microseconds: row.integer(5)),
            started: row.optionalInteger(6).map(Timestamp.init(microseconds:)),
            finished: row.optionalInteger(7).map(Timestamp.init(microseconds:)), attempts: Int(row.integer(8)),
            revision: row.text(9), code: row.optionalText(10), message: row.optionalText(11),
            detail: row.optionalText(12), progress: row.optionalText(13), timing: row.optionalText(14),
            result: state == .succeeded ? result : nil,
            place: RecordPlace(TopicPartition(.invocations, Int(row.integer(17))), row.integer(18)),
            updated: Timestamp(microseconds: row.integer(19)))
    }
}

extension Event {
    /// The value of a header of that name.
    func header(_ name: String) -> String? { self.attributes.first { $0.kind == .header && $0.name == name }?.text }
}
