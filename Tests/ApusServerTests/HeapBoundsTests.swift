import ApusCore
import ApusLoop
import ApusTelemetry
import CShims
import Glibc
import Testing

@testable import ApusServer

/// In a process of its own each: bounds of an allocator cannot be taken back.
@Suite("What the allocator keeps of freed memory")
struct HeapBoundsTests {
    private static let mebibyte = 1 << 20

    /// Never inlined, or the compiler leaves out what is freed unread.
    @inline(never)
    private static func block(_ count: Int) -> UnsafeMutableRawPointer {
        guard let block = malloc(count) else { preconditionFailure("no memory") }
        return memset(block, 1, count)
    }

    /// Allocates so many MiB in small blocks that lie behind each other at the end of the thread's arena, and frees them.
    /// - Returns: how much more is resident than before.
    private static func allocateAndFree(_ mebibytes: Int) -> Int {
        let before = ProcessUsage.read().residentBytes
        var blocks: [UnsafeMutableRawPointer] = []
        blocks.reserveCapacity(mebibytes * 16)
        for _ in 0..<mebibytes * 16 { blocks.append(Self.block(Self.mebibyte / 16)) }
        for block in blocks.reversed() { free(block) }
        apus_give_back_memory()
        return Int(ProcessUsage.read().residentBytes - before)
    }

    /// What is left of 20 MiB on a thread other than the first, which freed a large block before: that raises glibc's own bounds.
    private static func left() -> Int {
        let (thread, slot) = (WorkThread(), ResultSlot<Int>())
        thread.run {
            free(Self.block(24 * Self.mebibyte))
            // What the runtime makes at the first call must not lie behind the blocks of the second.
            _ = Self.allocateAndFree(1)
            slot.fill(Self.allocateAndFree(20))
        }
        defer { thread.stop() }
        return slot.take()
    }

    @Test("a thread's arena keeps little more than its bound")
    func bounded() async {
        await #expect(processExitsWith: .success) {
            HeapBounds.set()
            let kept = HeapBoundsTests.left()
            precondition(kept < Int(Limits.Heap.keptBytes) + 3 * HeapBoundsTests.mebibyte, "\(kept) bytes were kept")
        }
    }

    @Test("without the bounds it keeps all: what is bounded is real")
    func unbounded() async {
        await #expect(processExitsWith: .success) {
            let kept = HeapBoundsTests.left()
            precondition(kept > 15 * HeapBoundsTests.mebibyte, "only \(kept) bytes were kept")
        }
    }
}
