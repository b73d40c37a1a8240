internal import CGnuTLS

/// SHA-256: of bytes at hand in one call, or of bytes that come in pieces.
///
/// A hash is 32 bytes. Hashing cannot fail; running out of memory ends the process, as everywhere.
public struct SHA256: ~Copyable {
    /// Bytes of a hash.
    public static let byteCount = 32

    private let handle: gnutls_hash_hd_t

    /// Starts an empty hash.
    public init() {
        var handle: gnutls_hash_hd_t?
        let code = gnutls_hash_init(&handle, GNUTLS_DIG_SHA256)
        guard code == 0, let handle else { preconditionFailure("gnutls_hash_init: \(gnutlsMessage(code))") }
        self.handle = handle
    }

    deinit { gnutls_hash_deinit(self.handle, nil) }

    /// Takes in the next bytes.
    public mutating func update(_ bytes: UnsafeRawBufferPointer) {
        guard let start = bytes.baseAddress, !bytes.isEmpty else { return }
        let code = gnutls_hash(self.handle, start, bytes.count)
        precondition(code == 0, "gnutls_hash: \(gnutlsMessage(code))")
    }

    /// Takes in the next bytes.
    public mutating func update(_ bytes: [UInt8]) { bytes.withUnsafeBytes { self.update($0) } }

    /// The hash of all bytes taken in.
    public consuming func finish() -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: SHA256.byteCount) { buffer, count in
            gnutls_hash_output(self.handle, buffer.baseAddress)
            count = SHA256.byteCount
        }
    }

    /// The hash of `bytes`.
    public static func hash(_ bytes: UnsafeRawBufferPointer) -> [UInt8] {
        // The library reads nothing when the count is zero, but insists on an address.
        var nothing: UInt8 = 0
        return [UInt8](unsafeUninitializedCapacity: SHA256.byteCount) { buffer, count in
            let code =
                if let start = bytes.baseAddress {
                    gnutls_hash_fast(GNUTLS_DIG_SHA256, start, bytes.count, buffer.baseAddress)
                } else {
                    gnutls_hash_fast(GNUTLS_DIG_SHA256, &nothing, 0, buffer.baseAddress)
                }
            precondition(code == 0, "gnutls_hash_fast: \(gnutlsMessage(code))")
            count = SHA256.byteCount
        }
    }

    /// The hash of `bytes`.
    public static func hash(_ bytes: [UInt8]) -> [UInt8] { bytes.withUnsafeBytes { SHA256.hash($0) } }

    /// The hash of the UTF-8 of `text`, in hexadecimal.
    public static func hex(of text: String) -> String { Hex.encode(SHA256.hash(Array(text.utf8))) }
}
