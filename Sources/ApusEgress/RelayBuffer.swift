internal import ApusCore
internal import Glibc

/// What came from one side and has not gone to the other. Of one size for ever: a side that does not read holds up the other.
final class RelayBuffer {
    private let memory = UnsafeMutableRawBufferPointer.allocate(byteCount: Limits.Egress.bufferBytes, alignment: 16)
    private var start = 0
    private var end = 0

    deinit { self.memory.deallocate() }

    var isEmpty: Bool { self.start == self.end }
    var hasRoom: Bool { self.start > 0 || self.end < self.memory.count }

    /// What waits, from the first byte.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self.memory[self.start..<self.end]) }

    /// Where the next bytes go.
    var room: UnsafeMutableRawBufferPointer {
        if self.start > 0 {
            let count = self.end - self.start
            if count > 0, let base = self.memory.baseAddress { memmove(base, base + self.start, count) }
            self.start = 0
            self.end = count
        }
        return UnsafeMutableRawBufferPointer(rebasing: self.memory[self.end...])
    }

    func filled(_ count: Int) { self.end += count }

    func drained(_ count: Int) {
        self.start += count
        if self.start == self.end {
            self.start = 0
            self.end = 0
        }
    }

    /// Of bytes that fit.
    func append(_ bytes: some Collection<UInt8>) {
        let room = self.room
        precondition(bytes.count <= room.count, "what a buffer is given fits into it")
        room.copyBytes(from: bytes)
        self.filled(bytes.count)
    }
}
