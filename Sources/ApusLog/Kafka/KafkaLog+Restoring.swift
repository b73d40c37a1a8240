public import ApusCore

/// What a restore into a cluster needs beside the log's contract.
extension KafkaLog {
    /// The topics of this Apus that are on a cluster, by their names there; Kafka's own are not among them.
    /// - Throws: `configuration_invalid`, `log_failed` when the cluster cannot be reached.
    public static func topicsThere(_ configuration: KafkaLogConfiguration) throws(ApusError) -> [String] {
        try KafkaProperties.check(configuration)
        do throws(KafkaFailure) {
            let admin = KafkaAdmin(client: try KafkaClient(configuration, .admin, name: "admin"))
            try KafkaStart(configuration, admin).waitForCluster()
            return try Self.names(configuration, admin)
        } catch {
            throw error.apusError("cannot look at what is on Kafka at \(configuration.bootstrap)")
        }
    }

    /// Deletes everything of this Apus from a cluster: for one that was empty before.
    public static func clear(_ configuration: KafkaLogConfiguration) throws(ApusError) {
        do throws(KafkaFailure) {
            let admin = KafkaAdmin(client: try KafkaClient(configuration, .admin, name: "admin"))
            for topic in try Self.names(configuration, admin) { try admin.delete(topic) }
        } catch {
            throw error.apusError("cannot take back what was written to Kafka at \(configuration.bootstrap)")
        }
    }

    private static func names(_ configuration: KafkaLogConfiguration, _ admin: KafkaAdmin) throws(KafkaFailure)
        -> [String]
    {
        try admin.client.partitions().keys
            .filter { $0.hasPrefix(configuration.topicPrefix) && !$0.hasPrefix("__") }.sorted()
    }
}

/// A record of a copy on its way to another log.
public struct CopiedRecord: Sendable {
    /// As it goes there: a dead letter with the id that it had.
    public let block: [UInt8]
    public let hasKey: Bool

    /// - Parameter identity: of the log that was copied.
    /// - Throws: `backup_invalid` for bytes that are no record.
    public init(_ block: [UInt8], identity: UInt64, topic: TopicName, partition: Int, offset: Offset) throws(ApusError)
    {
        guard block.count <= Limits.recordBytes, let layout = try? EventLayout(parsing: block.span.bytes),
            layout.data.count == layout.dataCount
        else { throw LogRestore.invalid("the record \(topic)/\(partition)/\(offset) cannot be") }
        self.block = RestoredRecord(block, layout).marked("\(hexadecimal(identity))-\(topic)-\(partition)-\(offset)")
        self.hasKey = layout.key != nil
    }
}
