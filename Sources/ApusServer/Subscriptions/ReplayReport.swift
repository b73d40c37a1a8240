internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusStore

/// What `GET /v1/…/replays` says of a replay.
struct ReplayReport {
    var function: ResourceName
    var replay: ReplayDeployment
    /// What its shard says of it; nil for one that ended, or does not run.
    var snapshot: SubscriptionSnapshot?
    /// As the catalogue has it; nil when it was deleted a moment ago.
    var deployed: Catalogue.Function?

    /// Offsets behind it.
    private var done: Int64 {
        (self.snapshot?.partitions ?? []).reduce(0) { done, partition in
            guard self.replay.starts.indices.contains(partition.partition) else { return done }
            return done + max(0, partition.watermark - self.replay.starts[partition.partition])
        }
    }

    private var state: String {
        if let end = self.replay.end { return end.outcome.rawValue }
        return self.deployed?.isPaused == true ? "paused" : "running"
    }

    var json: JSONValue {
        let replay = self.replay
        var json: JSONValue = [
            "id": .string(replay.id.description), "function": .string(self.function.name),
            "namespace": .string(self.function.namespace.name), "trigger": .string(replay.trigger),
            "topic": .string(replay.topic.local?.name ?? replay.topic.onLog), "state": .string(self.state),
            "from": replay.from.map { .string(RFC3339.format($0)) } ?? .null,
            "to": .string(RFC3339.format(replay.to)),
            "rate": replay.perSecond.map { .number($0) } ?? .null, "outputs": .boolean(replay.writesOutputs),
            "principal": .string(replay.principal), "created": .string(RFC3339.format(replay.created)),
            "total": .number(replay.total),
            "done": replay.end == nil
                ? .number(self.done) : replay.end?.outcome == .finished ? .number(replay.total) : .null,
            "partitions": .array(
                zip(replay.starts, replay.ends).enumerated().map { index, range in
                    ["partition": .number(index), "start": .integer(range.0), "end": .integer(range.1)]
                }),
        ]
        if let end = replay.end { json["ended"] = .string(RFC3339.format(end.time)) }
        guard replay.end == nil, let snapshot, let deployed else { return json }
        var blocks = BlockList(deployed, replay.trigger, isReplay: true)
        for partition in snapshot.partitions { blocks.add(partition) }
        json["blocked"] = .array(blocks.json)
        json["running"] = .number(snapshot.trigger.status.running)
        json["retrying"] = .number(snapshot.trigger.status.retrying)
        json["counters"] = SubscriptionReport.json(snapshot.trigger.status.counters)
        return json
    }

    /// What an order would come to.
    static func preview(_ function: ResourceName, _ replay: ReplayDeployment) -> JSONValue {
        var json = ReplayReport(function: function, replay: replay).json
        json["id"] = .null
        json["state"] = "planned"
        return json
    }
}
