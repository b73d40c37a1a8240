internal import ApusCore
internal import ApusJSON
internal import ApusLog
internal import ApusServer
internal import Synchronization

/// The newest statistics of each of librdkafka's clients. They come on its threads and on the log's.
final class KafkaBoard: Sendable {
    /// One that says nothing for so long has been closed.
    private static let silence = TimeSpan.milliseconds(Int64(3 * Limits.Kafka.statisticsMilliseconds))

    private struct Entry {
        var figures: KafkaFigures
        var at: Timestamp
    }

    private let clock: @Sendable () -> Timestamp
    private let entries = Mutex<[String: Entry]>([:])

    init(clock: @escaping @Sendable () -> Timestamp) { self.clock = clock }

    /// Takes one client's statistics in; what cannot be read is passed over.
    func take(_ client: String, _ json: String) {
        guard let figures = Self.read(client, json) else { return }
        let now = self.clock()
        self.entries.withLock { entries in
            entries[client] = Entry(figures: figures, at: now)
            entries = entries.filter { $0.value.at + Self.silence > now }
        }
    }

    var figures: [KafkaFigures] {
        self.entries.withLock { $0.values.map(\.figures) }.sorted { $0.client < $1.client }
    }

    /// What matters of `STATISTICS.md` of librdkafka.
    static func read(_ client: String, _ json: String) -> KafkaFigures? {
        guard let statistics = try? JSONValue.parse(json) else { return nil }
        var figures = KafkaFigures(client: client)
        figures.waitingRecords = statistics["msg_cnt"]?.double ?? 0
        figures.waitingBytes = statistics["msg_size"]?.double ?? 0
        for broker in Self.members(statistics["brokers"]) {
            if broker["state"]?.string == "UP" { figures.brokersUp += 1 }
            let roundTrip = (broker["rtt"]?["avg"]?.double ?? 0) / 1_000_000
            figures.roundTrip = max(figures.roundTrip, roundTrip)
            for name in ["txerrs", "txretries", "req_timeouts"] {
                figures.requestsFailed += broker[name]?.double ?? 0
            }
        }
        for topic in Self.members(statistics["topics"]) {
            for partition in Self.members(topic["partitions"]) {
                figures.fetchedBytes += partition["fetchq_size"]?.double ?? 0
            }
        }
        if let state = statistics["eos"]?["txn_state"]?.string, !state.isEmpty, state != "Init" {
            figures.isTransactional = !state.contains("Fatal") && !state.contains("Abortable")
        }
        return figures
    }

    private static func members(_ value: JSONValue?) -> [JSONValue] { value?.object?.members.map(\.value) ?? [] }
}
