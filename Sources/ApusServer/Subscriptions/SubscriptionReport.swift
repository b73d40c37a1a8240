internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusManifest
internal import ApusStore

/// What `GET /v1/subscriptions` says of one namespace: for each trigger on a topic, and each replay of one, how far it is and what
/// holds it up.
struct SubscriptionReport: Sendable {
    var namespace: Namespace
    /// Of this function only, or of this trigger of it.
    var function: String?
    var trigger: String?
    var showsPartitions = false

    func isMeant(_ function: ResourceName, _ trigger: String) -> Bool {
        function.namespace == self.namespace && (self.function == nil || self.function == function.name)
            && (self.trigger == nil || self.trigger == trigger)
    }

    /// Asks every shard and makes the text where waiting for pages of the log holds up nobody.
    /// - Parameter completion: called once; with nil when too much waits.
    func gather(_ server: Server, _ completion: @escaping @Sendable ([UInt8]?) -> Void) {
        server.subscriptions(where: { self.isMeant($0, $1) }) { parts in
            let isQueued = server.reader.run {
                completion(self.json(parts, server.control.catalogue, server.log, server.clock.now))
            }
            if !isQueued { completion(nil) }
        }
    }

    private struct Row {
        var function: Catalogue.Function
        var trigger: Catalogue.Trigger
        var replay: ReplayDeployment?

        var ledgerPrefix: [UInt8] {
            self.replay?.ledgerPrefix(of: self.function.name) ?? self.trigger.ledgerPrefix
        }
    }

    func json(
        _ parts: [SubscriptionSnapshot], _ catalogue: Catalogue, _ log: any EventLog, _ now: Timestamp
    ) -> [UInt8] {
        var snapshots: [SubscriptionKey: SubscriptionSnapshot] = [:]
        for part in parts { snapshots[SubscriptionKey(part.trigger)] = part }
        let rows = self.rows(catalogue)
        var ages = RecordAges(log: log, now: now)
        var unserved = UnservedClasses(log: log, sharing: log.sharing)
        let moved = Dictionary(grouping: log.positions?.waiting ?? [], by: \.group)
        let items = rows.prefix(Limits.Server.subscriptionsPerRead).map { row -> JSONValue in
            let key = SubscriptionKey(
                function: row.function.name, trigger: row.trigger.name, replay: row.replay?.id.number)
            return self.json(row, snapshots[key], moved[row.trigger.group] ?? [], &ages, &unserved)
        }
        let json: JSONValue = [
            "time": .string(RFC3339.format(now)), "items": .array(items), "more": .number(rows.count - items.count),
        ]
        return json.encoded()
    }

    private func rows(_ catalogue: Catalogue) -> [Row] {
        let functions = catalogue.functions.values.filter { $0.name.namespace == self.namespace }
        return functions.sorted { $0.name < $1.name }.flatMap { function in
            function.triggers.filter { !$0.manifest.isTable && self.isMeant(function.name, $0.name) }.flatMap {
                trigger in
                [Row(function: function, trigger: trigger)]
                    + function.replays.filter { $0.trigger.name == trigger.name }.map {
                        Row(function: function, trigger: trigger, replay: $0.deployment)
                    }
            }
        }
    }

