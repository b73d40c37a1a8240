internal import ApusCore
internal import CRDKafka
internal import Glibc

/// The first questions to a cluster: is it there, what is on it, is the ledger's topic as it must be.
struct KafkaStart {
    private let configuration: KafkaLogConfiguration
    private let admin: KafkaAdmin
    let ledgerName: TopicName
    let ledgerOnKafka: String

    init(_ configuration: KafkaLogConfiguration, _ admin: KafkaAdmin) throws(KafkaFailure) {
        self.configuration = configuration
        self.admin = admin
        self.ledgerOnKafka = configuration.topicPrefix + KafkaLedger.name
        guard let name = TopicName(onLog: KafkaLedger.name), TopicName(onLog: self.ledgerOnKafka) != nil else {
            throw KafkaFailure(
                RD_KAFKA_RESP_ERR__INVALID_ARG, "name the ledger",
                "`log.kafka.topicPrefix` is no part of a topic's name")
        }
        self.ledgerName = name
    }

    /// A cluster that starts together with this server may need a while.
    func waitForCluster() throws(KafkaFailure) {
        let deadline = LogWriter.monotonicMilliseconds() + Limits.Kafka.startMilliseconds
        while true {
            do throws(KafkaFailure) {
                _ = try self.admin.client.partitions()
                return
            } catch {
                self.admin.client.serve()
                guard LogWriter.monotonicMilliseconds() < deadline else {
                    throw KafkaFailure(error.code, error.stage, self.admin.client.context.error ?? error.text)
                }
                usleep(Limits.Kafka.settleStepMilliseconds * 1_000)
            }
        }
    }

    /// Makes the ledger's topic, or checks that it is one on which nothing is lost.
    func makeLedger() throws(KafkaFailure) {
        do throws(KafkaFailure) {
            try self.admin.create(
                self.ledgerOnKafka, partitions: Limits.Kafka.ledgerPartitions,
                replicas: self.configuration.replicationFactor,
                KafkaSettings.ledger)
        } catch {
            guard error.code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else { throw error }
        }
        try KafkaSettling.wait(for: self.ledgerOnKafka, partitions: Limits.Kafka.ledgerPartitions, [self.admin.client])
        let settings = try self.admin.settings(of: [self.ledgerOnKafka])[self.ledgerOnKafka]
        guard settings?["cleanup.policy"] == "compact" else {
            throw KafkaFailure(
                RD_KAFKA_RESP_ERR_INVALID_CONFIG, "check \(self.ledgerOnKafka)",
                "its cleanup.policy must be 'compact' and nothing else, or positions are lost")
        }
    }

    /// Makes the topic of requests that took effect once.
    func makeKeys() throws(KafkaFailure) {
        let onKafka = self.configuration.topicPrefix + KafkaKeys.name
        do throws(KafkaFailure) {
            try self.admin.create(
                onKafka, partitions: Limits.Kafka.ledgerPartitions, replicas: self.configuration.replicationFactor,
                KafkaSettings.keys)
        } catch {
            guard error.code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else { throw error }
        }
        try KafkaSettling.wait(for: onKafka, partitions: Limits.Kafka.ledgerPartitions, [self.admin.client])
    }

    /// Makes the topic whose partitions are the shares of a class. Nothing is ever appended to it.
    func makeShares(_ workClass: WorkClass) throws(KafkaFailure) {
        let onKafka = self.configuration.topicPrefix + KafkaSharing.topic(workClass)
        do throws(KafkaFailure) {
            try self.admin.create(
                onKafka, partitions: Share.count, replicas: self.configuration.replicationFactor, [])
        } catch {
            guard error.code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS else { throw error }
        }
        try KafkaSettling.wait(for: onKafka, partitions: Share.count, [self.admin.client])
    }

    /// What is on the cluster that this Apus may see.
    /// - Parameters:
    ///   - listed: every topic and its partitions.
    ///   - foreign: is told of each topic of Apus's what somebody else has set in it.
    func topics(
        _ listed: [String: Int], _ ledger: KafkaLedger, foreign: (_ topic: String, _ differences: [String]) -> Void
    ) throws(KafkaFailure) -> [KafkaTopic] {
        let found = listed.filter { self.name($0.key) != nil && $0.value > 0 }
        let settings = try self.admin.settings(of: found.keys.sorted())
        return found.compactMap { onKafka, partitions in
            guard let name = self.name(onKafka) else { return nil }
            let noted = ledger[KafkaLedger.Own.topic(name)].flatMap(KafkaSettings.decode)
            if let noted {
                let wanted = KafkaSettings.of(noted, tombstones: self.configuration.tombstoneTime)
                foreign(onKafka, KafkaSettings.differences(settings[onKafka] ?? [:], wanted))
            }
            let configuration = KafkaSettings.configuration(
                settings[onKafka] ?? [:], partitions: partitions, noted: noted)
            return KafkaTopic(name, onKafka: onKafka, configuration, isOwn: noted != nil, keeping: [])
        }
    }

    /// The name of one of Kafka's topics here; nil for what belongs to Kafka, to another Apus, or to the log itself.
    func name(_ onKafka: String) -> TopicName? {
        guard onKafka.hasPrefix(self.configuration.topicPrefix), onKafka != self.ledgerOnKafka,
            !onKafka.hasPrefix("__"), onKafka != self.configuration.topicPrefix + KafkaKeys.name,
            !onKafka.hasPrefix(self.configuration.topicPrefix + KafkaSharing.topicPrefix)
        else { return nil }
        return TopicName(onLog: String(onKafka.dropFirst(self.configuration.topicPrefix.count)))
    }
}

/// Waiting until a change of topics has reached those who are to use it.
enum KafkaSettling {
    /// - Parameter clients: each asks by itself, and so learns of the change.
    static func wait(for topic: String, partitions: Int, _ clients: [KafkaClient]) throws(KafkaFailure) {
        let deadline = LogWriter.monotonicMilliseconds() + Limits.Kafka.settleMilliseconds
        for client in clients {
            while (try client.partitions(of: topic))[topic] ?? 0 < partitions {
                guard LogWriter.monotonicMilliseconds() < deadline else {
                    throw KafkaFailure(
                        RD_KAFKA_RESP_ERR__TIMED_OUT, "wait for the topic \(topic)",
                        "its \(partitions) partitions did not all get a leader in time")
                }
                usleep(Limits.Kafka.settleStepMilliseconds * 1_000)
            }
        }
    }

    /// Waits until nobody is told of a deleted topic any more: one of its name that is made before would be taken for it.
    static func waitForEnd(of topic: String, _ clients: [KafkaClient]) throws(KafkaFailure) {
        let deadline = LogWriter.monotonicMilliseconds() + Limits.Kafka.settleMilliseconds
        for client in clients {
            while (try client.partitions(of: topic))[topic] != nil, LogWriter.monotonicMilliseconds() < deadline {
                usleep(Limits.Kafka.settleStepMilliseconds * 1_000)
            }
        }
    }
}
