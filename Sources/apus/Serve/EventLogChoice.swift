internal import ApusCore
internal import ApusLog
internal import ApusServer
internal import ApusStore
internal import ApusTelemetry

/// Which event log a server stands on: its own in the data directory, or Kafka.
enum EventLogChoice {
    /// A log, and who decides on it where other servers may write as well.
    struct Choice {
        var log: any EventLog
        var ownership: (any CommandOwnership)?
    }

    /// - Parameter keys: those that were given; without any the data directory's own seals what this server writes on Kafka.
    static func open(
        _ options: ServeOptions, _ keys: MasterKeys?, _ journal: Log, clock: @escaping @Sendable () -> Timestamp
    ) throws(ApusError) -> Choice {
        guard let kafka = try Self.kafka(options, journal) else {
            let log = try EmbeddedLog(
                directory: options.server.dataDirectory, configuration: options.log, clock: clock)
            return Choice(log: log, ownership: nil)
        }
        let keys = try Server.keys(keys, run: "\(options.server.dataDirectory)/run")
        if keys.isGenerated {
            journal.warning(
                "without --key-file this server seals what it writes under a key of its own: no other can join it on this Kafka"
            )
        }
        let log = try KafkaLog(kafka, clock: clock)
        let sealed = SealedLog(log, RecordSeal(keys), adoptsUnsealed: options.kafka.adopts)
        return Choice(log: sealed, ownership: SealedOwnership(try log.commandOwnership(), sealed))
    }

    private static func kafka(_ options: ServeOptions, _ journal: Log) throws(ApusError) -> KafkaLogConfiguration? {
        guard let bootstrap = options.kafka.bootstrap else { return nil }
        var configuration = KafkaLogConfiguration(
            bootstrap: bootstrap, properties: options.kafka.properties, observer: Self.observer(journal))
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
    private static func observer(_ journal: Log) -> KafkaObserver {
        KafkaObserver { level, client, text in
            switch level {
            case ...3: journal.error("kafka: \(text)", ["client": client])
            case 4: journal.warning("kafka: \(text)", ["client": client])
            default: journal.debug("kafka: \(text)", ["client": client])
            }
        }
    }
}
