internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// Redriving many dead letters: so many in one transaction, in the order of their keys.
extension Routes {
    func addRedrives(to table: inout RouteTable) {
        table.add(
            Operation("redriveDeadLetters", "POST", "/v1/redrives", "Delivers many dead letters again.", .deploy)
        ) { self.redriveDeadLetters($0, $1) }
    }

    private func redriveDeadLetters(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let order = try RedriveOrder(exchange.body, in: try self.namespace(parameters))
            let reply = exchange.reply()
            let server = self.server
            let isQueued = server.store.run {
                do throws(ApusError) {
                    let batch = try RedriveBatch(order, server)
                    guard !batch.ids.isEmpty else { return Self.answer(batch, nil, reply) }
                    let command = ControlCommand.decideFates(batch.ids, order.namespace, .redriven)
                    server.control.perform(command, appends: batch.appends) { answer in
                        do throws(ApusError) {
                            let position = try answer.get().position
                            guard let position else { return Self.answer(batch, nil, reply) }
                            // The next part is looked for behind this one.
                            server.projection.whenPassed(position) { _ in Self.answer(batch, position, reply) }
                        } catch { reply.respond(Problem(error)) }
                    }
                } catch { reply.respond(Problem(error)) }
            }
            if !isQueued { throw ApusError(.overloaded, "too many queries wait: try again in a moment") }
        }
    }

    private static func answer(_ batch: RedriveBatch, _ position: RecordPlace?, _ reply: HTTPReply) {
        var headers = [("Content-Type", "application/json")]
        if let position { headers.append((LogPosition.header, LogPosition(position).description)) }
        reply.respond(status: 200, headers: headers, body: batch.json.encoded())
    }
}

/// Which dead letters are to be redriven: by their ids, or those that a filter leaves.
struct RedriveOrder: Sendable {
    var namespace: Namespace
    /// Nil for those of ``query``.
    var ids: [DeadLetterID]?
    var query: DeadLetterQuery

    private static let known = ["ids", "function", "trigger", "topic", "reason", "since", "after"]

    /// - Throws: `invalid_argument`, `invalid_json`.
    init(_ body: [UInt8], in namespace: Namespace) throws(ApusError) {
        self.namespace = namespace
        self.query = DeadLetterQuery(namespace: namespace, limit: Limits.Projection.rowsPerQuery)
        let json = try JSONValue.parse(body)
        guard let object = json.object else {
            throw ApusError(.invalidArgument, "the body is no JSON object: `ids`, or a filter, is expected")
        }
        for member in object.names where !Self.known.contains(member) {
            throw ApusError(
                .invalidArgument,
                "the body knows no `\(member.prefix(64))`: expected \(Self.known.joined(separator: ", "))")
        }
        if let value = json["ids"] {
            guard object.names.count == 1 else {
                throw ApusError(.invalidArgument, "`ids` and a filter exclude each other: leave one of them out")
            }
            self.ids = try Self.ids(value)
            return
        }
        func text(_ name: String) throws(ApusError) -> String? {
            guard let value = json[name], value != .null else { return nil }
            guard let text = value.string else { throw ApusError(.invalidArgument, "`\(name)` is no text") }
            return text
        }
        self.query.function = try text("function")
        self.query.trigger = try text("trigger")
        self.query.topic = try text("topic")
        self.query.reason = try text("reason")
        self.query.since = try text("since").map { (text) throws(ApusError) in try DeadLetterQuery.since(text) }
        guard let after = json["after"], after != .null else { return }
        guard let after = after.integer, after >= 0 else {
            throw ApusError(.invalidArgument, "`after` is no sequence: as an answer gave it in `next`")
        }
        self.query.after = after
    }

    private static func ids(_ value: JSONValue) throws(ApusError) -> [DeadLetterID] {
        guard let list = value.array, (1...Limits.Projection.rowsPerQuery).contains(list.count) else {
            throw ApusError(.invalidArgument, "`ids` is no list of 1 to \(Limits.Projection.rowsPerQuery) ids")
        }
        var ids: [DeadLetterID] = []
        for element in list {
            guard let id = element.string.flatMap({ DeadLetterID($0) }) else {
                throw ApusError(
                    .deadLetterNotFound,
                    "'\((element.string ?? "").prefix(128))' is no dead letter's id: see `apus dead list`")
            }
            if !ids.contains(id) { ids.append(id) }
        }
        return ids
    }
}

extension DeadLetterQuery {
    static func since(_ text: String) throws(ApusError) -> Timestamp {
        guard let time = RFC3339.parse(text) else {
            throw ApusError(.invalidArgument, "since=\(text.prefix(64)): a time like 2026-03-01T12:00:00Z is expected")
        }
        return time
    }
}
