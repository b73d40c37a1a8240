/// A number as 16 hexadecimal digits, in small letters: how ids write each of their halves.
public func hexadecimal(_ value: UInt64) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 16 - digits.count) + digits
}
