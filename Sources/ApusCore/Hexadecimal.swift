/// A number as 16 hexadecimal digits, in small letters: how ids write each of their halves.
public func hexadecimal(_ value: UInt64) -> String {
    String(unsafeUninitializedCapacity: 16) { digits in
        writeHexadecimal(value, to: UnsafeMutableBufferPointer(rebasing: digits[..<16]))
        return 16
    }
}

/// Fills 16 bytes with the digits of a number.
func writeHexadecimal(_ value: UInt64, to digits: UnsafeMutableBufferPointer<UInt8>) {
    var rest = value
    for place in stride(from: 15, through: 0, by: -1) {
        let digit = UInt8(truncatingIfNeeded: rest & 15)
        digits[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10
        rest >>= 4
    }
}
