internal import ApusCore
internal import CRDKafka

/// The one place where a client's properties are put together: what Apus needs, what users pass through, what nobody may change.
struct KafkaProperties {
    enum Role: Equatable {
        /// Answers questions and changes topics; sees what is not committed yet.
        case admin
        /// Reads committed records. A fetch that waits for news holds up whatever else its connection carries for that long, so who
        /// asks questions never reads.
        /// - Parameter aheadKibibytes: what it fetches ahead for each of its queues.
        case consumer(waitMilliseconds: Int, aheadKibibytes: Int)
        /// Idempotent; with an id, transactional.
        /// - Parameter lingerMilliseconds: how long a record waits for others; nothing where whoever produces says when it is over.
        case producer(transactionalID: String?, lingerMilliseconds: Int? = nil)
        /// Asks for positions that groups committed, and sets them; takes part in none. librdkafka 2.0.2 ends the process when a client
        /// without a group of its own asks while a coordinator moves.
        case positions(group: String)
        /// Takes part in a group and reads nothing.
        case member(group: String, node: String, sessionMilliseconds: Int)

        static let catchingUp = Role.consumer(
            waitMilliseconds: Limits.Kafka.catchUpMilliseconds, aheadKibibytes: Limits.Kafka.fetchAheadKibibytes)
    }

    /// Whether a group tells it what is its own.
    let isMember: Bool

    private(set) var entries: [(name: String, value: String)] = []

    /// What the log's promises rest on: users may not set it.
    static let owned: Set<String> = [
        "bootstrap.servers", "metadata.broker.list", "client.id", "group.id", "group.instance.id", "enable.idempotence",
        "transactional.id", "acks", "request.required.acks", "partitioner", "isolation.level", "enable.auto.commit",
        "enable.auto.offset.store", "auto.commit.enable", "enable.partition.eof", "auto.offset.reset",
        "message.max.bytes",
        "allow.auto.create.topics", "message.timeout.ms", "delivery.timeout.ms", "max.in.flight",
        "max.in.flight.requests.per.connection", "plugin.library.paths", "session.timeout.ms", "heartbeat.interval.ms",
        "max.poll.interval.ms", "partition.assignment.strategy", "group.protocol.type",
    ]

    init(_ configuration: KafkaLogConfiguration, _ role: Role, client: String) {
        self.isMember = if case .member = role { true } else { false }
        self.entries = [
            ("bootstrap.servers", configuration.bootstrap), ("client.id", client),
            ("allow.auto.create.topics", "false"), ("log.connection.close", "false"),
            ("message.max.bytes", String(Limits.recordBytes + Limits.Kafka.recordSlackBytes)),
            ("socket.keepalive.enable", "true"),
            ("statistics.interval.ms", String(Limits.Kafka.statisticsMilliseconds)),
        ]
        switch role {
        case .admin: self.entries.append(("isolation.level", "read_uncommitted"))
        case .consumer(let wait, let ahead):
            self.entries += [
                ("isolation.level", "read_committed"), ("enable.partition.eof", "true"),
                ("auto.offset.reset", "earliest"),
                ("enable.auto.commit", "false"), ("enable.auto.offset.store", "false"), ("fetch.min.bytes", "1"),
                ("fetch.wait.max.ms", String(wait)),
                // Bytes are the bound, however small the records.
                ("queued.max.messages.kbytes", String(ahead)), ("queued.min.messages", "10000000"),
            ]
        case .positions(let group): self.entries += [("group.id", group), ("enable.auto.commit", "false")]
        case .member: break
        case .producer(let id, let linger):
            self.entries += [
                ("enable.idempotence", "true"), ("acks", "all"), ("partitioner", "murmur2_random"),
                ("message.timeout.ms", String(configuration.deliveryMilliseconds)),
            ]
            if let linger { self.entries.append(("linger.ms", String(linger))) }
            if let id {
                self.entries += [
                    ("transactional.id", id), ("transaction.timeout.ms", String(Limits.Kafka.transactionMilliseconds)),
                ]
            }
        }
        if case .member(let group, let node, let session) = role {
            self.entries += [
                ("group.id", group), ("group.instance.id", node), ("session.timeout.ms", String(session)),
                (
                    "heartbeat.interval.ms",
                    String(max(1, min(session / 6, Limits.Kafka.heartbeatMilliseconds)))
                ),
                (
                    "max.poll.interval.ms",
                    String(max(session, configuration.sharing?.pollMilliseconds ?? Limits.Kafka.groupPollMilliseconds))
                ),
                ("partition.assignment.strategy", "cooperative-sticky"), ("enable.auto.commit", "false"),
                ("enable.auto.offset.store", "false"),
            ]
        }
        for (name, value) in configuration.properties.sorted(by: { $0.key < $1.key }) {
            self.entries.removeAll { $0.name == name }
            self.entries.append((name, value))
        }
    }

    /// Finds out before any client is made what is wrong with the properties that users pass through.
    /// - Throws: `configuration_invalid`, naming the property and never a secret's value.
    static func check(_ configuration: KafkaLogConfiguration) throws(ApusError) {
        guard !configuration.bootstrap.isEmpty else {
            throw ApusError(.configurationInvalid, "`log.kafka.bootstrap`: give the address of a broker, as host:port")
        }
        if let name = configuration.properties.keys.sorted().first(where: { Self.owned.contains($0) }) {
            throw ApusError(
                .configurationInvalid,
                "`log.kafka.properties`: '\(name)' is set by Apus, which relies on it: leave it out")
        }
        let conf = rd_kafka_conf_new()
        defer { rd_kafka_conf_destroy(conf) }
        for (name, value) in configuration.properties.sorted(by: { $0.key < $1.key }) {
            do throws(KafkaFailure) { try Self.set(conf, name, value) } catch {
                throw ApusError(.configurationInvalid, "`log.kafka.properties`: \(error.text)")
            }
        }
    }

    /// A configuration for `rd_kafka_new`, which takes it over; else whoever called destroys it.
    func makeConfiguration() throws(KafkaFailure) -> OpaquePointer {
        guard let conf = rd_kafka_conf_new() else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "make a configuration")
        }
        do throws(KafkaFailure) {
            for (name, value) in self.entries { try Self.set(conf, name, value) }
        } catch {
            rd_kafka_conf_destroy(conf)
            throw error
        }
        return conf
    }

    private static func set(_ conf: OpaquePointer?, _ name: String, _ value: String) throws(KafkaFailure) {
        var bytes = [CChar](repeating: 0, count: 512)
        guard rd_kafka_conf_set(conf, name, value, &bytes, bytes.count) != RD_KAFKA_CONF_OK else { return }
        // librdkafka repeats the value in what it says.
        let said = Self.isSecret(name) ? "the value of '\(name)' is not accepted" : text(of: bytes)
        throw KafkaFailure(RD_KAFKA_RESP_ERR__INVALID_ARG, "set \(name)", said)
    }

    /// What may be written down: secrets are not.
    var description: String {
        self.entries.map { "\($0.name)=\(Self.isSecret($0.name) ? "(secret)" : $0.value)" }.joined(separator: " ")
    }

    static func isSecret(_ name: String) -> Bool {
        ["password", "secret", "jaas", ".pem", "token", "oauthbearer.config", "username", "cert.pem"].contains {
            name.contains($0)
        }
    }
}
