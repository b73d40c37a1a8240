internal import ApusCore
internal import CLMDB
internal import Synchronization

/// Topics are made, changed and deleted in their place among the batches, each in a transaction of its own.
extension LogWriter {
    func execute(_ command: TopicCommand) -> Result<Void, ApusError> {
        // What is known by name may be another topic afterwards.
        self.lastTopic = nil
        do throws(ApusError) {
            switch command {
            case .create(let name, let configuration): try self.create(name, configuration)
            case .alter(let name, let configuration): try self.alter(name, configuration)
            case .delete(let name): try self.delete(name)
            }
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    private func create(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try Self.checkTopic(configuration)
        if let known = self.directory[name] {
            guard known.configuration == configuration else {
                throw ApusError(
                    .alreadyExists,
                    "the topic '\(name)' is there already with another configuration: alter it or choose another name")
            }
            return
        }
        try self.build(name, configuration, keeping: [])
    }

    private func alter(_ name: TopicName, _ configuration: TopicConfiguration) throws(ApusError) {
        try Self.checkTopic(configuration)
        guard let known = self.directory[name] else { throw TopicDirectory.notFound(name) }
        try Self.checkChange(of: name, from: known.configuration, to: configuration)
        try self.build(name, configuration, keeping: known.partitions)
        self.noteGrowth(of: name)
    }

    /// What no topic takes, on any log.
    static func checkChange(
        of name: TopicName, from old: TopicConfiguration, to configuration: TopicConfiguration
    ) throws(ApusError) {
        guard configuration.isCompacted == old.isCompacted else {
            throw ApusError(
                .invalidArgument, "a topic cannot begin or cease to be compacted: make another topic than '\(name)'")
        }
        guard configuration.partitions >= old.partitions else {
            throw ApusError(
                .invalidArgument, "the topic '\(name)' has \(old.partitions) partitions and cannot have fewer")
        }
        guard configuration.partitions == old.partitions || !old.isCompacted else {
            throw ApusError(
                .invalidArgument, "the compacted topic '\(name)' cannot get more partitions: its keys would move")
        }
    }

    static func checkTopic(_ configuration: TopicConfiguration) throws(ApusError) {
        guard (1...Limits.partitionsPerTopic).contains(configuration.partitions) else {
            throw ApusError(
                .invalidArgument,
                "a topic has 1 to \(Limits.partitionsPerTopic) partitions, not \(configuration.partitions)")
        }
        if let time = configuration.retentionTime, time <= .zero {
            throw ApusError(.invalidArgument, "the retention time of a topic must be positive")
        }
        if let bytes = configuration.retentionBytes, bytes <= 0 {
            throw ApusError(.invalidArgument, "the retention size of a topic must be positive")
        }
    }

    /// Stores a topic over the partitions it has and as many new ones as it needs.
    private func build(_ name: TopicName, _ configuration: TopicConfiguration, keeping kept: [Partition])
        throws(ApusError)
    {
        let missing = configuration.partitions - kept.count
        let tablesPerPartition = configuration.isCompacted ? 2 : 1
        guard self.maintenance.tablesInUse + missing * tablesPerPartition <= self.configuration.tables else {
            throw ApusError(
                .limitReached,
                "the event log has \(self.maintenance.tablesInUse) of at most \(self.configuration.tables) tables in use: delete topics or raise its tables"
            )
        }
        var spares = self.maintenance.spares
        var partitions = kept
        do throws(LMDBFailure) {
            let transaction = try WriteTransaction(self.environment)
            for number in kept.count..<configuration.partitions {
                let records = try self.takeTable(.records, &spares, transaction)
                let index = configuration.isCompacted ? try self.takeTable(.index, &spares, transaction) : nil
                let partition = Partition(
                    topic: name, number: number, records: records, index: index, state: PartitionState())
                try transaction.put(self.tables.states, integer: Int(records.identifier), partition.committed.encoded)
                partitions.append(partition)
            }
            let record = TopicRecord(
                configuration: configuration,
                tables: partitions.map { $0.records.identifier },
                indexes: partitions.compactMap { $0.index?.identifier }
            )
            try transaction.put(self.tables.topics, Array(name.onLog.utf8), record.encoded)
            try self.tables.set("nextTable", spares.nextTable, transaction)
            try transaction.commit()
        } catch {
            throw self.failed(error)
        }
        self.maintenance.spares = spares
        self.maintenance.tablesInUse += missing * tablesPerPartition
        self.directory.set(Topic(name: name, configuration: configuration, partitions: partitions))
        self.committed(records: 0)
    }

    /// An empty table of a deleted topic, or a new one.
    private func takeTable(
        _ kind: TableKind, _ spares: inout SpareTables, _ transaction: borrowing WriteTransaction
    ) throws(LMDBFailure) -> Table {
        if let table = spares.take(kind) {
            _ = try transaction.deleteRecord(self.tables.spares, Int64(table.identifier))
            return table
        }
        defer { spares.nextTable += 1 }
        return try self.tables.open(spares.nextTable, kind, transaction, creates: true)
    }

    /// The topic is gone at once; its records go in bounded steps, and its tables can be used again after that.
    private func delete(_ name: TopicName) throws(ApusError) {
        guard let topic = self.directory[name] else { throw TopicDirectory.notFound(name) }
        let tables = topic.partitions.flatMap { [$0.records] + ($0.index.map { [$0] } ?? []) }
        do throws(LMDBFailure) {
            let transaction = try WriteTransaction(self.environment)
            _ = try transaction.delete(self.tables.topics, Array(name.onLog.utf8))
            for table in tables { try self.tables.setSpare(table, .emptying, transaction) }
            try transaction.commit()
        } catch {
            throw self.failed(error)
        }
        self.directory.remove(name)
        for partition in topic.partitions { partition.isDeleted.store(true, ordering: .sequentiallyConsistent) }
        self.maintenance.emptying.append(contentsOf: tables)
        self.committed(records: 0)
    }
}
