public import ApusCore
internal import ApusCrypto

/// Tells the records that nodes of this cluster wrote from everything else on a control topic: an HMAC over topic, partition, key,
/// headers and value, in a header of the record, under a key made of the key file's.
///
/// Kafka lets whoever may write to a topic write anything; embedded logs are the server's own files and need none of this.
public struct RecordSeal: Sendable {
    /// `1:<key id>:<64 hexadecimal digits>`.
    public static let header = "apus-mac"

    public enum Verdict: Sendable, Equatable {
        case valid
        /// Nobody sealed it: a foreign producer, or a version from before there were seals.
        case unsealed
        /// Under a key that this node does not hold.
        case unknownKey(String)
        /// Changed, or from another place.
        case forged
    }

    private struct Key: Sendable {
        var id: String
        var bytes: [UInt8]
    }

    /// The oldest first; the last seals.
    private let keys: [Key]

    public init(_ keys: MasterKeys) {
        self.keys = keys.derived(for: "apus control records 1").map { Key(id: $0.id, bytes: $0.bytes) }
    }

    /// Whether records of a topic are sealed: all by which nodes tell each other what to do, and what they charge for.
    public static func covers(_ topic: TopicName) -> Bool {
        topic == .control || topic == .schedule || topic == .commands || topic == .answers || topic == .usage
            || topic == .nodes || topic == .calls
    }

    /// The record with its seal; one that it had is replaced.
    public func seal(_ event: Event, on place: TopicPartition) -> Event {
        var event = event
        event.attributes.removeAll { $0.kind == .header && $0.name == Self.header }
        guard let key = self.keys.last else { return event }
        let mac = HMAC.sha256(Self.message(event, place), key: key.bytes)
        event.attributes.append(Attribute(Self.header, "1:\(key.id):\(Hex.encode(mac))", kind: .header))
        return event
    }

    public func verify(_ event: Event, on place: TopicPartition) -> Verdict {
        let seals = event.attributes.filter { $0.kind == .header && $0.name == Self.header }
        guard let seal = seals.first else { return .unsealed }
        let parts = seal.text.split(separator: ":", omittingEmptySubsequences: false)
        guard seals.count == 1, parts.count == 3, parts[0] == "1", let mac = Hex.decode(String(parts[2])) else {
            return .forged
        }
        guard let key = self.keys.last(where: { $0.id == parts[1] }) else {
            return .unknownKey(String(parts[1].prefix(16)))
        }
        var bare = event
        bare.attributes.removeAll { $0.kind == .header && $0.name == Self.header }
        let expected = HMAC.sha256(Self.message(bare, place), key: key.bytes)
        return ConstantTime.areEqual(expected, mac) ? .valid : .forged
    }

    /// Whether a record that verifies is sealed under the key that seals now.
    public func isNewest(_ event: Event) -> Bool {
        let seal = event.attributes.first { $0.kind == .header && $0.name == Self.header }
        guard let seal, let key = self.keys.last else { return false }
        return seal.text.hasPrefix("1:\(key.id):")
    }

    /// What is sealed, with the length of every part before it, so that no two records read the same. The time is the log's.
    private static func message(_ event: Event, _ place: TopicPartition) -> [UInt8] {
        var bytes = Array("apus record 1\n".utf8)
        func append(_ part: [UInt8]?) {
            bytes.appendLittleEndian(part.map { Int64($0.count) } ?? -1)
            bytes += part ?? []
        }
        append(Array(place.topic.onLog.utf8))
        bytes.appendLittleEndian(Int64(place.partition))
        append(event.key)
        // Kafka's headers come back in the order of the attributes, but nothing here needs to rest on that.
        let attributes = event.attributes.sorted {
            ($0.kind.rawValue, $0.name) != ($1.kind.rawValue, $1.name)
                ? ($0.kind.rawValue, $0.name) < ($1.kind.rawValue, $1.name)
                : $0.value.lexicographicallyPrecedes($1.value)
        }
        bytes.appendLittleEndian(Int64(attributes.count))
        for attribute in attributes {
            bytes.append(attribute.kind.rawValue)
            append(Array(attribute.name.utf8))
            append(attribute.value)
        }
        append(event.data)
        return bytes
    }
}
