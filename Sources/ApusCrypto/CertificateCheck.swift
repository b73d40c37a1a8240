public import ApusCore
internal import CGnuTLS

/// Whether a certificate and a key, both in PEM, can be used together: found out before anything is opened for them.
public enum CertificateCheck {
    /// - Throws: `invalid_argument` with what GnuTLS says.
    public static func run(chain: [UInt8], key: [UInt8]) throws(ApusError) {
        var credentials: gnutls_certificate_credentials_t?
        guard gnutls_certificate_allocate_credentials(&credentials) == GNUTLS_E_SUCCESS, let credentials else {
            throw ApusError(.internal, "no memory for a certificate")
        }
        defer { gnutls_certificate_free_credentials(credentials) }
        let result = chain.withUnsafeBufferPointer { chain in
            key.withUnsafeBufferPointer { key in
                var chainText = Self.datum(chain)
                var keyText = Self.datum(key)
                return gnutls_certificate_set_x509_key_mem(credentials, &chainText, &keyText, GNUTLS_X509_FMT_PEM)
            }
        }
        guard result >= 0 else {
            throw ApusError(
                .invalidArgument,
                "the certificate and its key cannot be used: \(gnutlsMessage(result)); both must be PEM, and belong together"
            )
        }
    }

    private static func datum(_ bytes: UnsafeBufferPointer<UInt8>) -> gnutls_datum_t {
        gnutls_datum_t(data: UnsafeMutablePointer(mutating: bytes.baseAddress), size: UInt32(clamping: bytes.count))
    }
}
