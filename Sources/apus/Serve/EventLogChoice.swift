internal import ApusCore
internal import ApusLog
internal import ApusServer
internal import ApusTelemetry

/// Which event log a server stands on: its own in the data directory, or Kafka.
enum EventLogChoice {
    static func open(
        _ options: ServeOptions, _ journal: Log, _ board: KafkaBoard, clock: @escaping @Sendable () -> Timestamp
    ) throws(ApusError) -> any EventLog {
        guard let kafka = try Self.kafka(options, journal, board) else {
            return try EmbeddedLog(
                directory: options.server.dataDirectory, configuration: options.log, clock: clock)
        }
        return try KafkaLog(kafka, clock: clock)
    }

    private static func kafka(
        _ options: ServeOptions, _ journal: Log, _ board: KafkaBoard
    ) throws(ApusError) -> KafkaLogConfiguration? {
        guard let bootstrap = options.kafka.bootstrap else { return nil }
        var configuration = KafkaLogConfiguration(
            bootstrap: bootstrap, properties: options.kafka.properties, observer: Self.observer(journal, board))
        configuration.cluster = options.kafka.cluster
        configuration.topicPrefix = options.kafka.topicPrefix
        configuration.replicationFactor = options.kafka.replication
        configuration.lockedFolder = options.server.dataDirectory
        let kept = options.kafka.node == nil ? try NodeName.load(in: options.server.dataDirectory) : ""
        configuration.sharing = KafkaLogConfiguration.Sharing(
            node: options.kafka.node ?? kept, classes: options.kafka.classes,
            sessionMilliseconds: options.kafka.sessionMilliseconds)
        return configuration
    }

    /// What librdkafka says in the server's own words of weight: syslog's notice and below is for who looks closely.
    private static func observer(_ journal: Log, _ board: KafkaBoard) -> KafkaObserver {
        let log = { @Sendable (level: Int, client: String, text: String) in
            switch level {
            case ...3: journal.error("kafka: \(text)", ["client": client])
            case 4: journal.warning("kafka: \(text)", ["client": client])
            default: journal.debug("kafka: \(text)", ["client": client])
            }
        }
        return KafkaObserver(log: log, statistics: { board.take($0, $1) })
    }
}
