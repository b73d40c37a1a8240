internal import ApusCore
internal import Glibc

/// Makes identities of invocations that nobody guesses, many with one question to the kernel.
struct InvocationIDGenerator {
    /// What `getentropy` gives at once.
    static let identitiesAtOnce = 16

    private var words: [UInt64] = []

    mutating func next() -> InvocationID {
        if self.words.count < 2 { self.fill() }
        return InvocationID(high: self.words.removeLast(), low: self.words.removeLast())
    }

    private mutating func fill() {
        self.words = [UInt64](repeating: 0, count: Self.identitiesAtOnce * 2)
        let result = self.words.withUnsafeMutableBytes { getentropy($0.baseAddress, $0.count) }
        // It fails only where the kernel has no such call, and then nothing of this program would work.
        precondition(result == 0, "the kernel gives no random numbers: errno \(errno)")
    }
}
