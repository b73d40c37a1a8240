internal import ApusCore
internal import Glibc

/// What waits to be written to a worker: one block of memory that is filled at its end and written from its start.
///
/// The owner calls ``release()`` once at the end.
struct OutputBuffer {
    private static let initialBytes = 64 * 1024
    /// A larger block is given back when it has been written.
    private static let keptBytes = 1 << 20

    private var storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
    private var start = 0
    private var end = 0
    /// The pipe did not take everything at the last write.
    private var isBlocked = false

    enum Written: Equatable {
        case everything
        /// The pipe is full.
        case part
        /// Nobody reads any more.
        case closed
    }

    var count: Int { self.end - self.start }
    var isEmpty: Bool { self.start == self.end }

    /// Room for `count` bytes behind what waits; they count as written to the buffer. The pointer holds until the next
    /// call.
    mutating func extend(by count: Int) -> UnsafeMutableRawBufferPointer {
        if self.end + count > self.storage.count { self.grow(by: count) }
        defer { self.end += count }
        return UnsafeMutableRawBufferPointer(rebasing: self.storage[self.end..<self.end + count])
    }

    mutating func append(_ bytes: [UInt8]) {
        let target = self.extend(by: bytes.count)
        bytes.withUnsafeBytes { target.copyMemory(from: $0) }
    }

    /// Writes once enough is gathered, so that whoever reads begins while more is being made. A pipe that was full is asked no more before a flush
    /// found it empty.
    /// - Returns: whether any of it was taken.
    mutating func writeAhead(to descriptor: CInt) -> Bool {
        let waiting = self.count
        guard waiting >= Limits.Host.gatheredBytes, !self.isBlocked else { return false }
        _ = self.flush(to: descriptor)
        return self.count < waiting
    }

    /// Writes as much as the descriptor takes.
    mutating func flush(to descriptor: CInt) -> Written {
        self.isBlocked = true
        while self.start < self.end {
            let written = Glibc.write(
                descriptor, self.storage.baseAddress.map { $0 + self.start }, self.end - self.start)
            if written < 0 {
                switch errno {
                case EINTR: continue
                case EAGAIN: return .part
                default: return .closed
                }
            }
            self.start += written
        }
        self.isBlocked = false
        self.start = 0
        self.end = 0
        if self.storage.count > Self.keptBytes { self.release() }
        return .everything
    }

    mutating func release() {
        self.storage.deallocate()
        self.storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        self.start = 0
        self.end = 0
    }

    private mutating func grow(by count: Int) {
        let waiting = self.count
        var size = max(self.storage.count, Self.initialBytes)
        while size < waiting + count { size *= 2 }
        guard size > self.storage.count else {
            // There is room once what was written is gone from the front.
            let base = self.storage.baseAddress
            if let base { base.copyMemory(from: base + self.start, byteCount: waiting) }
            self.start = 0
            self.end = waiting
            return
        }
        let larger = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 16)
        larger.copyMemory(from: UnsafeRawBufferPointer(rebasing: self.storage[self.start..<self.end]))
        self.storage.deallocate()
        self.storage = larger
        self.start = 0
        self.end = waiting
    }
}
