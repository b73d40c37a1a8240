internal import CGnuTLS

/// Keyed hashes: who holds the key can tell that bytes are unchanged.
public enum HMAC {
    /// HMAC-SHA-256 of `bytes` under `key`, 32 bytes. Compare it with ``ConstantTime/areEqual(_:_:)`` only.
    public static func sha256(_ bytes: [UInt8], key: [UInt8]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: SHA256.byteCount) { buffer, count in
            let code = key.withUnsafeBytes { key in
                bytes.withUnsafeBytes { bytes in
                    gnutls_hmac_fast(
                        GNUTLS_MAC_SHA256, key.baseAddress, key.count, bytes.baseAddress, bytes.count,
                        buffer.baseAddress)
                }
            }
            precondition(code == 0, "gnutls_hmac_fast: \(gnutlsMessage(code))")
            count = SHA256.byteCount
        }
    }
}