    private func json(
        _ row: Row, _ snapshot: SubscriptionSnapshot?, _ moved: [GroupPosition], _ ages: inout RecordAges,
        _ unserved: inout UnservedClasses
    ) -> JSONValue {
        let (manifest, deployment) = (row.trigger.manifest, row.trigger.deployment)
        let isPaused = row.replay == nil ? row.function.isPaused(row.trigger.name) : row.function.isPaused
        let status = snapshot?.trigger.status
        var partitions = snapshot?.partitions ?? []
        var lag = status?.lag ?? 0
        var blocks = BlockList(row.function, row.trigger.name, isReplay: row.replay != nil)
        if snapshot == nil { blocks.addNotRunning() }
        let workClass = row.function.manifest.resources.workClass
        if unserved.contains(workClass) {
            blocks.addUnserved(workClass)
            partitions = unserved.partitions(
                row.trigger.topic, of: workClass, ledger: row.ledgerPrefix,
                starts: row.replay?.starts ?? deployment.starts, ends: row.replay?.ends)
            lag = partitions.reduce(0) { $0 + $1.lag }
        }
        for partition in partitions { blocks.add(partition) }
        for position in moved where row.replay == nil {
            blocks.addMoved(position.place.partition, to: position.offset ?? 0)
        }
        let oldest = partitions.compactMap { ages.oldest(of: $0, row.trigger.topic) }.min()
        var json: JSONValue = [
            "function": .string(row.function.name.name), "namespace": .string(row.function.name.namespace.name),
            "trigger": .string(row.trigger.name),
            "topic": .string(row.trigger.topic.local?.name ?? row.trigger.topic.onLog),
            "replay": row.replay.map { .string($0.id.description) } ?? .null,
            "state": .string(Self.state(status, blocks, isPaused: isPaused)), "paused": .boolean(isPaused),
            "lag": .integer(lag),
            "oldest": oldest.map { .string(RFC3339.format($0)) } ?? .null,
            "oldestSeconds": oldest.map { .double(ages.seconds(since: $0)) } ?? .null,
            "running": .number(status?.running ?? 0), "ready": .number(status?.ready ?? 0),
            "retrying": .number(status?.retrying ?? 0), "held": .number(status?.held ?? 0),
            "settling": .number(status?.settling ?? 0),
            "blocked": .array(blocks.json), "counters": Self.json(status?.counters ?? TriggerCounters()),
            "from": .string(Self.text(manifest.from)),
            "starts": .array((row.replay?.starts ?? deployment.starts).map { .integer($0) }),
            "generation": .number(deployment.generation), "group": .string(row.trigger.group),
        ]
        if let replay = row.replay {
            json["from"] = replay.from.map { .string(RFC3339.format($0)) } ?? "earliest"
            json["to"] = .string(RFC3339.format(replay.to))
            json["rate"] = replay.perSecond.map { .number($0) } ?? .null
        }
        if self.showsPartitions {
            json["partitions"] = .array(partitions.map { Self.json($0, ages.oldest(of: $0, row.trigger.topic)) })
        }
        return json
    }

    private static func state(_ status: TriggerStatus?, _ blocks: BlockList, isPaused: Bool) -> String {
        if isPaused { return "paused" }
        if blocks.isBlocked { return "blocked" }
        guard let status else { return "blocked" }
        if status.retrying > 0 { return "retrying" }
        return status.lag > 0 ? "running" : "caught_up"
    }

    static func json(_ counters: TriggerCounters) -> JSONValue {
        [
            "settled": .number(counters.settled), "filtered": .number(counters.skipped),
            "superseded": .number(counters.superseded), "expired": .number(counters.expired),
            "lost": .number(counters.lost), "attemptsFailed": .number(counters.attemptsFailed),
            "deadLetters": .number(counters.deadLetters), "dropped": .number(counters.dropped),
        ]
    }

    static func json(_ partition: PartitionStatus, _ oldest: Timestamp?) -> JSONValue {
        [
            "partition": .number(partition.partition), "position": .integer(partition.watermark),
            "read": .integer(partition.position), "end": .integer(partition.end), "lag": .number(partition.lag),
            "oldest": oldest.map { .string(RFC3339.format($0)) } ?? .null,
            "running": .number(partition.running), "ready": .number(partition.ready),
            "retrying": .number(partition.retrying), "held": .number(partition.held),
            "settling": .number(partition.settling),
        ]
    }

    private static func text(_ start: StartPosition) -> String {
        switch start {
        case .earliest: "earliest"
        case .latest: "latest"
        case .timestamp(let time): RFC3339.format(time)
        }
    }
}

/// Names what a snapshot is of.
struct SubscriptionKey: Hashable {
    var function: ResourceName
    var trigger: String
    var replay: UInt64?

    init(function: ResourceName, trigger: String, replay: UInt64?) {
        self.function = function
        self.trigger = trigger
        self.replay = replay
    }

    init(_ snapshot: TriggerSnapshot) {
        self.init(function: snapshot.function, trigger: snapshot.trigger, replay: snapshot.replay)
    }
}

extension Server {
    /// What the shards say of the triggers that are meant. `completion` is called on one of their loops.
    func subscriptions(
        where isMeant: @escaping @Sendable (ResourceName, String) -> Bool,
        _ completion: @escaping @Sendable ([SubscriptionSnapshot]) -> Void
    ) {
        let gather = Gathering(self.shards.count) { (parts: [[SubscriptionSnapshot]]) in
            completion(Array(parts.joined()))
        }
        for runtime in self.shards {
            runtime.loop.post { gather.add(runtime.shard.subscriptions(where: isMeant)) }
        }
    }
}
