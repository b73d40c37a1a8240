internal import Glibc

/// A file descriptor with one owner, closed exactly once.
public struct OwnedDescriptor: ~Copyable, Sendable {
    public let rawValue: CInt

    public init(adopting rawValue: CInt) {
        precondition(rawValue >= 0)
        self.rawValue = rawValue
    }

    /// Gives up ownership without closing.
    public consuming func release() -> CInt {
        let descriptor = self.rawValue
        discard self
        return descriptor
    }

    deinit { _ = Glibc.close(self.rawValue) }
}
