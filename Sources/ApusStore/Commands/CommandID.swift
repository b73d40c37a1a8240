internal import ApusCore
internal import ApusCrypto

/// Names one command for ever: however often it is asked under one id, it is decided once. 128 random bits, written as 32
/// hexadecimal digits; whoever asks makes it.
public struct CommandID: Sendable, Hashable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public static func random() -> CommandID {
        let bytes = Random.bytes(16)
        let span = bytes.span.bytes
        return CommandID(
            high: span.littleEndian(at: 0, as: UInt64.self), low: span.littleEndian(at: 8, as: UInt64.self))
    }

    /// - Returns: nil when `text` is no such id.
    public init?(_ text: String) {
        guard let id = InvocationID(text) else { return nil }
        self.init(high: id.high, low: id.low)
    }

    public var description: String { hexadecimal(self.high) + hexadecimal(self.low) }
}
