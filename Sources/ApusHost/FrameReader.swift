internal import ApusCore
internal import Glibc

/// Bytes from a worker, cut into frames in place. One buffer for the life of the channel; frames are lent, never
/// copied.
///
/// The owner calls ``release()`` once at the end.
struct FrameReader {
    enum Read: Equatable {
        /// Bytes came; there may be more.
        case some
        case nothing
        case closed
    }

    private var storage: UnsafeMutableRawBufferPointer
    private var start = 0
    private var end = 0

    init(capacity: Int = Limits.Host.readBufferBytes) {
        self.storage = .allocate(byteCount: capacity, alignment: 16)
    }

    mutating func release() {
        self.storage.deallocate()
        self.storage = UnsafeMutableRawBufferPointer(start: nil, count: 0)
        self.start = 0
        self.end = 0
    }

    /// Whether a part of a frame waits for its rest.
    var hasPart: Bool { self.start < self.end }

    private var waiting: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: self.storage[self.start..<self.end]) }

    /// That of the frame at the front, once it has come.
    private func header() throws(FrameError) -> FrameHeader? {
        let waiting = self.waiting
        return waiting.count >= FrameHeader.byteCount ? try FrameHeader(parsing: waiting.bytes) : nil
    }

    /// Whether as much as is read at a time is missing of the frame whose beginning is there.
    private var isWithinLarge: Bool {
        // A header that is wrong is found when its frame is cut.
        guard let header = try? self.header() else { return false }
        return FrameHeader.byteCount + header.length - self.waiting.count >= Limits.Host.gatheredBytes
    }

    /// Reads once: of small frames so much that the worker works on the next while these are handled, of large ones all there is room for.
    mutating func fill(from descriptor: CInt) -> Read {
        if self.start == self.end {
            self.start = 0
            self.end = 0
        } else if self.storage.count - self.start < Limits.frameBytes, let base = self.storage.baseAddress {
            // The part of a frame at the end moves to the front, or its rest would not fit.
            memmove(base, base + self.start, self.end - self.start)
            self.end -= self.start
            self.start = 0
        }
        var room = self.storage.count - self.end
        if !self.isWithinLarge { room = min(room, Limits.Host.gatheredBytes) }
        while true {
            let count = Glibc.read(descriptor, self.storage.baseAddress.map { $0 + self.end }, room)
            if count < 0 {
                if errno == EINTR { continue }
                return errno == EAGAIN ? .nothing : .closed
            }
            self.end += count
            return count == 0 ? .closed : .some
        }
    }

    /// Takes the bytes of a test or a fuzzer in place of a descriptor's.
    /// - Returns: how many there was room for.
    mutating func fill(with bytes: UnsafeRawBufferPointer) -> Int {
        if self.start > 0, let base = self.storage.baseAddress {
            memmove(base, base + self.start, self.end - self.start)
            self.end -= self.start
            self.start = 0
        }
        let count = min(bytes.count, self.storage.count - self.end)
        UnsafeMutableRawBufferPointer(rebasing: self.storage[self.end..<self.end + count])
            .copyMemory(from: UnsafeRawBufferPointer(rebasing: bytes[..<count]))
        self.end += count
        return count
    }

    /// The next whole frame, or nil when its end has not come yet. The payload is lent until the next call of
    /// ``fill(from:)``.
    mutating func next() throws(FrameError) -> (header: FrameHeader, payload: UnsafeRawBufferPointer)? {
        guard let header = try self.header() else { return nil }
        let waiting = self.waiting
        let size = FrameHeader.byteCount + header.length
        guard size <= waiting.count else { return nil }
        self.start += size
        return (header, UnsafeRawBufferPointer(rebasing: waiting[FrameHeader.byteCount..<size]))
    }
}
