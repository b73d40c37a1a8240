internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry

/// Backups and sweeps.
extension Routes {
    func addRetention(to table: inout RouteTable) {
        table.add(
            Operation("takeBackup", "GET", "/v1/backup", "Everything that must last, while serving.", .server([]))
        ) { exchange, _ in BackupStream(exchange, self.runtime, self.server).start() }
        table.add(
            Operation("sweep", "POST", "/v1/sweep", "Removes now what retention lets go.", .server([]))
        ) { exchange, _ in self.sweep(exchange) }
    }

    func sweep(_ exchange: HTTPExchange) {
        self.answer(exchange) { () throws(ApusError) in
            let query = try self.query(exchange)
            if let name = query.unexpected(besides: ["dryRun"]) {
                throw ApusError(.invalidArgument, "'\(name.prefix(64))' is no parameter here: dryRun is")
            }
            let text = query["dryRun"] ?? "false"
            guard ["true", "false"].contains(text) else {
                throw ApusError(.invalidArgument, "dryRun=\(text.prefix(32)): true or false is expected")
            }
            let reply = exchange.reply()
            self.server.sweeper.sweep(isDryRun: text == "true") { result in
                switch result {
                case .failure(let error): reply.respond(Problem(error))
                case .success(let found):
                    let items = SweepKind.allCases.compactMap { kind in found[kind].map { Self.json(kind, $0) } }
                    let json: JSONValue = ["dryRun": .boolean(text == "true"), "items": .array(items)]
                    reply.respond(status: 200, headers: [("Content-Type", "application/json")], body: json.encoded())
                }
            }
        }
    }

    private static func json(_ kind: SweepKind, _ status: SweepStatus) -> JSONValue {
        var json: JSONValue = [
            "kind": .string(kind.rawValue), "removed": .number(status.removed),
            "removedBytes": .number(status.removedBytes), "kept": .number(status.kept),
            "keptBytes": .number(status.keptBytes),
        ]
        if let failure = status.failure { json["failure"] = .string(failure) }
        return json
    }

    /// What retention holds and did, for `/metrics`.
    static func retention(_ status: [SweepKind: SweepStatus], into metrics: inout Metrics) {
        for kind in SweepKind.allCases {
            guard let status = status[kind] else { continue }
            let labels = [kind.rawValue]
            metrics.add(metrics.series(ServerMetric.swept, labels), Double(status.removed))
            metrics.add(metrics.series(ServerMetric.sweptBytes, labels), Double(status.removedBytes))
            metrics.add(metrics.series(ServerMetric.sweepsFailed, labels), Double(status.failures))
            metrics.set(metrics.series(ServerMetric.kept, labels), Double(status.kept))
            metrics.set(metrics.series(ServerMetric.keptBytes, labels), Double(status.keptBytes))
            if let time = status.lastSweep {
                metrics.set(metrics.series(ServerMetric.lastSweep, labels), Double(time) / 1e6)
            }
        }
    }
}
