internal import CGnuTLS

/// SHA-256 by GnuTLS.
public enum SHA256 {
    /// - Returns: 32 bytes.
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: 32) { digest, count in
            let rc = gnutls_hash_fast(GNUTLS_DIG_SHA256, bytes.baseAddress, bytes.count, digest.baseAddress)
            precondition(rc == 0, "SHA-256 of bytes in memory cannot fail")
            count = 32
        }
    }
}
