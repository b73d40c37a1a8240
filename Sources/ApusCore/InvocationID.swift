/// The identity of one invocation, 128 bits, written as 32 hexadecimal digits.
///
/// Attempts of one delivery share it: it is made from the log's identity and the place of the delivery, so that a restart gives
/// the same. A direct invocation's is random.
public struct InvocationID: Sendable, Hashable, CustomStringConvertible {
    public let high: UInt64
    public let low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public init?(_ text: String) {
        let digits = Array(text.utf8)
        guard digits.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16),
            digits[0] != UInt8(ascii: "+"), digits[16] != UInt8(ascii: "+")
        else { return nil }
        self.init(high: high, low: low)
    }

    public var description: String {
        String(unsafeUninitializedCapacity: 32) { digits in
            writeHexadecimal(self.high, to: UnsafeMutableBufferPointer(rebasing: digits[..<16]))
            writeHexadecimal(self.low, to: UnsafeMutableBufferPointer(rebasing: digits[16..<32]))
            return 32
        }
    }
}
