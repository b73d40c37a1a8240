internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusStore

/// What agents did: found, handed out, and proved to be whole.
extension Routes {
    func addAudit(to table: inout RouteTable) {
        table.add(Operation("searchAudit", "GET", "/v1/audit", "Who called what, and what was decided.", .administer)) {
            self.searchAudit($0, $1)
        }
        table.add(
            Operation(
                "verifyAudit", "POST", "/v1/audit/verify", "Checks that no record was changed or taken away.",
                .server([]))
        ) { exchange, _ in
            self.answerFromStore(exchange) { server throws(ApusError) in
                StoreAnswer(try AuditVerification(server.log, server.audit.keys).json)
            }
        }
    }

    private func searchAudit(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let query = try self.query(exchange)
            let known = ["principal", "subject", "decision", "since", "until", "after", "limit", "exact"]
            if let name = query.unexpected(besides: Set(known)) {
                throw ApusError(
                    .invalidArgument,
                    "'\(name.prefix(64))' is no parameter here: \(known.joined(separator: ", ")) are")
            }
            var search = AuditSearch(namespace: try self.namespace(parameters))
            search.principal = query["principal"]
            search.subject = query["subject"]
            search.decision = query["decision"]
            search.since = try query["since"].map { (text) throws(ApusError) in try DeadLetterQuery.since(text) }
            search.until = try query["until"].map { (text) throws(ApusError) in try DeadLetterQuery.since(text) }
            search.limit = try self.number(query, "limit", default: 100, in: 1...Limits.Audit.listedPerPage)
            if let after = query["after"], case .offsets(let offsets) = try TopicReading.From(after) {
                search.after = offsets
            }
            let exact = query["exact"] ?? "false"
            guard ["true", "false"].contains(exact) else {
                throw ApusError(.invalidArgument, "exact=\(exact.prefix(32)): true or false is expected")
            }
            self.answerFromStore(exchange) { [search] server throws(ApusError) in
                let page = try search.page(of: server.log)
                var body = Array(#"{"items":["#.utf8)
                for (index, record) in page.records.enumerated() {
                    if index > 0 { body.append(UInt8(ascii: ",")) }
                    // A record as text is the same to the byte for whoever reads it, whatever writes it down.
                    if exact == "true" {
                        JSONText.append(String(decoding: record, as: UTF8.self), to: &body)
                    } else {
                        body.append(contentsOf: record)
                    }
                }
                let next = page.next.sorted { $0.key < $1.key }.map { "\($0.key):\($0.value)" }.joined(separator: ",")
                body.append(contentsOf: #"],"next":"\#(next)","atEnd":\#(page.isAtEnd)}"#.utf8)
                return StoreAnswer(json: body)
            }
        }
    }
}
