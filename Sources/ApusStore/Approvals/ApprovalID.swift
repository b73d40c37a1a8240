internal import ApusCore
internal import ApusCrypto

/// Names one approval: 64 random bits, written as 16 hexadecimal digits. Whoever knows it may do nothing by that alone.
public struct ApprovalID: Sendable, Hashable, Comparable, CustomStringConvertible {
    public let number: UInt64

    public init(number: UInt64) { self.number = number }

    public static func random() -> ApprovalID {
        ApprovalID(number: Random.bytes(8).span.bytes.littleEndian(at: 0, as: UInt64.self))
    }

    /// - Returns: nil when `text` is no such id.
    public init?(_ text: String) {
        guard text.utf8.count == 16, text == text.lowercased(), text.first != "+",
            let number = UInt64(text, radix: 16)
        else { return nil }
        self.init(number: number)
    }

    public var description: String { hexadecimal(self.number) }

    public static func < (left: ApprovalID, right: ApprovalID) -> Bool { left.number < right.number }
}
