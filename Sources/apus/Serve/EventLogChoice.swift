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
        _ options: ServeOptions, _ keys: MasterKeys?, _ journal: Log, _ board: KafkaBoard,
        clock: @escaping @Sendable () -> Timestamp
    ) throws(ApusError) -> Choice {
        guard let kafka = try Self.kafka(options, journal, board) else {
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

    private static func kafka(
        _ options: ServeOptions, _ journal: Log, _ board: KafkaBoard
    ) throws(ApusError) -> KafkaLogConfiguration? {
        guard var configuration = options.kafkaLog else { return nil }
        configuration.observer = Self.observer(journal, board)
        configuration.lockedFolder = options.server.dataDirectory
        configuration.keysFolder = options.server.dataDirectory
        let kept = options.kafka.node == nil ? try NodeName.load(in: options.server.dataDirectory) : ""
        configuration.sharing = KafkaLogConfiguration.Sharing(
            node: options.kafka.node ?? kept, classes: options.kafka.classes,
            sessionMilliseconds: options.kafka.sessionMilliseconds)
        configuration.structured = { value, type throws(ApusError) in
            try StructuredEvent.read(value, contentType: type)
        }
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

extension ServeOptions {
    /// The cluster that the configuration names; nil for a log in the data directory.
    var kafkaLog: KafkaLogConfiguration? {
        guard let bootstrap = self.kafka.bootstrap else { return nil }
        var configuration = KafkaLogConfiguration(bootstrap: bootstrap, properties: self.kafka.properties)
        configuration.cluster = self.kafka.cluster
        configuration.topicPrefix = self.kafka.topicPrefix
        configuration.replicationFactor = self.kafka.replication
        return configuration
    }
}
