internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusTelemetry

/// What one shard gives to a scrape, by value.
struct ShardScrape: Sendable {
    var shard: ShardStatistics
    var listener: HTTPListener.Statistics
    var connections: Int
    var refusals: RefusalJournal
    var durations: RequestDurations
    var agents: OperationDurations
    /// Names of the operations, by their place.
    var operations: [String]
    var attemptsInFlight: Int
    var instances: [InstanceSnapshot]
    var activity: [ActivitySnapshot]
    var triggers: [TriggerSnapshot]
    var logLinesDropped: UInt64
}

/// What the server gives beside its shards.
struct ServerScrape: Sendable {
    var log: LogStatus
    var appended: [TopicAppended]
    var spans: Tracer.Counters?
    var process: ProcessUsage
    var startedAt: Timestamp
    var version: String
    var functions: Int
    var shares: [ShareStatus]
    var shareTerms: [WorkClass: UInt64] = [:]
    /// What other parts of the server count.
    var others: [(MetricDescription, Double)]
    var kafka: [KafkaFigures] = []
}

/// Turns what was counted into metrics.
struct MetricsScrape {
    private(set) var metrics = Metrics()

    init(_ shards: [ShardScrape], _ server: ServerScrape, ages: RecordAges? = nil) {
        var ages = ages
        for shard in shards {
            self.add(shard)
            self.addFunctions(shard, &ages)
            self.add(shard.durations, shard.operations)
            for (key, histogram) in shard.agents.histograms { self.add(ServerMetric.operationSeconds, histogram, key.labels) }
            for (reason, count) in shard.agents.refused { self.add(ServerMetric.operationsRefused, Double(count), [reason]) }
        }
        self.add(server)
    }

    private mutating func add(_ metric: MetricDescription, _ value: Double, _ labels: [String] = []) {
        let series = self.metrics.series(metric, labels)
        self.metrics.add(series, value)
    }

    private mutating func add(_ metric: MetricDescription, _ histogram: LatencyHistogram, _ labels: [String] = []) {
        guard histogram.count > 0 || labels.isEmpty else { return }
        let series = self.metrics.series(metric, labels)
        self.metrics.add(series, counts: histogram.shownCounts, sum: Double(histogram.sum.microseconds) / 1e6)
    }

    private mutating func add(_ scrape: ShardScrape) {
        let counters: [(MetricDescription, UInt64)] = [
            (ServerMetric.attempts, scrape.shard.dispatched), (ServerMetric.succeeded, scrape.shard.succeeded),
            (ServerMetric.failed, scrape.shard.failed), (ServerMetric.retries, scrape.shard.retried),
            (ServerMetric.deadLetters, scrape.shard.deadLettered), (ServerMetric.dropped, scrape.shard.dropped),
            (ServerMetric.filtered, scrape.shard.filtered), (ServerMetric.filterErrors, scrape.shard.filterErrors),
            (ServerMetric.unsent, scrape.shard.unsent),
            (ServerMetric.requests, scrape.shard.requests), (ServerMetric.replies, scrape.shard.replies),
            (ServerMetric.emitted, scrape.shard.emitted), (ServerMetric.started, scrape.shard.workersStarted),
            (ServerMetric.startsFailed, scrape.shard.startsFailed),
            (ServerMetric.protocolErrors, scrape.shard.protocolErrors),
            (ServerMetric.unaudited, scrape.shard.unaudited), (ServerMetric.commitsFailed, scrape.shard.commitsFailed),
            (ServerMetric.linesDropped, scrape.shard.logLinesDropped + scrape.logLinesDropped),
            (ServerMetric.tracesDropped, scrape.shard.tracesDropped),
            (ServerMetric.unauthenticated, UInt64(scrape.refusals.unauthenticated)),
            (ServerMetric.forbidden, UInt64(scrape.refusals.forbidden)),
        ]
        for (metric, value) in counters { self.add(metric, Double(value)) }
        let egress = scrape.shard.egress
        self.add(ServerMetric.egressConnections, Double(egress.allowed), ["allowed"])
        self.add(ServerMetric.egressConnections, Double(egress.refused), ["refused"])
        self.add(ServerMetric.egressConnections, Double(egress.failed), ["failed"])
        self.add(ServerMetric.egressBytes, Double(egress.sent), ["sent"])
        self.add(ServerMetric.egressBytes, Double(egress.received), ["received"])
        self.add(ServerMetric.egressUntold, Double(egress.dropped))
        self.add(ServerMetric.inFlight, Double(scrape.attemptsInFlight))
        self.add(ServerMetric.workers, Double(scrape.instances.count))
        self.add(ServerMetric.httpRequests, Double(scrape.listener.requests))
        self.add(ServerMetric.httpRefused, Double(scrape.listener.refused))
        self.add(ServerMetric.httpDropped, Double(scrape.listener.dropped))
        self.add(ServerMetric.httpAccepted, Double(scrape.listener.connections))
        self.add(ServerMetric.httpConnections, Double(scrape.connections))
        self.add(ServerMetric.committing, scrape.shard.committing)
        self.add(ServerMetric.startPhase, scrape.shard.launching, ["launching"])
        self.add(ServerMetric.startPhase, scrape.shard.loading, ["loading"])
    }

