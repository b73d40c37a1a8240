internal import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// Writes a backup: the bytes of one part after the other.
public struct BackupEncoder: Sendable {
    private var sum = [UInt8](repeating: 0, count: SHA256.byteCount)
    private var isStarted = false
    /// What was written so far; it stands in the end.
    public private(set) var counts = BackupCounts()

    public init() {}

    public mutating func encode(_ part: BackupPart) -> [UInt8] {
        let (kind, contents) = Self.contents(part)
        self.counts.add(part)
        var block: [UInt8] = []
        block.reserveCapacity(BackupFormat.blockHeadBytes + contents.count + SHA256.byteCount)
        block.appendLittleEndian(UInt32(contents.count))
        block.append(kind.rawValue)
        block.append(contentsOf: [0, 0, 0])
        block.append(contentsOf: contents)
        self.sum = BackupFormat.sum(after: self.sum, block)
        block.append(contentsOf: self.sum)
        defer { self.isStarted = true }
        return self.isStarted ? block : BackupFormat.start + block
    }

    private static func contents(_ part: BackupPart) -> (BackupFormat.Kind, [UInt8]) {
        switch part {
        case .head(let head): return (.head, Self.json(head).encoded())
        case .topic(let topic): return (.topic, Self.json(topic).encoded())
        case .end(let counts): return (.end, Self.json(counts).encoded())
        case .failure(let error):
            let json: JSONValue = ["code": .string(error.code.rawValue), "message": .string(error.message)]
            return (.failure, json.encoded())
        case .entries(let entries):
            var bytes: [UInt8] = [UInt8(truncatingIfNeeded: entries.table.utf8.count)] + Array(entries.table.utf8)
            for entry in entries.entries {
                bytes.appendLittleEndian(UInt32(entry.key.count))
                bytes.appendLittleEndian(UInt32(entry.value.count))
                bytes.append(contentsOf: entry.key)
                bytes.append(contentsOf: entry.value)
            }
            return (.entries, bytes)
        case .records(let topic, let partition, let records):
            var bytes: [UInt8] = []
            bytes.reserveCapacity(8 + records.reduce(0) { $0 + 12 + $1.block.count })
            bytes.appendLittleEndian(UInt32(topic))
            bytes.appendLittleEndian(UInt32(partition))
            for record in records {
                bytes.appendLittleEndian(record.offset)
                bytes.appendLittleEndian(UInt32(record.block.count))
                bytes.append(contentsOf: record.block)
            }
            return (.records, bytes)
        case .bundle(let hash, let isLast, let piece):
            return (.bundle, (Hex.decode(hash) ?? []) + [isLast ? 1 : 0] + piece)
        }
    }

    private static func json(_ head: BackupHead) -> JSONValue {
        ["created": .string(RFC3339.format(head.created)), "log": .string(hexadecimal(head.log))]
    }

    private static func json(_ topic: LogCopyTopic) -> JSONValue {
        let configuration = topic.configuration
        return [
            "name": .string(topic.name.onLog), "compacted": .boolean(configuration.isCompacted),
            "retentionTime": configuration.retentionTime.map { .integer($0.microseconds) } ?? .null,
            "retentionBytes": configuration.retentionBytes.map { .integer($0) } ?? .null,
            "partitions": .array(
                topic.partitions.map { partition in
                    [
                        "start": .integer(partition.bounds.start), "end": .integer(partition.bounds.end),
                        "last": .integer(partition.lastTimestamp.microseconds),
                    ]
                }),
        ]
    }

    private static func json(_ counts: BackupCounts) -> JSONValue {
        [
            "topics": .number(counts.topics), "entries": .number(counts.entries), "records": .number(counts.records),
            "bundles": .number(counts.bundles), "bytes": .number(counts.bytes),
        ]
    }
}
