internal import ApusCore
internal import ApusJSON
internal import ApusStore

/// One part of redriving many: as many dead letters as one transaction takes, in the order in which their events lay on their
/// partitions, so that each key keeps its order.
struct RedriveBatch: Sendable {
    private(set) var ids: [DeadLetterID] = []
    private(set) var appends: [LogBatch.Append] = []
    /// Those that cannot be, and why.
    private var refused: [(id: DeadLetterID, error: ApusError)] = []
    /// Ids that were asked for and are for the next request.
    private var left: [DeadLetterID] = []
    /// The sequence behind which a filter goes on; nil when nothing is left.
    private var next: Int64?

    /// On the store thread.
    init(_ order: RedriveOrder, _ server: Server) throws(ApusError) {
        var rows: [DeadLetterRow] = []
        if let ids = order.ids {
            for id in ids {
                let row = try server.projection.query { (projection) throws(ApusError) in
                    try projection.deadLetter(id)
                }
                guard let row, row.reason.namespace == order.namespace.name else {
                    self.refused.append(
                        (id, ApusError(.deadLetterNotFound, "there is no dead letter \(id): see `apus dead list`")))
                    continue
                }
                rows.append(row)
            }
        } else {
            rows = try server.projection.query { (projection) throws(ApusError) in
                var query = order.query
                // One more tells whether anything is left.
                query.limit = Limits.Control.fatesPerWrite + 1
                return try projection.deadLetters(query)
            }
            if rows.count > Limits.Control.fatesPerWrite {
                rows.removeLast()
                self.next = rows.last?.sequence
            }
        }
        try self.take(rows, isFiltered: order.ids == nil, server)
    }

    private mutating func take(_ rows: [DeadLetterRow], isFiltered: Bool, _ server: Server) throws(ApusError) {
        // By a filter they are bounded already; a part of those would leave gaps behind the sequence that goes on.
        let sorted = rows.sorted {
            ($0.reason.topic, $0.reason.partition, $0.reason.offset, $0.sequence)
                < ($1.reason.topic, $1.reason.partition, $1.reason.offset, $1.sequence)
        }
        let catalogue = server.control.catalogue
        var bytes = 0
        for row in sorted {
            guard self.ids.count < Limits.Control.fatesPerWrite, bytes < Limits.Server.redriveBytes || isFiltered else {
                self.left.append(row.id)
                continue
            }
            do throws(ApusError) {
                guard row.state == .open else {
                    throw ApusError(.conflict, "the dead letter \(row.id) was \(row.state.rawValue) before")
                }
                let append = try Redrive(reason: row.reason, event: try Self.event(row, server)).append(
                    catalogue, server.log)
                bytes += append.block.count
                self.appends.append(append)
                self.ids.append(row.id)
            } catch { self.refused.append((row.id, error)) }
        }
    }

    private static func event(_ row: DeadLetterRow, _ server: Server) throws(ApusError) -> Event {
        var event: Event?
        try server.log.records(at: [row.place]) { _, block in
            if let block { event = try? EventBlock.decode(block.bytes) }
        }
        guard let event else {
            throw ApusError(.recordExpired, "retention has taken the dead letter \(row.id) from the log")
        }
        return event
    }

    var json: JSONValue {
        [
            "redriven": .array(self.ids.map { .string($0.description) }),
            "refused": .array(
                self.refused.map {
                    [
                        "id": .string($0.id.description), "code": .string($0.error.code.rawValue),
                        "message": .string($0.error.message),
                    ]
                }),
            "left": .array(self.left.map { .string($0.description) }),
            "next": self.next.map { .integer($0) } ?? .null,
        ]
    }
}
