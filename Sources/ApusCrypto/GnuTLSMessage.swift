internal import CGnuTLS

/// The library's own words for one of its codes.
func gnutlsMessage(_ code: CInt) -> String {
    gnutls_strerror(code).map { String(cString: $0) } ?? "code \(code)"
}
