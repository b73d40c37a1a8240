internal import CGnuTLS
internal import Glibc

/// A public key that signatures of tokens are checked with: RSA, an elliptic curve of NIST's, or Ed25519.
///
/// Its parts are those of a JSON Web Key (RFC 7517, 7518, 8037): big-endian numbers as bytes.
public final class PublicKey: Sendable {
    /// The names of RFC 7518 and 8037 for what a token may be signed with here.
    public enum Algorithm: String, Sendable, CaseIterable {
        case rs256 = "RS256"
        case rs384 = "RS384"
        case rs512 = "RS512"
        case ps256 = "PS256"
        case es256 = "ES256"
        case es384 = "ES384"
        case edDSA = "EdDSA"
    }

    /// The curves that keys may lie on.
    public enum Curve: String, Sendable {
        case p256 = "P-256"
        case p384 = "P-384"
        case ed25519 = "Ed25519"
    }

    private enum Kind: Sendable, Equatable {
        case rsa
        case curve(Curve)
    }

    // SAFETY: set once before the object is shared; checking a signature only reads the key, which GnuTLS allows from any thread.
    private nonisolated(unsafe) let handle: gnutls_pubkey_t
    private let kind: Kind

    /// - Returns: nil for numbers that are no key, or one under 2 048 bits.
    public convenience init?(rsaModulus modulus: [UInt8], exponent: [UInt8]) {
        guard modulus.drop(while: { $0 == 0 }).count >= 256, modulus.count <= 1_025, exponent.count <= 8 else {
            return nil
        }
        self.init(kind: .rsa) { handle in
            withDatum(modulus) { modulus in
                withDatum(exponent) { exponent in gnutls_pubkey_import_rsa_raw(handle, modulus, exponent) }
            }
        }
    }

    /// - Parameter y: nil for Ed25519, whose points are one number.
    public convenience init?(curve: Curve, x: [UInt8], y: [UInt8]?) {
        let bytes = curve == .p384 ? 48 : 32
        guard x.count == bytes, (y == nil) == (curve == .ed25519), y == nil || y?.count == bytes else { return nil }
        let id =
            switch curve {
            case .p256: GNUTLS_ECC_CURVE_SECP256R1
            case .p384: GNUTLS_ECC_CURVE_SECP384R1
            case .ed25519: GNUTLS_ECC_CURVE_ED25519
            }
        self.init(kind: .curve(curve)) { handle in
            withDatum(x) { x in
                guard let y else { return gnutls_pubkey_import_ecc_raw(handle, id, x, nil) }
                return withDatum(y) { y in gnutls_pubkey_import_ecc_raw(handle, id, x, y) }
            }
        }
    }

    private init?(kind: Kind, _ fill: (gnutls_pubkey_t) -> CInt) {
        var handle: gnutls_pubkey_t?
        guard gnutls_pubkey_init(&handle) == GNUTLS_E_SUCCESS, let handle else { return nil }
        self.handle = handle
        self.kind = kind
        // Whatever is wrong with it, the object that is given up here lets the handle go.
        // A point that is not on its curve is found out by the second call only.
        guard fill(handle) == GNUTLS_E_SUCCESS, gnutls_pubkey_verify_params(handle) == GNUTLS_E_SUCCESS else {
            return nil
        }
    }

    deinit { gnutls_pubkey_deinit(self.handle) }

    /// Whether the signature is one of these bytes under this key. An algorithm of another kind of key is never right: who signs
    /// must not choose how the key is read.
    public func verifies(_ signature: [UInt8], of bytes: [UInt8], by algorithm: Algorithm) -> Bool {
        switch (self.kind, algorithm) {
        case (.rsa, .rs256): self.verify(signature, bytes, GNUTLS_SIGN_RSA_SHA256)
        case (.rsa, .rs384): self.verify(signature, bytes, GNUTLS_SIGN_RSA_SHA384)
        case (.rsa, .rs512): self.verify(signature, bytes, GNUTLS_SIGN_RSA_SHA512)
        case (.rsa, .ps256): self.verify(signature, bytes, GNUTLS_SIGN_RSA_PSS_RSAE_SHA256)
        case (.curve(.p256), .es256): self.verify(Self.sequence(signature, 32), bytes, GNUTLS_SIGN_ECDSA_SHA256)
        case (.curve(.p384), .es384): self.verify(Self.sequence(signature, 48), bytes, GNUTLS_SIGN_ECDSA_SHA384)
        case (.curve(.ed25519), .edDSA): self.verify(signature, bytes, GNUTLS_SIGN_EDDSA_ED25519)
        default: false
        }
    }

    private func verify(_ signature: [UInt8]?, _ bytes: [UInt8], _ algorithm: gnutls_sign_algorithm_t) -> Bool {
        guard let signature else { return false }
        return withDatum(signature) { signature in
            withDatum(bytes) { bytes in
                gnutls_pubkey_verify_data2(self.handle, algorithm, 0, bytes, signature) >= 0
            }
        }
    }

    /// RFC 7518 writes the two numbers of a signature one behind the other, GnuTLS reads them as ASN.1.
    private static func sequence(_ signature: [UInt8], _ half: Int) -> [UInt8]? {
        guard signature.count == 2 * half else { return nil }
        var encoded = gnutls_datum_t()
        let code = withDatum(Array(signature[..<half])) { r in
            withDatum(Array(signature[half...])) { s in gnutls_encode_rs_value(&encoded, r, s) }
        }
        guard code == GNUTLS_E_SUCCESS, let data = encoded.data else { return nil }
        // GnuTLS allocates as everybody does, unless it was told otherwise at its start.
        defer { free(data) }
        return Array(UnsafeBufferPointer(start: data, count: Int(encoded.size)))
    }
}

/// Lends bytes as GnuTLS takes them; it only reads them.
private func withDatum<Result>(_ bytes: [UInt8], _ body: (UnsafePointer<gnutls_datum_t>) -> Result) -> Result {
    bytes.withUnsafeBufferPointer { buffer in
        var datum = gnutls_datum_t(
            data: UnsafeMutablePointer(mutating: buffer.baseAddress), size: UInt32(clamping: buffer.count))
        return body(&datum)
    }
}
