/// Bytes as base64 with padding (RFC 4648), as CloudEvents write binary data.
public enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let values: [UInt8] = {
        var values = [UInt8](repeating: 0xFF, count: 256)
        for (index, byte) in alphabet.enumerated() { values[Int(byte)] = UInt8(index) }
        return values
    }()

    public static func encode(_ bytes: some Sequence<UInt8>) -> String {
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count = 0
        for byte in bytes {
            bits = bits << 8 | UInt32(byte)
            count += 1
            if count == 3 {
                for shift: UInt32 in [18, 12, 6, 0] { text.append(Self.alphabet[Int(bits >> shift & 63)]) }
                (bits, count) = (0, 0)
            }
        }
        if count == 1 {
            text.append(contentsOf: [
                Self.alphabet[Int(bits >> 2 & 63)], Self.alphabet[Int(bits << 4 & 63)], 0x3D, 0x3D,
            ])
        } else if count == 2 {
            text.append(contentsOf: [
                Self.alphabet[Int(bits >> 10 & 63)], Self.alphabet[Int(bits >> 4 & 63)],
                Self.alphabet[Int(bits << 2 & 63)], 0x3D,
            ])
        }
        return String(decoding: text, as: UTF8.self)
    }

    /// - Returns: nil unless the text is base64 with its padding.
    public static func decode(_ text: String) -> [UInt8]? {
        let digits = Array(text.utf8)
        guard digits.count % 4 == 0 else { return nil }
        let padding = digits.reversed().prefix(2).prefix { $0 == 0x3D }.count
        var bytes: [UInt8] = []
        bytes.reserveCapacity(digits.count / 4 * 3)
        for start in stride(from: 0, to: digits.count, by: 4) {
            var bits: UInt32 = 0
            for index in start..<start + 4 {
                let isPadding = index >= digits.count - padding
                let value = isPadding ? 0 : Self.values[Int(digits[index])]
                guard value != 0xFF else { return nil }
                bits = bits << 6 | UInt32(value)
            }
            bytes.append(contentsOf: [UInt8(bits >> 16 & 0xFF), UInt8(bits >> 8 & 0xFF), UInt8(bits & 0xFF)])
        }
        return bytes.dropLast(padding)
    }
}
