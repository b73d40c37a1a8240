/// Names one replay: the moment it was made, in microseconds since 1970, written with digits and small letters. Never used again,
/// and later ones sort behind.
public struct ReplayID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let number: UInt64

    public init(number: UInt64) { self.number = number }

    /// - Returns: nil when `text` is no such id.
    public init?(_ text: String) {
        guard (1...13).contains(text.utf8.count), text == text.lowercased(), text.first != "+",
            let number = UInt64(text, radix: 36)
        else { return nil }
        self.init(number: number)
    }

    public var description: String { String(self.number, radix: 36) }

    public static func < (left: ReplayID, right: ReplayID) -> Bool { left.number < right.number }
}
