public import ApusCore
internal import ApusCrypto
internal import ApusJSON

/// Reads a backup as its bytes come, and believes none of them: give bytes, take parts, and ask at the end whether it was whole.
public struct BackupDecoder: Sendable {
    private var bytes: [UInt8] = []
    private var at = 0
    /// Of the whole, where `at` is.
    private var position = 0
    private var sum = [UInt8](repeating: 0, count: SHA256.byteCount)
    private var isStarted = false
    private var isEnded = false
    private var stage = 0
    /// What was read so far.
    public private(set) var counts = BackupCounts()

    public init() {}

    public mutating func append(_ bytes: [UInt8]) {
        if self.at > 0 {
            self.bytes.removeFirst(self.at)
            self.at = 0
        }
        self.bytes.append(contentsOf: bytes)
    }

    /// The next part; nil when more bytes are needed for it.
    /// - Throws: `backup_format` for a backup of another version, `backup_invalid` for anything else that is wrong.
    public mutating func next() throws(ApusError) -> BackupPart? {
        guard try self.start() else { return nil }
        let available = self.bytes.count - self.at
        guard available > 0 else { return nil }
        guard !self.isEnded else { throw self.invalid("bytes follow its end") }
        guard available >= BackupFormat.blockHeadBytes else { return nil }
        let length = Int(self.bytes.span.bytes.littleEndian(at: self.at, as: UInt32.self))
        guard length <= Limits.Backup.blockBytes, let kind = BackupFormat.Kind(rawValue: self.bytes[self.at + 4]),
            self.bytes[self.at + 5..<self.at + 8].allSatisfy({ $0 == 0 })
        else { throw self.invalid("there is no such block") }
        let end = self.at + BackupFormat.blockHeadBytes + length
        guard end + SHA256.byteCount <= self.bytes.count else { return nil }
        let sum = BackupFormat.sum(after: self.sum, Array(self.bytes[self.at..<end]))
        guard sum.elementsEqual(self.bytes[end..<end + SHA256.byteCount]) else {
            throw self.invalid("the checksum of a block is wrong")
        }
        let contents = Array(self.bytes[self.at + BackupFormat.blockHeadBytes..<end])
        let part = try self.part(kind, contents)
        try self.check(kind, part)
        self.sum = sum
        self.position += end + SHA256.byteCount - self.at
        self.at = end + SHA256.byteCount
        return part
    }

    /// - Throws: `backup_invalid` unless the backup was read to its end.
    public func finish() throws(ApusError) {
        guard self.isEnded, self.at == self.bytes.count else {
            throw self.invalid("it ends there, and is not complete: it was cut, or its writer was interrupted")
        }
    }

    private mutating func start() throws(ApusError) -> Bool {
        if self.isStarted { return true }
        let known = min(self.bytes.count, BackupFormat.magic.count)
        guard self.bytes[..<known].elementsEqual(BackupFormat.magic[..<known]) else {
            throw ApusError(
                .backupInvalid, "this is no backup: it does not begin as one; give a file that `apus backup` wrote")
        }
        guard self.bytes.count >= BackupFormat.startBytes else { return false }
        let version = self.bytes.span.bytes.littleEndian(at: BackupFormat.magic.count, as: UInt32.self)
        guard version == BackupFormat.version else {
            throw ApusError(
                .backupFormat,
                "the backup has the format \(version); this version reads \(BackupFormat.version): restore it with the "
                    + "version that wrote it, or a newer one")
        }
        self.at = BackupFormat.startBytes
        self.position = BackupFormat.startBytes
        self.isStarted = true
        return true
    }

    /// The order of parts, and at the end whether all have come.
    private mutating func check(_ kind: BackupFormat.Kind, _ part: BackupPart) throws(ApusError) {
        let isInOrder = kind == .head ? self.stage == 0 : self.stage > 0 && Int(kind.rawValue) >= self.stage
        guard isInOrder else { throw self.invalid("its parts are not in order") }
        self.stage = max(Int(kind.rawValue), 1)
        self.counts.add(part)
        guard case .end(let counts) = part else { return }
        guard counts == self.counts else { throw self.invalid("its end names other parts than there are") }
        self.isEnded = true
    }

    private func part(_ kind: BackupFormat.Kind, _ contents: [UInt8]) throws(ApusError) -> BackupPart {
        switch kind {
        case .head, .topic, .end, .failure:
            let json: JSONValue
            do throws(ApusError) { json = try JSONValue.parse(contents) } catch {
                throw self.invalid("a block is no JSON")
            }
            guard let part = Self.part(kind, json) else { throw self.invalid("a block lacks what it must say") }
            return part
        case .entries, .records, .bundle:
            guard let part = Self.part(kind, contents) else { throw self.invalid("a block contradicts itself") }
            return part
        }
    }

