internal import ApusCore
internal import CRDKafka

/// What several nodes on one cluster need of a log at its start.
extension KafkaLog {
    /// Of what this node writes that no share decides.
    static func transactionalID(_ configuration: KafkaLogConfiguration) -> String {
        let node = configuration.sharing.map { ".\($0.node)" } ?? ""
        return "apus.\(configuration.cluster).\(configuration.topicPrefix)node\(node)"
    }

    static func sharing(
        _ configuration: KafkaLogConfiguration, _ writer: KafkaWriter, _ ledger: [KafkaPartition], _ client: KafkaClient,
        load: @escaping @Sendable (KafkaPartition, KafkaLedger.Reach) throws(KafkaFailure) -> Void
    ) -> KafkaSharing? {
        guard let sharing = configuration.sharing else { return nil }
        let board = ShareBoard()
        return KafkaSharing(
            sharing.classes.map { workClass in
                SharedClass(workClass, writer, board, ledger: ledger) { (partition) throws(KafkaFailure) in
                    try load(partition, .appended)
                }
            }, board,
            KafkaTaking(configuration: configuration) { (number) throws(KafkaFailure) in
                try load(ledger[number], .appended)
            },
            members: { (workClass) throws(KafkaFailure) in
                try client.members(of: KafkaSharing.group(configuration, workClass))
            }
        ) { (number) throws(KafkaFailure) in try load(ledger[number], .decided) }
    }

    /// Takes part in the groups of this node's classes.
    func startSharing() throws(ApusError) {
        guard let sharing = self.configuration.sharing, let works = self.kafkaSharing else { return }
        do throws(KafkaFailure) {
            for work in works.all { try self.takePart(in: work, sharing) }
        } catch {
            throw error.apusError("cannot share the work with other nodes")
        }
        for work in works.all { try work.start() }
    }

    /// Makes this node a member of a class's group, with a transactional id for each share.
    func takePart(in work: SharedClass, _ sharing: KafkaLogConfiguration.Sharing) throws(KafkaFailure) {
        let configuration = self.configuration
        let owned = try OwnedPartitions(
            configuration,
            KafkaGroup.Membership(
                group: KafkaSharing.group(configuration, work.workClass),
                topic: configuration.topicPrefix + KafkaSharing.topic(work.workClass), node: sharing.node,
                sessionMilliseconds: sharing.sessionMilliseconds),
            partitions: Share.count, owner: work, clock: self.clock
        ) { KafkaSharing.transactionalID(configuration, Share(work.workClass, $0)) }
        work.attach(owned)
    }

    /// What the log is called in every id that names a place on it. Of several nodes that find it without a name at the same time, one
    /// gives it.
    static func identify(
        _ configuration: KafkaLogConfiguration, _ ledger: KafkaLedger, _ partitions: [KafkaPartition],
        _ catchUp: CatchUp, _ client: KafkaClient
    ) throws(KafkaFailure) -> UInt64 {
        if let known = Self.identity(ledger) { return known }
        guard configuration.sharing != nil else { return UInt64.random(in: 1...UInt64.max) }
        let own = KafkaLedger.ownPartition
        let transactions = KafkaTransactions(
            configuration, id: "apus.\(configuration.cluster).\(configuration.topicPrefix)identity")
        for _ in 0..<Limits.Kafka.identityAttempts {
            do throws(KafkaTransactions.Trouble) { try transactions.takeOver() } catch { throw error.failure }
            try ledger.load([partitions[own]], catchUp, client)
            if let known = Self.identity(ledger) { return known }
            let identity = UInt64.random(in: 1...UInt64.max)
            var value: [UInt8] = []
            value.appendLittleEndian(identity)
            guard let producer = try? transactions.begin() else { continue }
            producer.begin(1)
            producer.produce(
                0, key: KafkaLedger.Own.identity, value: value, topic: partitions[own].onKafka, partition: own, .zero)
            producer.finish()
            if let failure = producer.failure(0) {
                _ = transactions.abort(because: failure)
            } else if case .committed = transactions.commit() {
                return identity
            }
        }
        throw KafkaFailure(RD_KAFKA_RESP_ERR__TIMED_OUT, "give the log its identity", "other nodes were in the way")
    }

    private static func identity(_ ledger: KafkaLedger) -> UInt64? {
        guard let value = ledger[KafkaLedger.Own.identity], value.count == 8 else { return nil }
        return value.span.bytes.littleEndian(at: 0, as: UInt64.self)
    }
}
