internal import ApusCore

/// A topic's configuration in Kafka's words and back.
enum KafkaSettings {
    static func of(_ configuration: TopicConfiguration, tombstones: TimeSpan) -> [(String, String)] {
        var settings = [
            ("max.message.bytes", String(Limits.recordBytes + Limits.Kafka.recordSlackBytes)),
            ("message.timestamp.type", "CreateTime"),
            ("cleanup.policy", Self.policy(configuration)),
            ("retention.ms", configuration.retentionTime.map { String(max(1, $0.milliseconds)) } ?? "-1"),
            ("retention.bytes", String(Self.bytesPerPartition(configuration) ?? -1)),
        ]
        if configuration.isCompacted { settings.append(("delete.retention.ms", String(tombstones.milliseconds))) }
        return settings
    }

    /// A record that does not count must not take the valid one before it along before somebody writes that again.
    static func keepingHistory(of name: TopicName?) -> [(String, String)] {
        guard let name, name.showsHistory else { return [] }
        return [("min.compaction.lag.ms", String(Limits.Kafka.controlCompactionLag.milliseconds))]
    }

    static let ledger: [(String, String)] = [
        ("cleanup.policy", "compact"), ("min.compaction.lag.ms", "0"), ("min.cleanable.dirty.ratio", "0.1"),
        ("segment.bytes", String(Limits.Kafka.ledgerSegmentBytes)), ("retention.ms", "-1"), ("retention.bytes", "-1"),
        ("max.message.bytes", String(Limits.recordBytes + Limits.Kafka.recordSlackBytes)),
        ("delete.retention.ms", String(Limits.Kafka.tombstoneTime.milliseconds)),
    ]

    /// Of `apus.keys`: nothing is read there but what may still be repeated.
    static let keys: [(String, String)] = [
        ("cleanup.policy", "delete"), ("retention.ms", String(Limits.Kafka.keysKept.milliseconds)),
        ("segment.ms", String(Limits.Kafka.keysKept.milliseconds / 6)), ("message.timestamp.type", "CreateTime"),
        ("max.message.bytes", String(Limits.recordBytes + Limits.Kafka.recordSlackBytes)),
    ]

    private static func policy(_ configuration: TopicConfiguration) -> String {
        guard configuration.isCompacted else { return "delete" }
        return configuration.retentionTime == nil && configuration.retentionBytes == nil ? "compact" : "compact,delete"
    }

    /// Kafka bounds each partition: all of them together may hold what the topic may.
    private static func bytesPerPartition(_ configuration: TopicConfiguration) -> Int64? {
        configuration.retentionBytes.map {
            ($0 + Int64(configuration.partitions) - 1) / Int64(max(1, configuration.partitions))
        }
    }

    /// What of a topic that Apus made is no longer as it was made, by the name of the setting. Retention may be changed by whoever runs
    /// the cluster; what nothing may be lost by, or too large, may not.
    static func differences(_ found: [String: String], _ wanted: [(String, String)]) -> [String] {
        let free: Set<String> = ["retention.ms", "retention.bytes", "delete.retention.ms", "segment.bytes"]
        return wanted.compactMap { name, value in
            guard !free.contains(name), let now = found[name], now != value else { return nil }
            // More room than was asked for harms nobody.
            if name == "max.message.bytes", let now = Int(now), let value = Int(value), now >= value { return nil }
            return "\(name) is \(now), not \(value)"
        }
    }

    /// What a topic's settings mean here.
    /// - Parameter noted: the configuration it was made with, which holds until somebody changes the settings on the cluster.
    static func configuration(_ settings: [String: String], partitions: Int, noted: TopicConfiguration?)
        -> TopicConfiguration
    {
        var found = TopicConfiguration(partitions: partitions)
        let policies = (settings["cleanup.policy"] ?? "delete").split(separator: ",")
        found.isCompacted = policies.contains("compact")
        if policies.contains("delete") {
            if let time = settings["retention.ms"].flatMap({ Int64($0) }), time > 0 {
                // Longer than a time span can say is for ever.
                found.retentionTime = time < Int64.max / 1_000 ? .milliseconds(time) : nil
            }
            if let bytes = settings["retention.bytes"].flatMap({ Int64($0) }), bytes >= 0 {
                found.retentionBytes = bytes.multipliedReportingOverflow(by: Int64(partitions)).partialValue
            }
        }
        if let noted, noted.partitions == partitions, noted.isCompacted == found.isCompacted,
            Self.bytesPerPartition(noted) == Self.bytesPerPartition(found),
            noted.retentionTime.map({ max(1, $0.milliseconds) }) == found.retentionTime?.milliseconds
        {
            return noted
        }
        return found
    }

    // MARK: the noted configuration

    static func encode(_ configuration: TopicConfiguration) -> [UInt8] {
        var bytes: [UInt8] = [1]
        bytes.appendLittleEndian(Int64(configuration.partitions))
        bytes.appendLittleEndian(configuration.retentionTime?.microseconds ?? -1)
        bytes.appendLittleEndian(configuration.retentionBytes ?? -1)
        bytes.append(configuration.isCompacted ? 1 : 0)
        return bytes
    }

    static func decode(_ bytes: [UInt8]) -> TopicConfiguration? {
        guard bytes.count == 26, bytes[0] == 1 else { return nil }
        let span = bytes.span.bytes
        let time = span.littleEndian(at: 9, as: Int64.self)
        let size = span.littleEndian(at: 17, as: Int64.self)
        return TopicConfiguration(
            partitions: Int(span.littleEndian(at: 1, as: Int64.self)),
            retentionTime: time < 0 ? nil : .microseconds(time), retentionBytes: size < 0 ? nil : size,
            isCompacted: bytes[25] == 1)
    }
}

extension TopicName {
    /// Topics whose readers tell which record of a key counts: the newest may be one that nobody of this cluster wrote.
    var showsHistory: Bool { self == .control || self == .schedule }
}