    private func invalid(_ what: String) -> ApusError {
        ApusError(
            .backupInvalid,
            "the backup is damaged at byte \(self.position) (\(what)): use another one; nothing was changed")
    }

    // MARK: contents

    private static func part(_ kind: BackupFormat.Kind, _ json: JSONValue) -> BackupPart? {
        switch kind {
        case .head:
            guard let created = json["created"]?.string.flatMap(RFC3339.parse),
                let log = json["log"]?.string.flatMap({ UInt64($0, radix: 16) })
            else { return nil }
            return .head(BackupHead(created: created, log: log))
        case .topic: return Self.topic(json).map { .topic($0) }
        case .end:
            var counts = BackupCounts()
            guard let topics = json["topics"]?.integer, let entries = json["entries"]?.integer,
                let records = json["records"]?.integer, let bundles = json["bundles"]?.integer,
                let bytes = json["bytes"]?.integer
            else { return nil }
            counts.topics = Int(topics)
            counts.entries = Int(entries)
            counts.records = Int(records)
            counts.bundles = Int(bundles)
            counts.bytes = Int(bytes)
            return .end(counts)
        case .failure:
            guard let message = json["message"]?.string else { return nil }
            let code = json["code"]?.string.flatMap(ErrorCode.init(rawValue:)) ?? .internal
            return .failure(ApusError(code, message))
        case .entries, .records, .bundle: return nil
        }
    }

    private static func topic(_ json: JSONValue) -> LogCopyTopic? {
        guard let name = json["name"]?.string.flatMap(TopicName.init(onLog:)),
            let isCompacted = json["compacted"]?.boolean, let list = json["partitions"]?.array
        else { return nil }
        var partitions: [LogCopyTopic.Partition] = []
        for element in list {
            guard let start = element["start"]?.integer, let end = element["end"]?.integer,
                let last = element["last"]?.integer
            else { return nil }
            partitions.append(
                LogCopyTopic.Partition(
                    bounds: OffsetBounds(start: start, end: end), lastTimestamp: Timestamp(microseconds: last)))
        }
        return LogCopyTopic(
            name: name,
            configuration: TopicConfiguration(
                partitions: partitions.count,
                retentionTime: json["retentionTime"]?.integer.map { TimeSpan(microseconds: $0) },
                retentionBytes: json["retentionBytes"]?.integer, isCompacted: isCompacted),
            partitions: partitions)
    }

    private static func part(_ kind: BackupFormat.Kind, _ contents: [UInt8]) -> BackupPart? {
        var reader = BackupReader(contents)
        switch kind {
        case .entries:
            guard let length = reader.bytes(1)?.first, let name = reader.bytes(Int(length)) else { return nil }
            var entries: [(key: [UInt8], value: [UInt8])] = []
            while !reader.isAtEnd {
                guard let keyCount = reader.number(), let valueCount = reader.number(),
                    let key = reader.bytes(keyCount),
                    let value = reader.bytes(valueCount)
                else { return nil }
                entries.append((key, value))
            }
            return .entries(LogCopyEntries(table: String(decoding: name, as: UTF8.self), entries: entries))
        case .records:
            guard let topic = reader.number(), let partition = reader.number() else { return nil }
            var records: [(offset: Offset, block: [UInt8])] = []
            while !reader.isAtEnd {
                guard let offset = reader.offset(), let count = reader.number(), let block = reader.bytes(count) else {
                    return nil
                }
                records.append((offset, block))
            }
            return .records(topic: topic, partition: partition, records)
        case .bundle:
            guard let hash = reader.bytes(SHA256.byteCount), let last = reader.bytes(1)?.first, last <= 1 else {
                return nil
            }
            return .bundle(hash: Hex.encode(hash), isLast: last == 1, reader.rest())
        case .head, .topic, .end, .failure: return nil
        }
    }
}

/// Takes numbers and runs of bytes off the front of a block's contents.
private struct BackupReader {
    private let contents: [UInt8]
    private var at = 0

    init(_ contents: [UInt8]) { self.contents = contents }

    var isAtEnd: Bool { self.at == self.contents.count }

    mutating func bytes(_ count: Int) -> [UInt8]? {
        guard count >= 0, count <= self.contents.count - self.at else { return nil }
        defer { self.at += count }
        return Array(self.contents[self.at..<self.at + count])
    }

    mutating func number() -> Int? {
        guard self.contents.count - self.at >= 4 else { return nil }
        defer { self.at += 4 }
        return Int(self.contents.span.bytes.littleEndian(at: self.at, as: UInt32.self))
    }

    mutating func offset() -> Offset? {
        guard self.contents.count - self.at >= 8 else { return nil }
        defer { self.at += 8 }
        return self.contents.span.bytes.littleEndian(at: self.at, as: Int64.self)
    }

    mutating func rest() -> [UInt8] {
        defer { self.at = self.contents.count }
        return Array(self.contents[self.at...])
    }
}
