internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLog
internal import ApusLoop
internal import ApusTestSupport
internal import BenchFloors
internal import Glibc

/// The whole way of an event: a topic, the engine, a sandboxed function, the reply topic. The rate is from the first read to the last
/// reply durable, events of 1 KiB on four partitions in key order; the floor is the same flow in C without an engine.
///
/// `burst_reaction` is from before the append of a burst, for a function without workers, until as many are being started as there may be.
///
/// `start_p50` is from before an event's append until its handler starts, one event at a time. `--kafka host:port` does the same on
/// Kafka, beside a loop of librdkafka that consumes and produces. A round is long enough for the disk to have its part in it: the first
/// few hundred thousand events would lie in the system's cache when the clock stops.
enum EndToEndBench {
    static let partitions = 4
    private static let keys = 1_000
    private static let batch = 500

    struct Settings {
        var records: Int
        var bytes: Int
        var concurrency: Int
        var batch: Int?
        var unsettled: Int
        var starts: Int
        var durability: EmbeddedLogConfiguration.Durability
        var kafka: String?
        var properties: [String: String]
        var kinds: [DispatchBenchWorkers.Kind]
    }

    static func run(_ options: BenchOptions) throws -> BenchReport {
        let kafka = options.others["kafka"]
        guard let durability = EmbeddedLogConfiguration.Durability(rawValue: options.others["durability"] ?? "fsync")
        else {
            throw BenchFailure("--durability is fsync or process")
        }
        let settings = Settings(
            records: try options.number("records", default: 1_000_000),
            bytes: try options.number("bytes", default: 1_024),
            concurrency: try options.number("concurrency", default: 256),
            batch: options.others["batch"].flatMap { Int($0) },
            unsettled: try options.number("unsettled", default: EngineConfiguration().unsettledPerPartition),
            starts: try options.number("starts", default: 500), durability: durability, kafka: kafka,
            properties: try Self.properties(options.others["properties"] ?? ""),
            kinds: DispatchBenchWorkers.Kind.allCases.filter {
                options.others["only"].map([$0.rawValue].contains) ?? true
            })
        guard let floor = flow_floor_open() else { throw BenchFailure("the floor's pipes cannot be made") }
        defer { flow_floor_close(floor) }
        // The nursery wants a process without threads, so it comes before the loops.
        let workers = try DispatchBenchWorkers(
            directory: options.directory, shards: (settings.kinds.count + 2) * options.rounds,
            isSandboxed: options.others["sandbox"] != "none")
        defer { workers.close() }
        let site = try EndToEndSite(settings, workers, floor, directory: options.directory)
        defer { site.close() }
        return BenchReport(
            kafka == nil ? "end-to-end" : "end-to-end-kafka", try self.measure(site, settings, options.rounds))
    }

    private static func properties(_ text: String) throws -> [String: String] {
        try text.split(separator: ",").reduce(into: [:]) { properties, pair in
            guard let equals = pair.firstIndex(of: "=") else { throw BenchFailure("--properties is NAME=VALUE,…") }
            properties[String(pair[..<equals])] = String(pair[pair.index(after: equals)...])
        }
    }

    private static func measure(_ site: EndToEndSite, _ settings: Settings, _ rounds: Int) throws -> [Figure] {
        var rates = settings.kinds.map { Figure("\($0.rawValue).rate", unit: "1/s") }
        var costs = settings.kinds.map { Figure("\($0.rawValue).loop_cpu", unit: "us") }
        var start = Figure("start_p50", unit: "us")
        var burst = Figure("burst_reaction", unit: "ms")
        for _ in 0..<rounds {
            burst.add(try site.burst())
            let floor = try site.floor()
            for (index, kind) in settings.kinds.enumerated() {
                let found = try site.rate(kind)
                rates[index].add(found.rate, floor: floor)
                costs[index].add(found.loopMicroseconds)
            }
            guard settings.kafka == nil, settings.starts > 1 else { continue }
            start.add(
                percentile(50, of: try site.starts(settings.starts)),
                floor: percentile(50, of: try site.floorStarts(settings.starts)))
        }
        return rates + [burst] + (start.samples.isEmpty ? [] : [start]) + costs
    }

    /// What is appended to the input, batch by batch.
    static func input(_ topic: TopicName, bytes: Int) -> [LogBatch] {
        stride(from: 0, to: self.keys, by: self.batch).map { first in
            LogBatch(
                urgency: .producer,
                appends: (first..<first + self.batch).map { number in
                    let event = Event(
                        key: Array("key-\(number)".utf8),
                        attributes: [
                            Attribute("id", "event-\(number)"), Attribute("source", "/bench", kind: .uriReference),
                            Attribute("type", "dev.apus.bench"),
                            Attribute("datacontenttype", "application/octet-stream"),
                        ],
                        data: Array(repeating: UInt8(ascii: "x"), count: bytes))
                    return LogBatch.Append(topic: topic, block: EventBlock.encode(event))
                })
        }
    }

    /// - Returns: records a second.
    @discardableResult
    static func fill(_ log: any EventLog, _ topic: TopicName, bytes: Int, records: Int) throws -> Double {
        let batches = Self.input(topic, bytes: bytes)
        return try LogBench.flood(log, batches, count: records / Self.batch, window: 8) * Double(Self.batch)
    }
}
