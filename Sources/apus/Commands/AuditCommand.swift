internal import ApusCore
internal import ApusJSON

extension Command {
    static let audit = Command(
        CommandDescription(
            name: "audit", summary: "find, export and verify what agents did",
            details: """
                Each call of a tool, each refusal and each decision of a person is a record on apus.audit before anybody is told of it.
                Every record is bound to the one before it by a key that the log does not hold, so that none can be changed or taken
                away unseen; retention writes where checking starts before it lets old ones go.
                """,
            subcommands: [
                CommandDescription(
                    name: "verify", summary: "check that no record was changed or taken away",
                    details: "Exit code 1 when something is wrong. Checks the whole server's records.",
                    examples: [.init("apus audit verify", "Is what is told of the agents all there is?")]
                ),
                CommandDescription(
                    name: "search", summary: "list records of a namespace",
                    options: Self.auditFilters + [
                        .value("--limit", "N", "how many at most; 100 without it")
                    ],
                    examples: [
                        .init(
                            "apus audit search --principal researcher --since 2026-03-01T00:00:00Z", "What did it do?"),
                        .init("apus audit search --decision refused", "What was not let through?"),
                    ]
                ),
                CommandDescription(
                    name: "export", summary: "write records as they are, one JSON object a line",
                    options: Self.auditFilters,
                    examples: [.init("apus audit export > audit.ndjson", "Keep a copy elsewhere")]
                ),
            ]
        )
    ) { context in
        let command = AuditCommand(context: context)
        switch context.subcommand {
        case "verify": try command.verify()
        case "export": try command.export()
        default: try command.search()
        }
    }

    private static let auditFilters: [OptionDescription] = [
        .value("--principal", "NAME", "of this principal only"),
        .value("--subject", "NAME", "about this tool, agent or list only"),
        .value(
            "--decision", "WHAT", "allowed, refused or failed only", values: .oneOf(["allowed", "refused", "failed"])),
        .value("--since", "TIME", "from this time on, as 2026-03-01T12:00:00Z"),
        .value("--until", "TIME", "before this time"),
    ]
}

private struct AuditCommand {
    let context: CommandContext

    func verify() throws {
        let answer = try self.context.client().call(APIRequest(.post, "/v1/audit/verify", body: [])).json()
        let findings = answer["findings"]?.array ?? []
        try self.context.show(answer) {
            let records = answer["records"]?.integer ?? 0
            guard !findings.isEmpty else { return "\(records) records, none changed, none missing\n" }
            var table = TextTable(["PARTITION", "OFFSET", "PROBLEM"])
            for finding in findings {
                table.add([
                    "\(finding["partition"]?.integer ?? 0)", finding["offset"]?.integer.map { "\($0)" } ?? "",
                    finding["problem"]?.string ?? "",
                ])
            }
            return table.render(width: self.context.terminal.width)
        }
        guard findings.isEmpty else {
            let more = answer["omitted"]?.integer ?? 0
            throw ApusError(
                .logDamaged,
                "the audit is not whole: \(findings.count + Int(more)) findings; a copy made with 'apus audit export' may tell what was there"
            )
        }
    }

    private func query(_ limit: String?) -> [(String, String)] {
        var query: [(String, String)] = []
        for name in ["principal", "subject", "decision", "since", "until"] {
            if let value = self.context.arguments["--\(name)"] { query.append((name, value)) }
        }
        if let limit { query.append(("limit", limit)) }
        return query
    }

    func search() throws {
        let client = try self.context.client()
        var query = self.query(self.context.arguments["--limit"] ?? "100")
        var items: [JSONValue] = []
        let wanted = self.context.arguments["--limit"].flatMap { Int($0) } ?? 100
        while items.count < wanted {
            let answer = try client.call(APIRequest(.get, client.path("audit"), query: query)).json()
            items += answer["items"]?.array ?? []
            guard answer["atEnd"]?.boolean == false, let next = answer["next"]?.string else { break }
            query = self.query("\(max(1, wanted - items.count))") + [("after", next)]
        }
        try self.context.show(["items": .array(items)]) {
            if items.isEmpty { return "no records in the namespace \(client.namespace)\n" }
            var table = TextTable(["AT", "KIND", "DECISION", "PRINCIPAL", "SUBJECT", "CODE", "MS", "BYTES"])
            for item in items {
                func number(_ name: String) -> String { item[name]?.integer.map { "\($0)" } ?? "" }
                table.add([
                    item["at"]?.string ?? "", item["kind"]?.string ?? "", item["decision"]?.string ?? "",
                    SafeText.of(item["principal"]?.string ?? ""), SafeText.of(item["subject"]?.string ?? ""),
                    item["code"]?.string ?? "", number("milliseconds"), number("bytes"),
                ])
            }
            return table.render(width: self.context.terminal.width)
        }
    }

    func export() throws {
        let client = try self.context.client()
        let exact = [("exact", "true")]
        var query = self.query("1000") + exact
        while true {
            let answer = try client.call(APIRequest(.get, client.path("audit"), query: query)).json()
            for item in answer["items"]?.array ?? [] {
                if let record = item.string { try self.context.terminal.write(record + "\n") }
            }
            guard answer["atEnd"]?.boolean == false, let next = answer["next"]?.string else { return }
            query = self.query("1000") + exact + [("after", next)]
        }
    }
}
