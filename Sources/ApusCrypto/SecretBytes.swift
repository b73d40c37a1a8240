internal import Glibc

/// Bytes that nobody else may see: one owner, no copies, overwritten when they go.
///
/// Only this memory is looked after. What a caller makes of the bytes while it reads them is its own to look after.
public struct SecretBytes: ~Copyable, @unchecked Sendable {
    // SAFETY: the memory has one owner, which cannot be copied, and is written by `mutating` methods only.
    private let memory: UnsafeMutableRawBufferPointer
    public private(set) var count = 0

    /// Room for so many bytes; nothing in it yet.
    public init(capacity: Int) {
        precondition(capacity >= 0, "a negative number of bytes")
        self.memory = .allocate(byteCount: max(1, capacity), alignment: 16)
    }

    public init(copying bytes: some Collection<UInt8>) {
        self.init(capacity: bytes.count)
        self.memory.copyBytes(from: bytes)
        self.count = bytes.count
    }

    deinit {
        // Not `memset`, which a compiler may leave out for memory that nobody reads again.
        if let base = self.memory.baseAddress { explicit_bzero(base, self.count) }
        self.memory.deallocate()
    }

    public var capacity: Int { self.memory.count }

    /// - Returns: false, and nothing is added, when there is no room.
    public mutating func append(_ bytes: some Collection<UInt8>) -> Bool {
        guard bytes.count <= self.capacity - self.count else { return false }
        UnsafeMutableRawBufferPointer(rebasing: self.memory[self.count...]).copyBytes(from: bytes)
        self.count += bytes.count
        return true
    }

    /// Fills all of the room; the result of `body` is how much of it counts.
    mutating func fill(_ body: (UnsafeMutableRawBufferPointer) -> Int) {
        self.count = self.capacity
        self.count = min(self.capacity, max(0, body(self.memory)))
    }

    public borrowing func withUnsafeBytes<Result: ~Copyable, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(UnsafeRawBufferPointer(rebasing: self.memory[..<self.count]))
    }
}
