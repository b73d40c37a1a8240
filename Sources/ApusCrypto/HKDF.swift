/// Makes keys of a key (RFC 5869, SHA-256): who learns one of them learns nothing of the others.
public enum HKDF {
    /// - Parameters:
    ///   - info: what the key is for.
    ///   - count: bytes of the key, at most 255 hashes.
    public static func sha256(_ secret: [UInt8], salt: [UInt8] = [], info: [UInt8], count: Int = 32) -> [UInt8] {
        precondition((1...255 * SHA256.byteCount).contains(count), "a key of \(count) bytes")
        let extracted = HMAC.sha256(secret, key: salt.isEmpty ? Array(repeating: 0, count: SHA256.byteCount) : salt)
        var key: [UInt8] = []
        var block: [UInt8] = []
        var number: UInt8 = 1
        while key.count < count {
            block = HMAC.sha256(block + info + [number], key: extracted)
            key += block
            number &+= 1
        }
        return Array(key.prefix(count))
    }
}
