internal import ApusCore
internal import Glibc
internal import Synchronization

/// Blocks of memory that chunks leave for the next ones. Memory that comes from the system anew is cleared page by page, which costs as
/// much as copying a record into it.
final class ChunkBlocks: Sendable {
    static let shared = ChunkBlocks()

    private struct Spares: @unchecked Sendable {
        // SAFETY: each block is in one place: here, behind the mutex, or with the chunk that took it.
        var blocks: [UnsafeMutableRawPointer] = []
    }

    private let spares = Mutex(Spares())

    deinit { self.spares.withLock { for block in $0.blocks { free(block) } } }

    var count: Int { self.spares.withLock { $0.blocks.count } }

    /// - Returns: nil when there is no memory.
    func take() -> UnsafeMutableRawPointer? {
        self.spares.withLock { $0.blocks.popLast() } ?? malloc(Limits.Kafka.chunkBlockBytes)
    }

    func give(_ block: UnsafeMutableRawPointer) {
        let isKept = self.spares.withLock { spares in
            guard spares.blocks.count < Limits.Kafka.chunkBlocks else { return false }
            spares.blocks.append(block)
            return true
        }
        if !isKept { free(block) }
    }
}
