internal import ApusCore
internal import Glibc

/// The bytes of a chunk: filled at its end, then never changed. A large one is a block of ``ChunkBlocks``, whose pages the system has made
/// already.
final class ChunkMemory: @unchecked Sendable {
    // SAFETY: written only while one builder holds it; once the chunk is made, only read.
    private static let initialBytes = 16 << 10

    private var base: UnsafeMutableRawPointer?
    private var capacity = 0
    private(set) var count = 0

    deinit {
        guard let base = self.base else { return }
        if self.capacity == Limits.Kafka.chunkBlockBytes { ChunkBlocks.shared.give(base) } else { free(base) }
    }

    /// Room for at most `count` bytes behind what is there, of which ``commit(_:)`` says how many were written.
    func room(for count: Int) -> UnsafeMutableRawPointer {
        let needed = self.count + count
        if needed > self.capacity { self.grow(to: needed) }
        guard let base = self.base else { preconditionFailure("memory that was just allocated is there") }
        return base + self.count
    }

    func commit(_ count: Int) {
        precondition(self.count + count <= self.capacity, "what was written had its room")
        self.count += count
    }

    func append(_ bytes: UnsafeRawBufferPointer) {
        guard let source = bytes.baseAddress, !bytes.isEmpty else { return }
        self.room(for: bytes.count).copyMemory(from: source, byteCount: bytes.count)
        self.commit(bytes.count)
    }

    /// Gives back what was not filled: what is kept is what is counted, or a little more of a block.
    func trim() {
        guard self.capacity > self.count, self.count > 0 else { return }
        if self.capacity == Limits.Kafka.chunkBlockBytes, self.count >= self.capacity / 4 * 3 { return }
        self.resize(to: self.count)
    }

    subscript(range: Range<Int>) -> UnsafeRawBufferPointer {
        precondition(range.upperBound <= self.count, "a record lies within its chunk")
        return UnsafeRawBufferPointer(start: self.base.map { $0 + range.lowerBound }, count: range.count)
    }

    private func grow(to needed: Int) {
        let block = Limits.Kafka.chunkBlockBytes
        guard needed > block / 8, needed <= block, let taken = ChunkBlocks.shared.take() else {
            return self.resize(to: max(needed, 2 * self.capacity, Self.initialBytes))
        }
        if let base = self.base {
            taken.copyMemory(from: base, byteCount: self.count)
            free(base)
        }
        self.base = taken
        self.capacity = block
    }

    private func resize(to capacity: Int) {
        guard let base = realloc(self.base, capacity) else { preconditionFailure("no memory for \(capacity) bytes") }
        self.base = base
        self.capacity = capacity
    }
}
