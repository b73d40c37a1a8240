internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// Asynchronous invocations: accepting, looking at, waiting for and cancelling them.
extension Routes {
    func addInvocations(to table: inout RouteTable) {
        table.add(
            Operation("listInvocations", "GET", "/v1/invocations", "Asynchronous invocations, newest first.", .follow)
        ) { self.listInvocations($0, $1) }
        table.add(
            Operation(
                "getInvocation", "GET", "/v1/invocations/{id}", "The state of one, once it ends with ?wait=.", .follow)
        ) { self.getInvocation($0, $1) }
        table.add(
            Operation(
                "getInvocationResult", "GET", "/v1/invocations/{id}/result", "What the function returned.", .follow)
        ) { self.getInvocationResult($0, $1) }
        table.add(Operation("cancelInvocation", "DELETE", "/v1/invocations/{id}", "Cancels one.", .call)) {
            self.cancelInvocation($0, $1)
        }
    }

    // MARK: accepting

    /// Answers 202 once the invocation is durable.
    func acceptInvocation(_ exchange: HTTPExchange, _ name: ResourceName, _ event: Event) throws(ApusError) {
        let principal = self.principal(of: exchange).name
        let key = try IdempotencyKey(exchange, principal: principal, scope: "invoke \(name)")
        let reply = exchange.reply()
        let once = key?.once(now: self.server.clock.now)
        self.server.invocations.accept(name, event, principal: principal, along: [], once: once) { result in
            switch result {
            case .success(let accepted): Self.answer(accepted, name, reply)
            case .failure(let error): Self.refuse(error, reply)
            }
        }
    }

    private static func answer(_ accepted: AcceptedInvocation, _ name: ResourceName, _ reply: HTTPReply) {
        let id = accepted.id.description
        let scope = name.namespace == .default ? "/v1" : "/v1/namespaces/\(name.namespace)"
        let json: JSONValue = [
            "id": .string(id), "namespace": .string(name.namespace.name), "function": .string(name.name),
            "state": .string(InvocationState.queued.rawValue),
        ]
        reply.respond(
            status: 202,
            headers: [
                ("Content-Type", "application/json"), ("Location", "\(scope)/invocations/\(id)"),
                ("Apus-Invocation", id), (LogPosition.header, LogPosition(accepted.position).description),
                ("Preference-Applied", "respond-async"),
            ] + (accepted.isRepeated ? [Self.repeatedHeader] : []), body: json.encoded())
    }

    private static func refuse(_ error: ApusError, _ reply: HTTPReply) {
        let isFull = error.code == .queueFull
        let headers = isFull ? [("Retry-After", String(Limits.Invocations.retryAfterSeconds))] : []
        reply.perform { $0.respond(Problem(error), headers: headers) }
    }

    // MARK: looking

    private func invocationID(_ parameters: RouteParameters) throws(ApusError) -> InvocationID {
        let text = parameters["id"] ?? ""
        guard let id = InvocationID(text) else {
            throw ApusError(
                .invocationNotFound,
                "'\(text.prefix(64))' is no invocation's id, which has 32 hexadecimal digits: see `apus get invocations`"
            )
        }
        return id
    }

    /// - Returns: until when `wait` says to wait.
    private func wait(_ exchange: HTTPExchange, default standard: Int = 0) throws(ApusError) -> Timestamp? {
        let query = try self.query(exchange)
        if let name = query.unexpected(besides: ["wait"]) {
            throw ApusError(.invalidArgument, "'\(name.prefix(64))' is no parameter here: wait is")
        }
        let seconds = try self.number(query, "wait", default: standard, in: 0...Limits.Invocations.waitSeconds)
        return seconds == 0 ? nil : self.server.clock.now + .seconds(Int64(seconds))
    }

    private func lookup(_ exchange: HTTPExchange, _ parameters: RouteParameters) throws(ApusError) -> InvocationLookup {
        InvocationLookup(
            server: self.server, id: try self.invocationID(parameters), namespace: try self.namespace(parameters),
            until: try self.wait(exchange))
    }