    private mutating func addFunctions(_ scrape: ShardScrape, _ ages: inout RecordAges?) {
        for activity in scrape.activity {
            let labels = [activity.function.namespace.name, activity.function.name]
            self.add(ServerMetric.functionAttempts, Double(activity.counts.succeeded), labels + ["succeeded"])
            self.add(ServerMetric.functionAttempts, Double(activity.counts.failed), labels + ["failed"])
            if activity.counts.deadLettered > 0 {
                self.add(ServerMetric.functionDeadLetters, Double(activity.counts.deadLettered), labels)
            }
            if activity.counts.poolHits + activity.counts.poolMisses > 0 {
                self.add(ServerMetric.poolHits, Double(activity.counts.poolHits), labels)
                self.add(ServerMetric.poolMisses, Double(activity.counts.poolMisses), labels)
            }
            for (call, count) in activity.counts.denials.sorted(by: { $0.key < $1.key }) {
                self.add(ServerMetric.denials, Double(count), labels + [call])
            }
            self.add(ServerMetric.queued, activity.counts.queued, labels)
            self.add(ServerMetric.starting, activity.counts.starting, labels)
            self.add(ServerMetric.running, activity.counts.running, labels)
        }
        for trigger in scrape.triggers {
            // Replays of a trigger are one beside it.
            let name = trigger.replay == nil ? trigger.trigger : "\(trigger.trigger).replay"
            let labels = [trigger.function.namespace.name, trigger.function.name, name]
            let unread = trigger.unread.compactMap { ages?.first(at: $0) }
            if let oldest = (unread + [trigger.status.oldest].compactMap { $0 }).min() {
                self.add(ServerMetric.oldest, ages?.seconds(since: oldest) ?? 0, labels)
            } else {
                self.add(ServerMetric.oldest, 0, labels)
            }
            let counters = trigger.status.counters
            self.add(ServerMetric.recordsLost, Double(counters.lost + counters.expired), labels + ["retention"])
            self.add(ServerMetric.lag, Double(trigger.status.lag), labels)
            self.add(ServerMetric.unsettled, Double(trigger.status.unsettled), labels)
            for (reason, count) in [
                ("filter", counters.skipped), ("duplicate", counters.duplicates), ("expired", counters.overdue),
                ("superseded", counters.superseded), ("poison", counters.poison), ("lost", counters.lost),
            ] where count > 0 { self.add(ServerMetric.skipped, Double(count), labels + [reason]) }
            if counters.batchesSplit > 0 { self.add(ServerMetric.split, Double(counters.batchesSplit), labels) }
            self.add(ServerMetric.waiting, Double(trigger.status.ready), labels)
        }
        for instance in scrape.instances {
            let labels = [instance.function.namespace.name, instance.function.name, instance.state.rawValue]
            self.add(ServerMetric.instances, 1, labels)
        }
    }

    private mutating func add(_ durations: RequestDurations, _ operations: [String]) {
        durations.forEach { operation, status, histogram in
            let name = operations.indices.contains(operation) ? operations[operation] : "none"
            self.add(ServerMetric.httpSeconds, histogram, [name, status])
        }
    }

    private mutating func add(_ server: ServerScrape) {
        self.add(ServerMetric.room, Double(server.log.roomBytes))
        self.add(ServerMetric.capacity, Double(server.log.capacityBytes))
        self.add(ServerMetric.file, Double(server.log.fileBytes))
        self.add(ServerMetric.short, server.log.isShort ? 1 : 0)
        self.add(ServerMetric.commits, Double(server.log.commits))
        self.add(ServerMetric.records, Double(server.log.records))
        self.add(ServerMetric.keys, Double(server.log.keys))
        self.add(ServerMetric.keysForgotten, Double(server.log.keysForgotten))
        for topic in server.appended {
            // Control topics belong to no namespace.
            let local = topic.topic.local
            let labels = [local?.namespace.name ?? "", local?.name ?? topic.topic.onLog]
            self.add(ServerMetric.topicRecords, Double(topic.records), labels)
            self.add(ServerMetric.topicBytes, Double(topic.bytes), labels)
        }
        if let spans = server.spans {
            self.add(ServerMetric.spans, Double(spans.exported), ["exported"])
            self.add(ServerMetric.spans, Double(spans.dropped), ["dropped"])
        }
        self.add(ServerMetric.cpu, server.process.cpuSeconds)
        self.add(ServerMetric.resident, server.process.residentBytes)
        self.add(ServerMetric.virtual, server.process.virtualBytes)
        self.add(ServerMetric.descriptors, server.process.openDescriptors)
        self.add(ServerMetric.descriptorsMax, server.process.maxDescriptors)
        self.add(ServerMetric.threads, server.process.threads)
        self.add(ServerMetric.startTime, Double(server.startedAt.microseconds) / 1e6)
        self.add(ServerMetric.build, 1, [server.version])
        self.add(ServerMetric.functions, Double(server.functions))
        for (workClass, count) in server.shareTerms.sorted(by: { $0.key.name < $1.key.name }) {
            self.add(ServerMetric.shareTerms, Double(count), [workClass.name])
        }
        for share in server.shares {
            self.add(ServerMetric.shares, 1, [share.share.workClass.name, share.state.rawValue])
        }
        for (metric, value) in server.others { self.add(metric, value) }
        for (metric, value, labels) in server.kafka.flatMap(\.metrics) { self.add(metric, value, labels) }
    }
}
