internal import ApusCore
internal import Synchronization

/// Which record of each key is the newest, on a compacted topic: the log's promise that older ones are gone at once, which Kafka keeps
/// only when its cleaner has run.
final class CompactionIndex: Sendable {
    struct Digest: Hashable {
        private let words: (UInt64, UInt64, UInt64, UInt64)

        init(_ key: UnsafeRawBufferPointer) {
            let bytes = KeyDigest.of(key)
            self.words = bytes.withUnsafeBytes {
                (
                    $0.loadUnaligned(fromByteOffset: 0, as: UInt64.self),
                    $0.loadUnaligned(fromByteOffset: 8, as: UInt64.self),
                    $0.loadUnaligned(fromByteOffset: 16, as: UInt64.self),
                    $0.loadUnaligned(fromByteOffset: 24, as: UInt64.self)
                )
            }
        }

        static func == (left: Digest, right: Digest) -> Bool { left.words == right.words }
        func hash(into hasher: inout Hasher) { hasher.combine(self.words.0) }
    }

    private struct Content {
        var next: Offset = 0
        var newest: [Digest: Offset] = [:]
    }

    private let content = Mutex(Content())

    /// As far as the index knows the partition.
    var next: Offset { self.content.withLock { $0.next } }

    func newest(of key: [UInt8]) -> Offset? {
        let digest = key.withUnsafeBytes { Digest($0) }
        return self.content.withLock { $0.newest[digest] }
    }

    /// Takes in records that were read. Those of several readers may come in any order and more than once.
    func note(_ records: [(Digest, Offset)], upTo next: Offset) {
        self.content.withLock { content in
            for (digest, offset) in records where offset > content.newest[digest] ?? -1 {
                content.newest[digest] = offset
            }
            content.next = max(content.next, next)
        }
    }

    /// Whether a record is there for who reads. One without a key, which another producer wrote, always is.
    /// - Parameter buried: tombstones from before this time are gone.
    func shows(_ offset: Offset, _ block: UnsafeRawBufferPointer, buried: Timestamp) -> Bool {
        guard let layout = try? EventLayout(parsing: block.bytes), let key = layout.key else { return true }
        if layout.isNull, layout.timestamp < buried { return false }
        let digest = Digest(UnsafeRawBufferPointer(rebasing: block[key]))
        return self.content.withLock { ($0.newest[digest] ?? offset) <= offset }
    }

    static func digest(_ block: UnsafeRawBufferPointer) -> Digest? {
        guard let layout = try? EventLayout(parsing: block.bytes), let key = layout.key else { return nil }
        return Digest(UnsafeRawBufferPointer(rebasing: block[key]))
    }
}
