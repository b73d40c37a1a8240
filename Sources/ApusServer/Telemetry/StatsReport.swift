internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

/// What `GET /v1/stats` says of one namespace: rates second by second, cold starts, workers, lag.
struct StatsReport: Sendable {
    var namespace: Namespace
    /// How many whole seconds back; the one that is not over is left out.
    var seconds: Int
    /// Functions, triggers and topics each, the busiest first.
    var limit: Int
    /// Devices are the whole server's: only for who may see that.
    var showsDevices = false

    /// What one shard knows, by value.
    struct Part: Sendable {
        var activity: [ActivitySnapshot]
        var instances: [InstanceSnapshot]
        var triggers: [TriggerSnapshot]
        var attemptsInFlight: Int
    }

    /// Asks every shard and makes the text on the store thread.
    /// - Parameter completion: called once, on that thread, or on a loop with nil when too much waits there.
    func gather(_ server: Server, _ completion: @escaping @Sendable ([UInt8]?) -> Void) {
        let gather = Gathering(server.shards.count) { (parts: [Part]) in
            let isQueued = server.store.run {
                let devices = server.devices.devices
                let held = server.devices.instances
                let rate = CostRate(
                    parts.flatMap(\.instances), server.control.catalogue, devices, held,
                    server.configuration.pool.prices)
                let cost = Self.json(rate, in: self.namespace, server.configuration.pool.prices)
                let shown = self.showsDevices ? Self.json(devices, held) : .array([])
                completion(
                    self.json(
                        parts, server.topicRates, server.clock.now, rate, cost: cost, devices: shown,
                        fetches: self.fetches(parts, server)))
            }
            if !isQueued { completion(nil) }
        }
        for runtime in server.shards {
            runtime.loop.post {
                let shard = runtime.shard
                gather.add(
                    Part(
                        activity: shard.activity(), instances: shard.instances(), triggers: shard.triggerStatuses(),
                        attemptsInFlight: shard.attemptsInFlight))
            }
        }
    }

    func json(
        _ parts: [Part], _ rates: TopicRates, _ now: Timestamp, _ cost: CostRate, cost total: JSONValue,
        devices: JSONValue, fetches: JSONValue
    ) -> [UInt8] {
        // The second that is not over would look like a drop.
        let newest = now + .seconds(-1)
        let instances = parts.flatMap(\.instances).filter { $0.function.namespace == self.namespace }
        let functions = parts.flatMap(\.activity).filter { $0.function.namespace == self.namespace }
        let topics = rates.rates(seconds: self.seconds, now: newest).filter {
            $0.topic.local?.namespace == self.namespace
        }
        var starts = LatencyHistogram()
        for function in functions { starts.add(function.counts.starting) }
        let json: JSONValue = [
            "time": .string(RFC3339.format(now)), "seconds": .number(self.seconds),
            "functions": .array(self.functions(functions, instances, newest, cost)),
            "topics": .array(self.topics(topics)),
            "triggers": .array(self.triggers(parts)),
            "instances": Self.states(instances),
            "coldStarts": Self.distribution(starts, buckets: true),
            "waiting": .number(self.waiting(parts)), "cost": total, "devices": devices, "fetches": fetches,
        ]
        return json.encoded()
    }

    /// Functions of the namespace whose starts wait for their weights, and how far these are.
    private func fetches(_ parts: [Part], _ server: Server) -> JSONValue {
        let waiting = parts.flatMap(\.instances).filter(\.isFetching).map(\.function) + server.pool.fetches.map(\.function)
        let catalogue = server.control.catalogue
        return .array(
            Set(waiting).filter { $0.namespace == self.namespace }.sorted().prefix(self.limit).compactMap { name in
                guard let set = catalogue.functions[name]?.weights else { return nil }
                var json = server.weights.json(ofSum: set)
                json["function"] = .string(name.name)
                return json
            })
    }

    private func functions(
        _ functions: [ActivitySnapshot], _ instances: [InstanceSnapshot], _ newest: Timestamp, _ cost: CostRate
    ) -> [JSONValue] {
        let instances = Dictionary(grouping: instances, by: \.function)
        let rows = functions.map { function -> (total: Int, name: String, json: JSONValue) in
            let (succeeded, failed) = self.series(function.seconds, newest.microseconds / 1_000_000)
            let json: JSONValue = [
                "name": .string(function.function.name),
                "perSecond": .double(Self.recent(succeeded) + Self.recent(failed)),
                "failuresPerSecond": .double(Self.recent(failed)),
                "succeeded": .array(succeeded.map { .number($0) }), "failed": .array(failed.map { .number($0) }),
                "totals": [
                    "succeeded": .number(function.counts.succeeded), "failed": .number(function.counts.failed),
                    "deadLettered": .number(function.counts.deadLettered),
                ],
                "queued": Self.distribution(function.counts.queued),
                "running": Self.distribution(function.counts.running),
                "coldStarts": Self.distribution(function.counts.starting),
                "instances": Self.states(instances[function.function] ?? []),
                "costPerHour": UsageItem.rounded(cost.functions[function.function] ?? 0),
            ]
            return (succeeded.reduce(0, +) + failed.reduce(0, +), function.function.name, json)
        }
        return rows.sorted { ($1.total, $0.name) < ($0.total, $1.name) }.prefix(self.limit).map(\.json)
    }

