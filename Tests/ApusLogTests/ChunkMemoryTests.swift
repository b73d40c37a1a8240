import ApusCore
import Testing

@testable import ApusLog

@Suite("Memory of chunks")
struct ChunkMemoryTests {
    private static func fill(_ memory: ChunkMemory, _ count: Int, by step: Int, of byte: UInt8) {
        let bytes = [UInt8](repeating: byte, count: step)
        for _ in 0..<count / step { bytes.withUnsafeBytes { memory.append($0) } }
    }

    @Test("what is filled step by step is there, whatever the size", arguments: [1_000, 100_000, 1_200_000, 3_000_000])
    func sizes(_ size: Int) {
        let memory = ChunkMemory()
        Self.fill(memory, size, by: 1_000, of: 1)
        memory.trim()
        #expect(memory.count == size)
        #expect(memory[0..<size].allSatisfy { $0 == 1 })
    }

    @Test("a large chunk leaves its block to the next, which holds nothing of it")
    func reuse() {
        let blocks = ChunkBlocks.shared
        func fillOne(_ byte: UInt8) {
            let memory = ChunkMemory()
            Self.fill(memory, Limits.Kafka.catchUpBytes, by: 4_096, of: byte)
            memory.trim()
            #expect(memory[0..<memory.count].allSatisfy { $0 == byte })
        }
        fillOne(1)
        #expect(blocks.count > 0)
        fillOne(2)
    }

    @Test("no more blocks wait than may")
    func theBound() {
        do {
            let many = (0..<Limits.Kafka.chunkBlocks + 4).map { _ in ChunkMemory() }
            for memory in many { Self.fill(memory, Limits.Kafka.catchUpBytes, by: 65_536, of: 3) }
        }
        #expect(ChunkBlocks.shared.count == Limits.Kafka.chunkBlocks)
    }
}
