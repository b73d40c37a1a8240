internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// Dead letters: listing, showing, redriving, dropping.
extension Routes {
    func addDeadLetters(to table: inout RouteTable) {
        table.add(Operation("listDeadLetters", "GET", "/v1/dead-letters", "Deliveries given up on.", .read)) {
            self.listDeadLetters($0, $1)
        }
        table.add(Operation("getDeadLetter", "GET", "/v1/dead-letters/{id}", "One, whole.", .read)) {
            self.showDeadLetter($0, $1)
        }
        table.add(
            Operation("redriveDeadLetter", "POST", "/v1/dead-letters/{id}/redrive", "Delivers one again.", .deploy)
        ) { self.decideDeadLetter($0, $1, .redriven) }
        table.add(Operation("dropDeadLetter", "DELETE", "/v1/dead-letters/{id}", "Drops one for good.", .deploy)) {
            self.decideDeadLetter($0, $1, .dropped)
        }
    }

    func listDeadLetters(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let query = try self.query(exchange)
            let known = ["function", "trigger", "topic", "reason", "since", "state", "after", "limit"]
            if let name = query.unexpected(besides: Set(known)) {
                throw ApusError(
                    .invalidArgument,
                    "'\(name.prefix(64))' is no parameter here: \(known.joined(separator: ", ")) are")
            }
            var asked = DeadLetterQuery(namespace: try self.namespace(parameters))
            asked.function = query["function"]
            asked.topic = query["topic"]
            asked.trigger = query["trigger"]
            asked.reason = query["reason"]
            asked.since = try query["since"].map { (text) throws(ApusError) in try DeadLetterQuery.since(text) }
            asked.after = Int64(try self.number(query, "after", default: 0, in: 0...Int.max))
            asked.limit = try self.number(query, "limit", default: 100, in: 1...Limits.Projection.rowsPerQuery)
            if let state = query["state"] {
                guard state == "all" || DeadLetterRow.State(rawValue: state) != nil else {
                    throw ApusError(
                        .invalidArgument, "state=\(state.prefix(32)): open, redriven, dropped or all is expected")
                }
                asked.state = DeadLetterRow.State(rawValue: state)
            }
            self.answerFromStore(exchange) { [asked] server throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.deadLetters(asked)
                }
                return StoreAnswer(["items": .array(rows.map(Self.json))])
            }
        }
    }

    func showDeadLetter(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let id = try self.deadLetterID(parameters)
            let namespace = try self.namespace(parameters)
            self.answerFromStore(exchange) { server throws(ApusError) in
                let (row, event) = try Self.find(id, in: namespace, server)
                return StoreAnswer(json: Self.whole(row, event))
            }
        }
    }

    /// Redriving appends the event again to the partition it came from, marked so that only its own trigger takes it, in one
    /// transaction with the record that says so. It keeps its key, and so its place behind what that key has waiting.
    func decideDeadLetter(_ exchange: HTTPExchange, _ parameters: RouteParameters, _ fate: ControlRecord.DeadLetterFate)
    {
        self.answer(exchange) { () throws(ApusError) in
            let id = try self.deadLetterID(parameters)
            let namespace = try self.namespace(parameters)
            let reply = exchange.reply()
            let routes = self
            let isQueued = self.server.store.run {
                do throws(ApusError) {
                    let (row, event) = try Self.find(id, in: namespace, routes.server)
                    guard row.state == .open else {
                        throw ApusError(.conflict, "the dead letter \(id) was \(row.state.rawValue) before")
                    }
                    let appends = fate == .redriven ? [try Self.redrive(row, event, routes.server)] : []
                    reply.perform { routes.command(.decideFate(id, namespace, fate), appends: appends, $0) }
                } catch {
                    reply.respond(Problem(error))
                }
            }
            if !isQueued { exchange.respond(Problem(.overloaded, "too many queries wait: try again in a moment")) }
        }
    }

    private static func redrive(_ row: DeadLetterRow, _ event: Event, _ server: Server) throws(ApusError)
        -> LogBatch.Append
    {
        try Redrive(reason: row.reason, event: event).append(server.control.catalogue, server.log)
    }

    /// The row with its event. Its data goes out byte for byte: a number that no double holds is still what was sent.
    static func whole(_ row: DeadLetterRow, _ event: Event) -> [UInt8] {
        var writer = JSONWriter()
        writer.beginObject()
        if case .object(let members) = Self.json(row) {
            for member in members { writer.member(member.name, member.value) }
        }
        writer.key("event")
        writer.raw(CloudEventEncoder.json(event, partition: row.place.partition.partition, offset: row.place.offset))
        writer.endObject()
        return writer.bytes
    }

    /// One of another namespace is not there, whoever asks.
    private static func find(_ id: DeadLetterID, in namespace: Namespace, _ server: Server) throws(ApusError)
        -> (DeadLetterRow, Event)
    {
        let unknown = ApusError(.deadLetterNotFound, "there is no dead letter \(id): see `apus dead list`")
        let row = try server.projection.query { (projection) throws(ApusError) in try projection.deadLetter(id) }
        guard let row, row.reason.namespace == namespace.name else { throw unknown }
        var event: Event?
        try server.log.records(at: [row.place]) { _, block in
            if let block { event = try? EventBlock.decode(block.bytes) }
        }
        guard let event else {
            throw ApusError(.recordExpired, "retention has taken the dead letter \(id) from the log")
        }
        return (row, event)
    }

    private func deadLetterID(_ parameters: RouteParameters) throws(ApusError) -> DeadLetterID {
        let text = parameters["id"] ?? ""
        guard let id = DeadLetterID(text) else {
            throw ApusError(.deadLetterNotFound, "'\(text.prefix(128))' is no dead letter's id: see `apus dead list`")
        }
        return id
    }

    private static func json(_ row: DeadLetterRow) -> JSONValue {
        let reason = row.reason
        var json: JSONValue = [
            "id": .string(row.id.description), "state": .string(row.state.rawValue),
            "namespace": .string(reason.namespace),
            "function": .string(reason.function), "trigger": .string(reason.trigger), "topic": .string(reason.topic),
            "partition": .number(reason.partition), "offset": .number(reason.offset),
            "attempts": .number(reason.attempts),
            "code": .string(reason.code), "message": .string(reason.message), "detail": .string(reason.detail),
            "time": .string(RFC3339.format(reason.time)), "revision": .string(reason.revision),
            "eventId": .string(row.eventID),
            "eventType": .string(row.eventType), "sequence": .number(row.sequence),
        ]
        if let decided = row.decided { json["decided"] = .string(RFC3339.format(decided)) }
        return json
    }
}
