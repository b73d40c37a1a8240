internal import ApusCore
internal import ApusHTTP
internal import ApusHost
internal import ApusLoop
internal import ApusTelemetry

/// `GET /metrics`: what the shards, the listeners and the log have counted, in Prometheus' text format.
extension Routes {
    /// What one shard gives to a scrape, by value.
    struct Scrape: Sendable {
        var shard: ShardStatistics
        var listener: HTTPListener.Statistics
        var connections: Int
        var attemptsInFlight: Int
        var workers: Int
        var logLinesDropped: UInt64
    }

    func metrics(_ exchange: HTTPExchange) {
        let reply = exchange.reply()
        let server = self.server
        let gather = Gathering(server.shards.count) { (scrapes: [Scrape]) in
            let scrapes = scrapes
            server.shards[0].loop.post {
                var metrics = Self.metrics(scrapes, server.log.status)
                for row in Self.scheduleMetrics(server.schedules) {
                    let series = metrics.series(MetricDescription(row.name, row.help, row.kind))
                    metrics.add(series, row.value)
                }
                let body = PrometheusText.write(metrics)
                reply.respond(status: 200, headers: [("Content-Type", PrometheusText.mediaType)], body: body)
            }
        }
        for runtime in server.shards {
            runtime.loop.post {
                gather.add(
                    Scrape(
                        shard: runtime.shard.statistics,
                        listener: runtime.listener?.statistics ?? HTTPListener.Statistics(),
                        connections: runtime.listener?.connectionCount ?? 0,
                        attemptsInFlight: runtime.shard.attemptsInFlight, workers: runtime.shard.instances().count,
                        logLinesDropped: runtime.logs.dropped
                    )
                )
            }
        }
    }

    private static func metrics(_ scrapes: [Scrape], _ log: LogStatus) -> Metrics {
        var metrics = Metrics()
        func sum(_ name: String, _ help: String, _ kind: MetricDescription.Kind, _ value: (Scrape) -> Double) {
            let series = metrics.series(MetricDescription(name, help, kind))
            metrics.add(series, scrapes.reduce(0) { $0 + value($1) })
        }
        sum("apus_attempts_total", "Attempts dispatched to workers.", .counter) { Double($0.shard.dispatched) }
        sum("apus_attempts_succeeded_total", "Attempts that succeeded.", .counter) { Double($0.shard.succeeded) }
        sum("apus_attempts_failed_total", "Attempts that failed.", .counter) { Double($0.shard.failed) }
        sum("apus_retries_total", "Deliveries that wait or waited for another attempt.", .counter) {
            Double($0.shard.retried)
        }
        sum("apus_dead_letters_total", "Deliveries given up on and kept as dead letters.", .counter) {
            Double($0.shard.deadLettered)
        }
        sum("apus_dropped_total", "Deliveries given up on and dropped, as their trigger says.", .counter) {
            Double($0.shard.dropped)
        }
        sum("apus_requests_total", "Direct invocations.", .counter) { Double($0.shard.requests) }
        sum("apus_replies_total", "Records appended to reply topics.", .counter) { Double($0.shard.replies) }
        sum("apus_emitted_total", "Events that functions emitted.", .counter) { Double($0.shard.emitted) }
        sum("apus_workers_started_total", "Workers that became ready.", .counter) { Double($0.shard.workersStarted) }
        sum("apus_worker_starts_failed_total", "Starts of workers that failed.", .counter) {
            Double($0.shard.startsFailed)
        }
        sum("apus_protocol_errors_total", "Workers killed for violating the worker protocol.", .counter) {
            Double($0.shard.protocolErrors)
        }
        sum("apus_function_log_lines_dropped_total", "Lines functions printed that were dropped.", .counter) {
            Double($0.shard.logLinesDropped + $0.logLinesDropped)
        }
        sum("apus_attempts_in_flight", "Attempts that run now.", .gauge) { Double($0.attemptsInFlight) }
        sum("apus_workers", "Workers that exist now.", .gauge) { Double($0.workers) }
        sum("apus_http_requests_total", "Requests that were read.", .counter) { Double($0.listener.requests) }
        sum("apus_http_refused_total", "Requests refused before their handler ran.", .counter) {
            Double($0.listener.refused)
        }
        sum("apus_http_connections_total", "Connections that were accepted.", .counter) {
            Double($0.listener.connections)
        }
        sum("apus_http_connections", "Connections that are open now.", .gauge) { Double($0.connections) }
        Self.latencies(scrapes, into: &metrics)
        Self.log(log, into: &metrics)
        return metrics
    }

    private static func latencies(_ scrapes: [Scrape], into metrics: inout Metrics) {
        let phases: [(String, (ShardStatistics) -> LatencyHistogram)] = [
            ("queued", { $0.queued }), ("running", { $0.running }), ("committing", { $0.committing }),
        ]
        let seconds = MetricDescription(
            "apus_phase_seconds_total", "Time deliveries and invocations spent, by phase.", .counter, labels: ["phase"])
        let counts = MetricDescription(
            "apus_phase_total", "Deliveries and invocations that passed a phase.", .counter, labels: ["phase"])
        for (name, phase) in phases {
            let total = metrics.series(seconds, [name])
            metrics.add(total, scrapes.reduce(0) { $0 + Double(phase($1.shard).sum.microseconds) / 1e6 })
            let count = metrics.series(counts, [name])
            metrics.add(count, scrapes.reduce(0) { $0 + Double(phase($1.shard).count) })
        }
    }

    private static func log(_ status: LogStatus, into metrics: inout Metrics) {
        func gauge(_ name: String, _ help: String, _ value: Double) {
            let series = metrics.series(MetricDescription(name, help, .gauge))
            metrics.set(series, value)
        }
        gauge(
            "apus_log_room_bytes", "Bytes that may still be written before the log refuses.", Double(status.roomBytes))
        gauge("apus_log_file_bytes", "Size of the log's file.", Double(status.fileBytes))
        gauge("apus_log_short", "1 while producers are refused for want of room.", status.isShort ? 1 : 0)
        let commits = metrics.series(MetricDescription("apus_log_commits_total", "Transactions committed.", .counter))
        metrics.add(commits, Double(status.commits))
        let records = metrics.series(MetricDescription("apus_log_records_total", "Records appended.", .counter))
        metrics.add(records, Double(status.records))
    }
}
