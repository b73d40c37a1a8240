public import ApusCore
internal import CGnuTLS

/// AES-256-GCM: bytes sealed so that only who holds the key reads them, and nobody changes them unseen.
public enum AEAD {
    public static let keyBytes = 32
    /// In front of what ``seal(_:key:associated:)`` returns: a fresh random number, since one used twice under a key
    /// breaks both.
    public static let nonceBytes = 12
    /// At the end of what ``seal(_:key:associated:)`` returns.
    public static let tagBytes = 16

    /// Seals `plain` under `key` (32 bytes): nonce, ciphertext, tag.
    /// - Parameter associated: bytes that are not hidden, but must be the same when it is opened: a name, a key id.
    /// - Throws: `invalid_argument` when the key has another length, `internal` when the library fails.
    public static func seal(_ plain: [UInt8], key: [UInt8], associated: [UInt8] = []) throws(ApusError) -> [UInt8] {
        try AEAD.seal(plain, key: key, nonce: Random.bytes(AEAD.nonceBytes), associated: associated)
    }

    /// The same with the nonce given: for known answers only.
    static func seal(_ plain: [UInt8], key: [UInt8], nonce: [UInt8], associated: [UInt8]) throws(ApusError) -> [UInt8] {
        precondition(nonce.count == AEAD.nonceBytes, "a nonce has \(AEAD.nonceBytes) bytes")
        var sealed = [UInt8](repeating: 0, count: plain.count + AEAD.tagBytes)
        var count = sealed.count
        let code = try AEAD.withCipher(key) { cipher in
            gnutls_aead_cipher_encrypt(
                cipher, nonce, nonce.count, associated, associated.count, AEAD.tagBytes, plain, plain.count, &sealed,
                &count)
        }
        guard code == 0, count == sealed.count else {
            throw ApusError(.internal, "Sealing failed: \(gnutlsMessage(code)).")
        }
        return nonce + sealed
    }

    /// Opens what ``seal(_:key:associated:)`` returned.
    /// - Throws: `invalid_argument` when the key has another length, `forbidden` when the key or the associated bytes
    ///   are not those it was sealed with, or when it was changed: which of these cannot be told.
    public static func open(_ sealed: [UInt8], key: [UInt8], associated: [UInt8] = []) throws(ApusError) -> [UInt8] {
        guard sealed.count >= AEAD.nonceBytes + AEAD.tagBytes else { throw AEAD.refusal }
        let nonce = Array(sealed[..<AEAD.nonceBytes])
        let body = Array(sealed[AEAD.nonceBytes...])
        // One byte more than needed, so that the library gets an address even for an empty text.
        var plain = [UInt8](repeating: 0, count: body.count - AEAD.tagBytes + 1)
        var count = plain.count
        let code = try AEAD.withCipher(key) { cipher in
            gnutls_aead_cipher_decrypt(
                cipher, nonce, nonce.count, associated, associated.count, AEAD.tagBytes, body, body.count, &plain,
                &count)
        }
        guard code == 0, count == body.count - AEAD.tagBytes else { throw AEAD.refusal }
        plain.removeLast(plain.count - count)
        return plain
    }

    /// Seals what has one owner, under a key that has one: no copy of either is made.
    public static func seal(
        _ plain: borrowing SecretBytes, key: borrowing SecretBytes, associated: [UInt8]
    ) throws(ApusError) -> [UInt8] {
        let nonce = Random.bytes(AEAD.nonceBytes)
        var sealed = [UInt8](repeating: 0, count: plain.count + AEAD.tagBytes)
        var count = sealed.count
        let code = try plain.withUnsafeBytes { (plain) throws(ApusError) in
            try key.withUnsafeBytes { (key) throws(ApusError) in
                try AEAD.withCipher(bytes: key) { cipher in
                    gnutls_aead_cipher_encrypt(
                        cipher, nonce, nonce.count, associated, associated.count, AEAD.tagBytes, plain.baseAddress,
                        plain.count, &sealed, &count)
                }
            }
        }
        guard code == 0, count == sealed.count else {
            throw ApusError(.internal, "Sealing failed: \(gnutlsMessage(code)).")
        }
        return nonce + sealed
    }

    /// Opens into memory that is overwritten when it goes.
    /// - Throws: as ``open(_:key:associated:)``.
    public static func open(
        _ sealed: [UInt8], key: borrowing SecretBytes, associated: [UInt8]
    ) throws(ApusError) -> SecretBytes {
        guard sealed.count >= AEAD.nonceBytes + AEAD.tagBytes else { throw AEAD.refusal }
        let nonce = Array(sealed[..<AEAD.nonceBytes])
        let body = Array(sealed[AEAD.nonceBytes...])
        var plain = SecretBytes(capacity: body.count - AEAD.tagBytes + 1)
        var code: CInt = 0
        var failure: ApusError?
        key.withUnsafeBytes { key in
            plain.fill { room in
                var count = room.count
                do throws(ApusError) {
                    code = try AEAD.withCipher(bytes: key) { cipher in
                        gnutls_aead_cipher_decrypt(
                            cipher, nonce, nonce.count, associated, associated.count, AEAD.tagBytes, body, body.count,
                            room.baseAddress, &count)
                    }
                } catch { failure = error }
                return code == 0 ? count : room.count
            }
        }
        if let failure { throw failure }
        guard code == 0, plain.count == body.count - AEAD.tagBytes else { throw AEAD.refusal }
        return plain
    }

    private static var refusal: ApusError {
        ApusError(
            .forbidden,
            "The sealed bytes do not open: another key sealed them, or they were changed. "
                + "Use the key they were sealed with."
        )
    }

    private static func withCipher(_ key: [UInt8], _ body: (gnutls_aead_cipher_hd_t) -> CInt) throws(ApusError) -> CInt
    {
        let key = SecretBytes(copying: key)
        return try key.withUnsafeBytes { (key) throws(ApusError) in try AEAD.withCipher(bytes: key, body) }
    }

    private static func withCipher(
        bytes key: UnsafeRawBufferPointer, _ body: (gnutls_aead_cipher_hd_t) -> CInt
    ) throws(ApusError) -> CInt {
        guard key.count == AEAD.keyBytes else {
            throw ApusError(.invalidArgument, "A key has \(AEAD.keyBytes) bytes; this one has \(key.count).")
        }
        var cipher: gnutls_aead_cipher_hd_t?
        // The library reads the key and does not change it; its type says so nowhere.
        var datum = gnutls_datum_t(
            data: UnsafeMutablePointer(mutating: key.baseAddress?.assumingMemoryBound(to: UInt8.self)),
            size: UInt32(key.count))
        let code = gnutls_aead_cipher_init(&cipher, GNUTLS_CIPHER_AES_256_GCM, &datum)
        guard code == 0, let cipher else {
            throw ApusError(.internal, "AES-256-GCM could not be set up: \(gnutlsMessage(code)).")
        }
        defer { gnutls_aead_cipher_deinit(cipher) }
        return body(cipher)
    }
}
