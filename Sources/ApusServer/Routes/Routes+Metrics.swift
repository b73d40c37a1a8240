internal import ApusCore
internal import ApusHTTP
internal import ApusHost
internal import ApusLoop
internal import ApusSandbox
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// `GET /metrics`: what the shards, the listeners and the log have counted, in Prometheus' text format.
extension Routes {
    func metrics(_ exchange: HTTPExchange) {
        let reply = exchange.reply()
        let server = self.server
        let functions = self.runtime.directory.count
        let gather = Gathering(server.shards.count) { (shards: [ShardScrape]) in
            // The clock of schedules lives on the first loop.
            server.shards[0].loop.post {
                let schedules = Self.scheduleMetrics(server.schedules)
                let (totals, dropped) = (server.accounts.deviceTotals(), server.accounts.dropped)
                // Text for a thousand functions takes longer than a loop may be held up.
                let isQueued = server.store.run {
                    let scrape = MetricsScrape(
                        shards, server.scrape(functions: functions, schedules),
                        ages: RecordAges(log: server.log, now: server.clock.now, readsMemoryOnly: true))
                    var metrics = scrape.metrics
                    Self.retention(server.sweeper.status, into: &metrics)
                    server.approvals.add(to: &metrics)
                    Self.tasks(server, into: &metrics)
                    Self.devices(server.devices.devices, totals, into: &metrics)
                    metrics.add(metrics.series(ServerMetric.usageDropped, []), Double(dropped))
                    let body = PrometheusText.write(metrics)
                    reply.respond(status: 200, headers: [("Content-Type", PrometheusText.mediaType)], body: body)
                }
                if !isQueued { reply.respond(Problem(.overloaded, "too many queries wait: try again in a moment")) }
            }
        }
        for runtime in server.shards { runtime.loop.post { gather.add(runtime.scrape()) } }
    }
}

extension Routes {
    /// On the store thread. Where the store cannot be read there is none, and whatever asks it says why.
    fileprivate static func tasks(_ server: Server, into metrics: inout Metrics) {
        do throws(ApusError) {
            let rows = try server.projection.query { (projection) throws(ApusError) in try projection.taskCounts() }
            TaskCounts(rows).add(to: &metrics)
        } catch {}
    }
}

extension ShardRuntime {
    /// On the loop.
    func scrape() -> ShardScrape {
        ShardScrape(
            shard: self.shard.statistics, listener: self.listener?.statistics ?? HTTPListener.Statistics(),
            connections: self.listener?.connectionCount ?? 0, refusals: self.refusals, durations: self.durations,
            agents: self.tools.operations,
            operations: self.operations,
            attemptsInFlight: self.shard.attemptsInFlight, instances: self.shard.instances(),
            activity: self.shard.activity(), triggers: self.shard.triggerStatuses(),
            logLinesDropped: self.logs.dropped)
    }
}

extension Server {
    /// Not on a loop: it reads `/proc`.
    func scrape(functions: Int, _ schedules: [(MetricDescription, Double)]) -> ServerScrape {
        ServerScrape(
            log: self.log.status, appended: self.log.appended().sorted { $0.topic < $1.topic },
            spans: self.tracer?.counters, process: ProcessUsage.read(), startedAt: self.startedAt,
            version: self.configuration.version,
            functions: functions, shares: self.log.sharing?.shares ?? [], shareTerms: self.log.sharing?.terms ?? [:],
            others: schedules + self.egress.metrics + self.auditMetrics + self.sharingMetrics,
            kafka: self.configuration.kafkaFigures?() ?? [])
    }

    private var sharingMetrics: [(MetricDescription, Double)] {
        guard self.control.ownership != nil else { return [] }
        let counters = self.control.counters
        let ignored = (self.log as? SealedLog)?.ignored ?? SealedLog.Ignored()
        let outdated = counters.outdated.load(ordering: .relaxed)
        return [
            (ServerMetric.commandsDecided, Double(counters.decided.load(ordering: .relaxed))),
            (ServerMetric.commandsUnanswered, Double(counters.unanswered.load(ordering: .relaxed))),
            (
                ServerMetric.controlIgnored,
                Double(ignored.unsealed + ignored.unknownKey + ignored.forged + outdated)
            ),
            (ServerMetric.controlRepaired, Double(counters.repaired.load(ordering: .relaxed))),
        ]
    }

    private var auditMetrics: [(MetricDescription, Double)] {
        [
            (ServerMetric.auditors, Double(self.report.audit?.starts ?? 0)),
            (ServerMetric.auditor, self.report.audit?.isRunning == true ? 1 : 0),
        ]
    }
}