    private func series(_ entries: [ActivitySecond], _ newest: Int64) -> (succeeded: [Int], failed: [Int]) {
        var succeeded = [Int](repeating: 0, count: self.seconds)
        var failed = succeeded
        for entry in entries {
            let place = self.seconds - 1 - Int(clamping: newest - entry.second)
            guard succeeded.indices.contains(place) else { continue }
            succeeded[place] = Int(entry.succeeded)
            failed[place] = Int(entry.failed)
        }
        return (succeeded, failed)
    }

    private func topics(_ topics: [(topic: TopicName, records: [Int64], bytes: [Int64])]) -> [JSONValue] {
        let rows = topics.map { topic, records, bytes -> (total: Int64, name: String, json: JSONValue) in
            let name = topic.local?.name ?? topic.onLog
            let json: JSONValue = [
                "name": .string(name), "perSecond": .double(Self.recent(records)),
                "bytesPerSecond": .double(Self.recent(bytes)),
                "records": .array(records.map { .number($0) }),
            ]
            return (records.reduce(0, +), name, json)
        }
        return rows.sorted { ($1.total, $0.name) < ($0.total, $1.name) }.prefix(self.limit).map(\.json)
    }

    private func triggers(_ parts: [Part]) -> [JSONValue] {
        let triggers = parts.flatMap(\.triggers).filter {
            $0.function.namespace == self.namespace && $0.replay == nil
        }
        let rows = triggers.sorted {
            ($1.status.lag, $0.function.name, $0.trigger) < ($0.status.lag, $1.function.name, $1.trigger)
        }
        return rows.prefix(self.limit).map {
            [
                "function": .string($0.function.name), "trigger": .string($0.trigger),
                "topic": .string($0.topic.local?.name ?? $0.topic.onLog), "lag": .number($0.status.lag),
                "unsettled": .number($0.status.unsettled), "ready": .number($0.status.ready),
                "deadLetters": .number($0.status.counters.deadLetters),
                "duplicates": .number($0.status.counters.duplicates),
                "expired": .number($0.status.counters.overdue),
                "blocked": $0.blocked.map { .string($0.message) } ?? .null,
            ]
        }
    }

    /// Events and calls that may run and wait for a worker.
    private func waiting(_ parts: [Part]) -> Int {
        parts.flatMap(\.triggers).filter { $0.function.namespace == self.namespace }.reduce(0) {
            $0 + $1.status.ready
        }
    }

    private static func json(_ rate: CostRate, in namespace: Namespace, _ prices: Prices) -> JSONValue {
        let own = rate.functions.filter { $0.key.namespace == namespace }.values.reduce(0, +)
        return [
            "perHour": prices.isEmpty ? .null : UsageItem.rounded(own), "currency": .string(prices.currency),
            "simulated": .boolean(rate.isSimulated),
        ]
    }

    private static func json(_ devices: [DeviceRegister.Device], _ held: [DeviceHost.Instance]) -> JSONValue {
        .array(
            devices.enumerated().map { place, device in
                let there = held.filter { $0.devices.contains(place) }.sorted { $0.name < $1.name }
                return [
                    "id": .string(device.found.description.id), "kind": .string(device.found.description.kind),
                    "simulated": .boolean(device.found.description.isSimulated),
                    "health": .string(device.health.word), "used": .integer(device.used),
                    "capacity": .integer(device.found.description.memoryBytes),
                    "instances": .array(
                        there.map {
                            ["function": .string($0.name.name), "state": .string($0.state.name)]
                        }),
                ]
            })
    }

    /// How many workers are in each state.
    private static func states(_ instances: [InstanceSnapshot]) -> JSONValue {
        var counts: [(InstanceSnapshot.State, Int)] = InstanceSnapshot.State.allCases.map { ($0, 0) }
        for instance in instances {
            if let index = counts.firstIndex(where: { $0.0 == instance.state }) { counts[index].1 += 1 }
        }
        return .object(JSONObject(counts.map { ($0.0.rawValue, .number($0.1)) }))
    }

    /// Microseconds; percentiles are exact to a factor of two.
    private static func distribution(_ histogram: LatencyHistogram, buckets: Bool = false) -> JSONValue {
        var json: JSONValue = [
            "count": .number(histogram.count),
            "p50": histogram.percentile(50).map { .number($0.microseconds) } ?? .null,
            "p99": histogram.percentile(99).map { .number($0.microseconds) } ?? .null,
        ]
        guard buckets else { return json }
        let filled = histogram.buckets.enumerated().filter { $0.element > 0 }
        json["buckets"] = .array(filled.map { ["atMost": .number(1 << $0.offset), "count": .number($0.element)] })
        return json
    }

    /// The mean of the last seconds.
    private static func recent<Count: BinaryInteger>(_ counts: [Count]) -> Double {
        let last = counts.suffix(Self.recentSeconds)
        guard !last.isEmpty else { return 0 }
        return (Double(last.reduce(0, +)) / Double(last.count) * 100).rounded() / 100
    }

    private static let recentSeconds = 5
}
