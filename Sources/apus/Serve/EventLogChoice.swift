internal import ApusCore
internal import ApusLog
internal import ApusServer
internal import ApusTelemetry

/// Which event log a server stands on: its own in the data directory, or Kafka.
enum EventLogChoice {
    static func open(
        _ options: ServeOptions, _ journal: Log, clock: @escaping @Sendable () -> Timestamp
    ) throws(ApusError) -> any EventLog {
        guard let kafka = try Self.kafka(options, journal) else {
            return try EmbeddedLog(
                directory: options.server.dataDirectory, configuration: options.log, clock: clock)
        }
        return try KafkaLog(kafka, clock: clock)
    }

    private static func kafka(_ options: ServeOptions, _ journal: Log) throws(ApusError) -> KafkaLogConfiguration? {
        guard var configuration = options.kafkaLog else { return nil }
        configuration.observer = Self.observer(journal)
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
