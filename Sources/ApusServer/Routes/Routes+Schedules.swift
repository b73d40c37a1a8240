internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry

/// Schedules: what fires next, and what fired last.
extension Routes {
    func addSchedules(to table: inout RouteTable) {
        table.add(
            Operation("listSchedules", "GET", "/v1/schedules", "Scheduled triggers, their next and last firing.", .read)
        ) { self.listSchedules($0, $1) }
    }

    private func listSchedules(_ exchange: HTTPExchange, _ parameters: RouteParameters) {
        self.answer(exchange) { () throws(ApusError) in
            let namespace = try self.namespace(parameters)
            let runner = self.server.schedules
            let catalogue = self.server.control.catalogue
            let reply = exchange.reply()
            let reader = self.server.reader
            let answer = { @Sendable (rows: [ScheduleSnapshot]) in
                let own = rows.filter { $0.key.function.namespace == namespace }.sorted { $0.key < $1.key }
                let json: JSONValue = ["items": .array(own.compactMap { Self.scheduleJSON($0, catalogue) })]
                reply.respond(status: 200, headers: [("Content-Type", "application/json")], body: json.encoded())
            }
            self.server.shards[0].loop.post {
                if let rows = runner.snapshot() { return answer(rows) }
                let isQueued = reader.run {
                    do throws(ApusError) { answer(try runner.observed(catalogue)) } catch {
                        reply.respond(Problem(error))
                    }
                }
                if !isQueued { reply.respond(Problem(.overloaded, "too many reads wait: try again in a moment")) }
            }
        }
    }

    /// Nil for one that was deleted a moment ago.
    private static func scheduleJSON(_ row: ScheduleSnapshot, _ catalogue: Catalogue) -> JSONValue? {
        guard let function = catalogue.functions[row.key.function],
            let trigger = function.schedules.first(where: { $0.name == row.key.trigger })?.manifest
        else { return nil }
        let last: JSONValue =
            row.last.map {
                [
                    "scheduled": .string(RFC3339.format($0.due)), "fired": .string(RFC3339.format($0.fired)),
                    "invocation": $0.invocation.map { .string($0.description) } ?? .null,
                ]
            } ?? .null
        return [
            "function": .string(row.key.function.name), "namespace": .string(row.key.function.namespace.name),
            "trigger": .string(row.key.trigger), "cron": .string(trigger.cron.description),
            "zone": .string(trigger.zone), "missed": .string(trigger.missed.rawValue),
            "paused": .boolean(function.isPaused(row.key.trigger)),
            "next": row.next.map { .string(RFC3339.format($0)) } ?? .null, "last": last,
            "fired": .integer(row.fired), "skipped": .integer(row.skipped),
            "problem": row.problem.map { .string($0) } ?? .null,
        ]
    }

    /// What schedules have counted, for `/metrics`. On the loop of the first shard.
    static func scheduleMetrics(_ runner: ScheduleRunner) -> [(MetricDescription, Double)] {
        let (counters, counts) = (runner.counters, runner.counts)
        return [
            (ServerMetric.schedules, Double(counts.triggers)), (ServerMetric.scheduleFired, Double(counters.fired)),
            (ServerMetric.scheduleSkipped, Double(counters.skipped)),
            (ServerMetric.scheduleRefused, Double(counters.refused)),
        ]
    }
}
