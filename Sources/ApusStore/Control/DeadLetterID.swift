public import ApusCore

/// Names one dead letter: the log it is on, and the topic, partition and offset of its record there.
///
/// Written `<log identity, 16 hexadecimal digits>-<topic>-<partition>-<offset>`, which needs no escaping in a URL.
public struct DeadLetterID: Sendable, Hashable, CustomStringConvertible {
    public let logIdentity: UInt64
    public let topic: TopicName
    public let partition: Int
    public let offset: Offset

    public init(logIdentity: UInt64, topic: TopicName, partition: Int, offset: Offset) {
        self.logIdentity = logIdentity
        self.topic = topic
        self.partition = partition
        self.offset = offset
    }

    /// - Returns: nil when `text` is no such id.
    public init?(_ text: String) {
        // The topic may hold hyphens, so the numbers are taken from both ends.
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count >= 4, parts[0].utf8.count == 16, let identity = UInt64(parts[0], radix: 16),
            parts[0].first != "+",
            let partition = Self.number(parts[parts.count - 2]), partition < Limits.partitionsPerTopic,
            let offset = Self.number(parts[parts.count - 1]),
            let topic = TopicName(onLog: parts[1..<parts.count - 2].joined(separator: "-"))
        else { return nil }
        self.init(logIdentity: identity, topic: topic, partition: Int(partition), offset: offset)
    }

    public var description: String {
        "\(hexadecimal(self.logIdentity))-\(self.topic)-\(self.partition)-\(self.offset)"
    }

    private static func number(_ text: Substring) -> Int64? {
        guard text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) else { return nil }
        return Int64(text)
    }
}
