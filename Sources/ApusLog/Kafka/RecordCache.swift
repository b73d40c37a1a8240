internal import ApusCore
internal import Synchronization

/// Bounds what all partitions hold in memory together: whoever took a chunk in first lets one go first.
final class RecordCache: Sendable {
    private struct Content {
        var bytes = 0
        /// Each stands for one chunk of the partition.
        var order: Deque<KafkaPartition> = Deque()
    }

    private let bytesMax: Int
    private let content = Mutex(Content())

    init(bytesMax: Int) { self.bytesMax = bytesMax }

    var bytes: Int { self.content.withLock { $0.bytes } }

    /// What a partition's map took in and let go. Not while the partition's lock is held: it is taken here.
    func note(_ change: ChunkMap.Change, of partition: KafkaPartition) {
        self.content.withLock { content in
            for chunk in change.removed { content.bytes -= chunk.byteCount }
            if let added = change.added {
                content.bytes += added.byteCount
                // One that was joined with its neighbour took that one's place.
                if change.removed.isEmpty { content.order.append(partition) }
            }
            while content.bytes > self.bytesMax, content.order.count > 1, let oldest = content.order.popFirst() {
                if let chunk = oldest.forgetFirst() { content.bytes -= chunk.byteCount }
            }
        }
    }
}
