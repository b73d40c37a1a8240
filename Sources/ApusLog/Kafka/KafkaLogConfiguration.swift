public import ApusCore

/// Which cluster the event log lies on, and its bounds.
public struct KafkaLogConfiguration: Sendable {
    /// `host:port`, several with commas between them.
    public var bootstrap: String
    /// Properties of librdkafka passed through, TLS and SASL settings among them. Those the log's promises rest on are refused.
    public var properties: [String: String]
    /// Names this Apus among several on one cluster: part of its transactional ids.
    public var cluster = "apus"
    /// In front of every topic's name: lets several Apus share a cluster without seeing each other's topics.
    public var topicPrefix = ""
    /// Copies of each topic that is made; nil leaves it to the cluster.
    public var replicationFactor: Int?
    /// A data directory that one server at a time may use; nil where the log has none.
    public var lockedFolder: String?
    /// Where this node keeps the file of its keys; nil for a log that remembers none.
    public var keysFolder: String?
    /// Keys that are known for a while; above it the oldest are forgotten.
    public var keys = Limits.Log.keys
    /// Records keep the times that their blocks have: for a restore.
    public var keepsTimes = false
    public var cacheBytes = Limits.Kafka.cacheBytes
    public var unreadBytes = Limits.Kafka.unreadBytes
    public var unreadRecords = Limits.Kafka.unreadRecords
    public var catchUpConsumers = Limits.Kafka.catchUpConsumers
    /// What producers may have waiting for the writer; settling may have as much again.
    public var queueBytes = Limits.Log.queueBytes
    public var queueBatches = Limits.Log.queueBatches
    public var deliveryMilliseconds = Limits.Kafka.deliveryMilliseconds
    public var tombstoneTime = Limits.Kafka.tombstoneTime
    public var maintenanceInterval = Limits.Kafka.maintenanceInterval
    public var positionsInterval = Limits.Kafka.positionsInterval
    /// How the work is shared with other nodes; nil where this node does all of it.
    public var sharing: Sharing?
    public var observer: KafkaObserver
    /// Of one log: each makes its own.
    var ending = KafkaEnding()
    /// Reads records that are CloudEvents in structured mode; nil takes them as they are.
    public var structured: StructuredEventReader?

    /// This node among those on one cluster.
    public struct Sharing: Sendable {
        /// Its name, which stays the same from start to start and is no other node's.
        public var node: String
        /// What it can do, in a fixed order.
        public var classes: [WorkClass]
        /// How long a node that is not heard of keeps what it owns.
        public var sessionMilliseconds: Int
        /// How long the group's thread may take to ask for news, which no handler holds up.
        public var pollMilliseconds = Limits.Kafka.groupPollMilliseconds
        /// How long a share's entries that follow their outputs wait for others.
        var ledgerMilliseconds = Limits.Kafka.ledgerMilliseconds

        /// How long after a commit was asked for outputs outside of transactions may be handed over, and how long those wait for their
        /// broker: another node may have the share a session after the last sign of this one.
        var proof: TimeSpan { .milliseconds(Int64(self.sessionMilliseconds / 2)) }

        public init(
            node: String, classes: [WorkClass] = [.cpu], sessionMilliseconds: Int = Limits.Kafka.sessionMilliseconds
        ) {
            self.node = node
            self.classes = classes
            self.sessionMilliseconds = sessionMilliseconds
        }
    }

    public init(
        bootstrap: String, properties: [String: String] = [:], observer: KafkaObserver = KafkaObserver()
    ) {
        self.bootstrap = bootstrap
        self.properties = properties
        self.observer = observer
    }

    /// Whether the value of one of ``properties`` may be shown to nobody.
    public static func isSecret(_ property: String) -> Bool { KafkaProperties.isSecret(property) }
}

/// Reads the value of a record whose header `content-type` says that all of the event is in it. Called on threads of the log's.
/// - Throws: why it is no event; the record is then known as invalid.
public typealias StructuredEventReader =
    @Sendable (
        _ value: UnsafeRawBufferPointer, _ contentType: String
    ) throws(ApusError) -> Event

/// Where what librdkafka says goes. Called on threads of librdkafka's and of the log's: short, and never back into the log.
public struct KafkaObserver: Sendable {
    /// A line of its log: syslog's level (3 error, 4 warning, 6 information), and which client said it.
    public var log: @Sendable (_ level: Int, _ client: String, _ text: String) -> Void
    /// Its statistics as JSON (`STATISTICS.md` of librdkafka), every ``Limits/Kafka/statisticsMilliseconds``.
    public var statistics: @Sendable (_ client: String, _ json: String) -> Void

    public init(
        log: @escaping @Sendable (_ level: Int, _ client: String, _ text: String) -> Void = { _, _, _ in },
        statistics: @escaping @Sendable (_ client: String, _ json: String) -> Void = { _, _ in }
    ) {
        self.log = log
        self.statistics = statistics
    }
}
