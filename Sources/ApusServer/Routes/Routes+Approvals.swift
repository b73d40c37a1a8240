internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore

/// Calls of tools that wait for somebody to let them begin.
extension Routes {
    func addApprovals(to table: inout RouteTable) {
        let approvers = Access.inNamespace([.approver])
        table.add(
            Operation("listApprovals", "GET", "/v1/approvals", "Calls that wait for somebody, and what was decided.", approvers)
        ) { self.listApprovals($0, $1) }
        table.add(Operation("getApproval", "GET", "/v1/approvals/{id}", "One of them.", approvers)) {
            self.getApproval($0, $1)
        }
        table.add(
            Operation("acceptApproval", "POST", "/v1/approvals/{id}/accept", "Lets the call begin, once.", approvers)
        ) { self.decideApproval($0, $1, isAccepted: true) }
        table.add(
            Operation("declineApproval", "POST", "/v1/approvals/{id}/decline", "Refuses the call.", approvers)
        ) { self.decideApproval($0, $1, isAccepted: false) }
    }

    private func listApprovals(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["state", "limit"]) {
                throw ApusError(.invalidArgument, "'\(name.prefix(64))' is no parameter here: state and limit are")
            }
            let limit = try self.number(
                query, "limit", default: Limits.Server.approvalsStandard, in: 1...Limits.Approvals.onOneLog)
            let state = try query["state"].map { (text) throws(ApusError) in try Self.state(text) }
            let now = self.runtime.now
            self.answerFromStore(exchange) { server throws(ApusError) in
                let items = server.control.catalogue.approvals(in: namespace)
                    .filter { state == nil || $0.name(now: now) == state }
                return StoreAnswer([
                    "items": .array(items.prefix(limit).map { Self.approvalJSON($0, now: now) }),
                    "more": .number(max(0, items.count - limit)),
                ])
            }
        }
    }

    private static func state(_ text: String) throws(ApusError) -> Approval.StateName {
        if let state = Approval.StateName(rawValue: text) { return state }
        let all = Approval.StateName.allCases.map(\.rawValue).joined(separator: ", ")
        throw ApusError(.invalidArgument, "'\(text.prefix(64))' is no state: one of \(all) is expected")
    }

    private func getApproval(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let (namespace, id) = (try self.namespace(parameters), try self.approvalID(parameters))
            let now = self.runtime.now
            self.answerFromStore(exchange) { server throws(ApusError) in
                StoreAnswer(Self.approvalJSON(try server.control.catalogue.approval(id, in: namespace), now: now))
            }
        }
    }

    private func decideApproval(_ exchange: HTTPExchange, _ parameters: RouteParameters, isAccepted: Bool) {
        self.answer(exchange) { () throws(ApusError) in
            let (namespace, id) = (try self.namespace(parameters), try self.approvalID(parameters))
            let verdict = ApprovalVerdict(
                isAccepted: isAccepted, principal: self.principal(of: exchange).name,
                reason: try Self.reason(exchange.body))
            let reply = exchange.reply()
            let clock = self.server.clock
            self.server.approvals.decide(id, in: namespace, verdict) { result in
                switch result {
                case .failure(let error): reply.respond(Problem(error))
                case .success(let (approval, position)):
                    var headers = [("Content-Type", "application/json")]
                    if let position { headers.append((LogPosition.header, LogPosition(position).description)) }
                    reply.respond(
                        status: 200, headers: headers, body: Self.approvalJSON(approval, now: clock.now).encoded())
                }
            }
        }
    }

    /// `{"reason": text}`, which may be left out.
    private static func reason(_ body: [UInt8]) throws(ApusError) -> String? {
        guard !body.isEmpty else { return nil }
        let json = try JSONValue.parse(body)
        guard let object = json.object, object.names.allSatisfy({ $0 == "reason" }) else {
            throw ApusError(.invalidArgument, "the body is no object with `reason` alone")
        }
        guard let value = json["reason"], value != .null else { return nil }
        guard let text = value.string, text.count <= Limits.Approvals.reasonCharacters else {
            throw ApusError(
                .invalidArgument, "`reason` is no text of at most \(Limits.Approvals.reasonCharacters) characters")
        }
        return text
    }

    private func approvalID(_ parameters: RouteParameters) throws(ApusError) -> ApprovalID {
        let text = parameters["id"] ?? ""
        guard let id = ApprovalID(text) else {
            throw ApusError(.notFound, "'\(text.prefix(64))' is no id of an approval: see `apus approvals list`")
        }
        return id
    }

    private static func approvalJSON(_ approval: Approval, now: Timestamp) -> JSONValue {
        let request = approval.request
        let text: (String?) -> JSONValue = { $0.map { .string($0) } ?? .null }
        let time: (Timestamp?) -> JSONValue = { $0.map { .string(RFC3339.format($0)) } ?? .null }
        return [
            "id": .string(approval.id.description), "namespace": .string(approval.namespace.name),
            "state": .string(approval.name(now: now).rawValue), "tool": .string(request.tool),
            "function": .string(request.function.name), "version": .number(request.version),
            "revision": .string(request.revision), "principal": .string(request.principal),
            "by": .string(request.by.rawValue),
            // It was read when it was made.
            "arguments": (try? JSONValue.parse(request.arguments)) ?? .string(request.arguments),
            "created": time(approval.created), "expires": time(approval.expires),
            "decidedBy": text(approval.decision?.principal), "decided": time(approval.decision?.time),
            "reason": text(approval.decision?.reason),
        ]
    }
}