    func getInvocation(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let reply = exchange.reply()
            try self.lookup(exchange, parameters).run { Self.answer($0, reply) }
        }
    }

    private static func answer(_ result: Result<InvocationRow, ApusError>, status: UInt32 = 200, _ reply: HTTPReply) {
        switch result {
        case .failure(let error): reply.respond(Problem(error))
        case .success(let row):
            let json = Self.json(row).encoded()
            reply.perform { $0.respond(status: status, json: json, headers: [("Apus-Invocation", row.id.description)]) }
        }
    }

    func listInvocations(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["function", "state", "after", "limit"]) {
                throw ApusError(
                    .invalidArgument,
                    "'\(name.prefix(64))' is no parameter here: function, state, after and limit are")
            }
            var asked = InvocationQuery(namespace: try self.namespace(parameters), function: query["function"])
            asked.limit = try self.number(query, "limit", default: 100, in: 1...Limits.Projection.rowsPerQuery)
            if let text = query["state"] {
                guard let state = InvocationState(rawValue: text) else {
                    let known = InvocationState.allCases.map(\.rawValue).joined(separator: ", ")
                    throw ApusError(.invalidArgument, "state=\(text.prefix(32)): one of \(known) is expected")
                }
                asked.state = state
            }
            if let text = query["after"] {
                guard let id = InvocationID(text) else {
                    throw ApusError(.invalidArgument, "after=\(text.prefix(64)): an invocation's id is expected")
                }
                asked.after = id
            }
            self.answerFromStore(exchange) { [asked] server throws(ApusError) in
                let rows = try server.projection.query { (projection) throws(ApusError) in
                    try projection.invocations(asked)
                }
                return StoreAnswer(["items": .array(rows.map(Self.json))])
            }
        }
    }

    static func json(_ row: InvocationRow) -> JSONValue {
        var json: JSONValue = [
            "id": .string(row.id.description), "namespace": .string(row.namespace), "function": .string(row.function),
            "state": .string(row.state.rawValue), "principal": .string(row.principal),
            "attempts": .number(row.attempts), "queued": .string(RFC3339.format(row.queued)),
        ]
        if let started = row.started { json["started"] = .string(RFC3339.format(started)) }
        if let finished = row.finished { json["finished"] = .string(RFC3339.format(finished)) }
        if !row.revision.isEmpty { json["revision"] = .string(row.revision) }
        if let code = row.code { json["code"] = .string(code) }
        if let message = row.message { json["message"] = .string(message) }
        if let detail = row.detail { json["detail"] = .string(detail) }
        if let progress = row.progress.flatMap(Self.progress) { json["progress"] = progress }
        if let timing = row.timing { json["timing"] = (try? JSONValue.parse(timing)) ?? .null }
        if let result = row.result {
            json["result"] = [
                "contentType": result.contentType.map { .string($0) } ?? .null,
                "bytes": result.bytes.map { .number($0) } ?? .null,
            ]
        }
        return json
    }

    private static func progress(_ text: String) -> JSONValue? {
        let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, let done = UInt64(parts[0]), let total = UInt64(parts[1]) else { return nil }
        return [
            "done": .number(done), "total": total == 0 ? .null : .number(total), "message": .string(String(parts[2])),
        ]
    }

    // MARK: results

    /// What a synchronous call would have been answered with.
    func getInvocationResult(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let reply = exchange.reply()
            let (log, accept) = (self.server.log, AcceptHeader(exchange.header("Accept")))
            try self.lookup(exchange, parameters).run { result in
                do throws(ApusError) {
                    try Self.answerResult(try result.get(), log, accept, reply)
                } catch { reply.respond(Problem(error)) }
            }
        }
    }

    /// On the store thread: the result comes from the log.
    private static func answerResult(
        _ row: InvocationRow, _ log: any EventLog, _ accept: AcceptHeader, _ reply: HTTPReply
    ) throws(ApusError) {
        let headers = [("Apus-Invocation", row.id.description)]
        guard row.state.isTerminal else {
            throw ApusError(
                .conflict, "the invocation \(row.id) is \(row.state.rawValue): ask again, or with ?wait=SECONDS")
        }
        guard row.state == .succeeded else {
            let code = row.code.flatMap(ErrorCode.init(rawValue:)) ?? .functionFailed
            let lines = (row.detail ?? "").split(separator: "\n").map(String.init)
            let problem = Problem(code, row.message ?? "the invocation \(row.state.rawValue)", errors: lines)
            return reply.perform { $0.respond(problem, headers: headers) }
        }
        var found: Event?
        try log.records(at: [row.place]) { _, block in
            if let block { found = try? EventBlock.decode(block.bytes) }
        }
        guard var result = found, let namespace = Namespace(row.namespace),
            let function = ResourceName(namespace, row.function)
        else {
            throw ApusError(.recordExpired, "the result of the invocation \(row.id) is not kept any more")
        }
        result.key = nil
        result.attributes.removeAll { $0.kind == .header }
        if row.result?.bytes == nil { result.data = nil }
        let call = InvocationCall(function: function, id: row.id, way: .direct)
        let answer = try CloudEventAnswer.of(result, call, accept: accept)
        guard let body = answer.body else { return reply.respond(status: 204, headers: headers + answer.headers) }
        reply.respond(
            status: 200, headers: headers + [("Content-Type", answer.contentType)] + answer.headers, body: body)
    }

    // MARK: cancelling

    /// Answers with the terminal state once it is there; 202 with the state so far when the worker takes its time.
    func cancelInvocation(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let reply = exchange.reply()
            let principal = self.principal(of: exchange).name
            let (server, clock) = (self.server, self.server.clock)
            let until = try self.wait(exchange, default: Limits.Invocations.cancelWaitSeconds)
            let lookup = InvocationLookup(
                server: server, id: try self.invocationID(parameters), namespace: try self.namespace(parameters))
            lookup.run { [lookup] found in
                do throws(ApusError) {
                    let row = try found.get()
                    if row.state.isTerminal { throw Self.isOver(row) }
                    server.invocations.cancel(row.id, principal: principal) { result in
                        if case .failure(let error) = result { return reply.respond(Problem(error)) }
                        var lookup = lookup
                        lookup.until = until ?? clock.now
                        lookup.run { Self.answerCancelled($0, reply) }
                    }
                } catch { reply.respond(Problem(error)) }
            }
        }
    }

    private static func answerCancelled(_ result: Result<InvocationRow, ApusError>, _ reply: HTTPReply) {
        guard case .success(let row) = result, row.state != .cancelled else { return Self.answer(result, reply) }
        if row.state.isTerminal { return reply.respond(Problem(Self.isOver(row))) }
        Self.answer(result, status: 202, reply)
    }

    private static func isOver(_ row: InvocationRow) -> ApusError {
        ApusError(.conflict, "the invocation \(row.id) is over: it \(Self.ending(row.state))")
    }

    private static func ending(_ state: InvocationState) -> String {
        switch state {
        case .cancelled: "was cancelled"
        case .queued, .running, .waiting: "is \(state.rawValue)"
        case .succeeded, .failed, .expired: state.rawValue
        }
    }
}
