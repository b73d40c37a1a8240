internal import Glibc

/// A certificate as the library wants it: texts that stay where they are as long as its listener lives.
final class TLSCredentials {
    let chain: UnsafeMutablePointer<CChar>
    let key: UnsafeMutablePointer<CChar>
    /// What GnuTLS calls secure today, without the versions that browsers have given up.
    let priorities: UnsafeMutablePointer<CChar>

    init(_ certificate: HTTPCertificate) {
        func text(_ bytes: some Sequence<UInt8>) -> UnsafeMutablePointer<CChar> {
            let bytes = Array(bytes)
            let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count + 1)
            for (index, byte) in bytes.enumerated() { copy[index] = CChar(bitPattern: byte) }
            copy[bytes.count] = 0
            return copy
        }
        self.chain = text(certificate.chain)
        self.key = text(certificate.key)
        self.priorities = text("SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2".utf8)
    }

    deinit {
        // A freed key must not wait in memory for somebody to find it.
        explicit_bzero(self.key, strlen(self.key))
        for text in [self.chain, self.key, self.priorities] { text.deallocate() }
    }
}
