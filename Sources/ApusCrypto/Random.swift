internal import CGnuTLS

/// Bytes nobody can guess.
public enum Random {
    /// `count` bytes fit for keys and tokens.
    public static func bytes(_ count: Int) -> [UInt8] {
        precondition(count >= 0, "a negative number of random bytes")
        guard count > 0 else { return [] }
        return [UInt8](unsafeUninitializedCapacity: count) { buffer, filled in
            let code = gnutls_rnd(GNUTLS_RND_KEY, buffer.baseAddress, count)
            // Going on with bytes that are not random would give away every secret made from them.
            precondition(code == 0, "gnutls_rnd: \(gnutlsMessage(code))")
            filled = count
        }
    }

    /// A token of `count` random bytes in hexadecimal: twice as many characters.
    public static func token(bytes count: Int = 32) -> String { Hex.encode(Random.bytes(count)) }
}
