internal import CGnuTLS
internal import Glibc

/// A private key of Ed25519, as `openssl genpkey -algorithm ed25519` writes it: its owner signs, others check with ``publicKey``.
public final class SigningKey {
    private let handle: gnutls_privkey_t
    /// 32 bytes, the `x` of a JSON Web Key.
    public let publicKey: [UInt8]

    /// - Parameter pem: PKCS #8, not encrypted.
    /// - Returns: nil for anything else, keys of other kinds among it.
    public init?(pem: [UInt8]) {
        var handle: gnutls_privkey_t?
        guard gnutls_privkey_init(&handle) == GNUTLS_E_SUCCESS, let handle else { return nil }
        var pem = pem
        let isRead = pem.withUnsafeMutableBufferPointer { buffer in
            var datum = gnutls_datum_t(data: buffer.baseAddress, size: UInt32(clamping: buffer.count))
            return gnutls_privkey_import_x509_raw(handle, &datum, GNUTLS_X509_FMT_PEM, nil, 0) == GNUTLS_E_SUCCESS
        }
        var curve = GNUTLS_ECC_CURVE_INVALID
        var x = gnutls_datum_t()
        let isExported =
            isRead && gnutls_privkey_export_ecc_raw2(handle, &curve, &x, nil, nil, 0) == GNUTLS_E_SUCCESS
        defer { if let data = x.data { free(data) } }
        guard isExported, curve == GNUTLS_ECC_CURVE_ED25519, let data = x.data, x.size == 32 else {
            gnutls_privkey_deinit(handle)
            return nil
        }
        self.handle = handle
        self.publicKey = Array(UnsafeBufferPointer(start: data, count: 32))
    }

    deinit { gnutls_privkey_deinit(self.handle) }

    /// - Returns: 64 bytes; nil when the library refuses.
    public func sign(_ bytes: [UInt8]) -> [UInt8]? {
        var bytes = bytes
        var signature = gnutls_datum_t()
        let code = bytes.withUnsafeMutableBufferPointer { buffer in
            var datum = gnutls_datum_t(data: buffer.baseAddress, size: UInt32(clamping: buffer.count))
            return gnutls_privkey_sign_data2(self.handle, GNUTLS_SIGN_EDDSA_ED25519, 0, &datum, &signature)
        }
        // GnuTLS allocates as everybody does, unless it was told otherwise at its start.
        defer { if let data = signature.data { free(data) } }
        guard code == GNUTLS_E_SUCCESS, let data = signature.data else { return nil }
        return Array(UnsafeBufferPointer(start: data, count: Int(signature.size)))
    }
}
