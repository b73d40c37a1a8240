public import ApusCore
internal import CRDKafka
internal import Glibc
internal import Synchronization

extension KafkaLog {
    public func topic(_ name: TopicName) -> TopicConfiguration? { self.topicsKnown[name]?.configuration }
    public func topics() -> [TopicName] { self.topicsKnown.names }

    public func createTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try LogWriter.checkTopic(configuration)
        try self.change { (log) throws(ApusError) in try log.create(name, configuration) }
    }

    public func alterTopic(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try LogWriter.checkTopic(configuration)
        try self.change { (log) throws(ApusError) in try log.alter(name, configuration) }
    }

    public func deleteTopic(_ name: TopicName) throws(ApusError) {
        try self.change { (log) throws(ApusError) in try log.delete(name) }
    }

    public func discard(_ partition: TopicPartition, before offset: Offset) {
        self.keeper?.discard(partition, before: offset)
    }

    func change(_ body: @escaping @Sendable (KafkaLog) throws(ApusError) -> Void) throws(ApusError) {
        guard let keeper = self.keeper else { throw ApusError(.shuttingDown, "the event log is closing") }
        try keeper.perform { [unowned self] in
            do throws(ApusError) {
                try body(self)
                return .success(())
            } catch {
                return .failure(error)
            }
        }
    }

    // MARK: on the keeper's thread

    private func create(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        // Another node may have made it a moment ago.
        if self.topicsKnown[name] == nil { self.refresh() }
        if try self.isKnown(name, configuration) { return }
        let onKafka = self.configuration.topicPrefix + name.onLog
        guard onKafka.utf8.count <= Limits.topicNameBytes else {
            throw ApusError(.invalidArgument, "the topic '\(onKafka)' has a longer name than Kafka allows")
        }
        do throws(KafkaFailure) {
            try self.createOnKafka(name, onKafka, configuration)
            try KafkaSettling.wait(for: onKafka, partitions: configuration.partitions, self.clients)
        } catch {
            throw error.apusError("cannot make the topic '\(name)'")
        }
        // Another node was quicker.
        if try self.isKnown(name, configuration) { return }
        try self.note(name, configuration)
        self.set(KafkaTopic(name, onKafka: onKafka, configuration, isOwn: true, keeping: []))
    }

    /// - Throws: `already_exists` for one that is there and is another.
    private func isKnown(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) -> Bool {
        guard let known = self.topicsKnown[name] else { return false }
        guard known.configuration == configuration else {
            throw ApusError(
                .alreadyExists,
                "the topic '\(name)' is there already with another configuration: alter it or choose another name")
        }
        return true
    }

    private func settings(of onKafka: String, _ configuration: TopicConfiguration) -> [(String, String)] {
        let name = TopicName(onLog: String(onKafka.dropFirst(self.configuration.topicPrefix.count)))
        return KafkaSettings.of(configuration, tombstones: self.configuration.tombstoneTime)
            + KafkaSettings.keepingHistory(of: name)
    }

    /// One of the same name that was deleted a moment ago may still be going; one that another node made at the same time is known after
    /// a look.
    private func createOnKafka(
        _ name: TopicName, _ onKafka: String, _ configuration: TopicConfiguration
    ) throws(KafkaFailure) {
        let settings = self.settings(of: onKafka, configuration)
        let deadline = LogWriter.monotonicMilliseconds() + Limits.Kafka.settleMilliseconds
        while true {
            do throws(KafkaFailure) {
                return try self.admin.create(
                    onKafka, partitions: configuration.partitions, replicas: self.configuration.replicationFactor,
                    settings)
            } catch {
                guard error.code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS,
                    LogWriter.monotonicMilliseconds() < deadline
                else { throw error }
                usleep(Limits.Kafka.settleStepMilliseconds * 1_000)
                guard self.kafkaSharing != nil else { continue }
                self.refresh()
                if self.topicsKnown[name] != nil { return }
            }
        }
    }

    private func alter(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        let known = try self.topicsKnown.require(name)
        try LogWriter.checkChange(of: name, from: known.configuration, to: configuration)
        do throws(KafkaFailure) {
            if configuration.partitions > known.configuration.partitions {
                try self.admin.grow(known.onKafka, to: configuration.partitions)
                try KafkaSettling.wait(for: known.onKafka, partitions: configuration.partitions, self.clients)
            }
            try self.admin.alter(known.onKafka, self.settings(of: known.onKafka, configuration))
        } catch {
            throw error.apusError("cannot change the topic '\(name)'")
        }
        try self.note(name, configuration)
        self.set(
            KafkaTopic(name, onKafka: known.onKafka, configuration, isOwn: known.isOwn, keeping: known.partitions))
    }

    private func delete(_ name: TopicName) throws(ApusError) {
        guard let known = self.topicsKnown.remove(name) else { throw TopicDirectory.notFound(name) }
        do throws(KafkaFailure) { try self.admin.delete(known.onKafka) } catch {
            guard error.code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART else {
                self.topicsKnown.set(known)
                throw error.apusError("cannot delete the topic '\(name)'")
            }
        }
        self.drop(known)
        do throws(KafkaFailure) { try KafkaSettling.waitForEnd(of: known.onKafka, self.clients) } catch {
            throw error.apusError("cannot see the topic '\(name)' go")
        }
        try self.writeOwn([LogBatch.LedgerWrite(key: KafkaLedger.Own.topic(name), value: nil)])
    }

    private func drop(_ topic: KafkaTopic) {
        self.reader.unfollow(topic)
        self.catchUp.forget(topic.partitions)
        for partition in topic.partitions { self.cache.note(partition.forgetAll(), of: partition) }
    }

    private func note(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try self.writeOwn([
            LogBatch.LedgerWrite(key: KafkaLedger.Own.topic(name), value: KafkaSettings.encode(configuration))
        ])
    }

    private func set(_ topic: KafkaTopic) {
        self.topicsKnown.set(topic)
        guard self.isFollowed(topic.name) else { return }
        _ = self.want(topic)
        self.reader.follow(topic)
    }

    /// Those who must know a topic before it is used.
    private var clients: [KafkaClient] {
        [self.admin.client] + self.writer.clients + (self.writer.outputs.client.map { [$0] } ?? []) + (self.kafkaSharing?.producers ?? [])
            + (self.commands.withLock { $0 }?.producers ?? []) + ((try? self.catchUp.client()).map { [$0] } ?? [])
    }

    /// Takes in what others did to topics. What cannot be asked now is asked again later.
    func refresh() {
        do throws(KafkaFailure) {
            let start = try KafkaStart(self.configuration, self.admin)
            // With what other nodes noted of theirs.
            if let sharing = self.kafkaSharing { try sharing.readLedger(KafkaLedger.ownPartition) }
            let listed = try self.admin.client.partitions()
            let found = try start.topics(listed, self.ledger, foreign: { self.differences.note($0, $1) })
            // One that has no leader now is not gone.
            let names = Set(listed.keys.compactMap { start.name($0) })
            for known in self.topicsKnown.all where !names.contains(known.name) {
                _ = self.topicsKnown.remove(known.name)
                self.drop(known)
            }
            for topic in found {
                guard let known = self.topicsKnown[topic.name] else {
                    self.set(topic)
                    continue
                }
                guard known.configuration != topic.configuration else { continue }
                let isSame = known.configuration.isCompacted == topic.configuration.isCompacted
                self.set(
                    KafkaTopic(
                        topic.name, onKafka: topic.onKafka, topic.configuration, isOwn: topic.isOwn,
                        keeping: isSame ? known.partitions : []))
            }
        } catch {
            let context = self.admin.client.context
            context.observer.log(4, context.name, "cannot look for topics: \(error)")
        }
    }
}
