public import ApusCore
internal import CGnuTLS
internal import Glibc

/// The certificate authorities that a client believes. Made once, shared by its sessions; one thread.
public final class TLSTrust {
    fileprivate let credentials: gnutls_certificate_credentials_t
    /// How many authorities there are.
    public private(set) var count = 0

    /// - Parameters:
    ///   - file: a bundle in PEM; one that is not there adds none.
    ///   - more: further authorities in PEM.
    /// - Throws: `configuration_invalid` when `more` is no certificate.
    public init(file: String, more: [UInt8] = []) throws(ApusError) {
        var credentials: gnutls_certificate_credentials_t?
        guard gnutls_certificate_allocate_credentials(&credentials) == GNUTLS_E_SUCCESS, let credentials else {
            throw ApusError(.internal, "no memory for certificates")
        }
        self.credentials = credentials
        self.count += Int(max(0, gnutls_certificate_set_x509_trust_file(credentials, file, GNUTLS_X509_FMT_PEM)))
        guard !more.isEmpty else { return }
        let added = more.withUnsafeBufferPointer { bytes in
            var text = gnutls_datum_t(
                data: UnsafeMutablePointer(mutating: bytes.baseAddress), size: UInt32(clamping: bytes.count))
            return gnutls_certificate_set_x509_trust_mem(credentials, &text, GNUTLS_X509_FMT_PEM)
        }
        guard added > 0 else {
            throw ApusError(
                .configurationInvalid,
                "the certificate authorities hold no certificate: expected PEM with BEGIN CERTIFICATE")
        }
        self.count += Int(added)
    }

    deinit { gnutls_certificate_free_credentials(self.credentials) }
}

/// The client's side of one TLS connection over a socket that does not block. The server's certificate must be good for the name that
/// was asked for. The socket stays its owner's.
public final class TLSClient {
    public enum Step: Equatable {
        case done
        /// Not before the socket can be read, or written to.
        case wait(forWriting: Bool)
        case failed(String)
    }

    public enum Transfer: Equatable {
        case bytes(Int)
        case wait(forWriting: Bool)
        case end
        case failed(String)
    }

    private let session: gnutls_session_t
    /// The session uses both until its end.
    private let trust: TLSTrust
    private let host: UnsafeMutablePointer<CChar>

    /// - Throws: `internal`.
    public init(socket: CInt, host: String, isName: Bool, trust: TLSTrust) throws(ApusError) {
        self.trust = trust
        var session: gnutls_session_t?
        let flags = UInt32(GNUTLS_CLIENT.rawValue | GNUTLS_NONBLOCK.rawValue | GNUTLS_NO_SIGNAL.rawValue)
        guard gnutls_init(&session, flags) == GNUTLS_E_SUCCESS, let session else {
            throw ApusError(.internal, "no memory for a TLS session")
        }
        self.session = session
        var result = gnutls_priority_set_direct(session, "SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2", nil)
        if result >= 0 {
            result = gnutls_credentials_set(session, GNUTLS_CRD_CERTIFICATE, UnsafeMutableRawPointer(trust.credentials))
        }
        if result >= 0, isName {
            result = host.withCString { gnutls_server_name_set(session, GNUTLS_NAME_DNS, $0, strlen($0)) }
        }
        var protocolName = Array("http/1.1".utf8)
        if result >= 0 {
            result = protocolName.withUnsafeMutableBufferPointer { bytes in
                var name = gnutls_datum_t(data: bytes.baseAddress, size: UInt32(bytes.count))
                return gnutls_alpn_set_protocols(session, &name, 1, 0)
            }
        }
        guard result >= 0, let name = strdup(host) else {
            gnutls_deinit(session)
            throw ApusError(.internal, "no TLS session: \(gnutlsMessage(result))")
        }
        self.host = name
        // The handshake fails when the certificate is not good for this name.
        gnutls_session_set_verify_cert(session, name, 0)
        gnutls_transport_set_int2(session, socket, socket)
    }

    deinit {
        gnutls_deinit(self.session)
        free(self.host)
    }

    private var waits: Bool { gnutls_record_get_direction(self.session) == 1 }

    private static func isLater(_ result: Int) -> Bool {
        result == Int(GNUTLS_E_AGAIN) || result == Int(GNUTLS_E_INTERRUPTED)
    }

    public func handshake() -> Step {
        let result = gnutls_handshake(self.session)
        if result >= 0 { return .done }
        if Self.isLater(Int(result)) || gnutls_error_is_fatal(result) == 0 { return .wait(forWriting: self.waits) }
        guard result == GNUTLS_E_CERTIFICATE_VERIFICATION_ERROR || result == GNUTLS_E_CERTIFICATE_ERROR else {
            return .failed(gnutlsMessage(result))
        }
        let status = gnutls_session_get_verify_cert_status(self.session)
        var text = gnutls_datum_t()
        guard gnutls_certificate_verification_status_print(status, GNUTLS_CRT_X509, &text, 0) >= 0,
            let bytes = text.data
        else { return .failed(gnutlsMessage(result)) }
        defer { free(bytes) }
        var words = String(decoding: UnsafeBufferPointer(start: bytes, count: Int(text.size)), as: UTF8.self)
        while words.last == " " || words.last == "\0" { words.removeLast() }
        return .failed(words)
    }

    public func read(into buffer: UnsafeMutableRawBufferPointer) -> Transfer {
        while true {
            let result = gnutls_record_recv(self.session, buffer.baseAddress, buffer.count)
            if result > 0 { return .bytes(result) }
            if result == 0 { return .end }
            // Peers that leave without a word are many.
            if result == Int(GNUTLS_E_PREMATURE_TERMINATION) { return .end }
            if Self.isLater(result) { return .wait(forWriting: self.waits) }
            // A warning, or the request for another handshake, which is not given.
            if gnutls_error_is_fatal(CInt(result)) == 0 { continue }
            return .failed(gnutlsMessage(CInt(result)))
        }
    }

    /// The same bytes must come again after `wait`.
    public func write(_ bytes: UnsafeRawBufferPointer) -> Transfer {
        let result = gnutls_record_send(self.session, bytes.baseAddress, bytes.count)
        if result >= 0 { return .bytes(result) }
        if Self.isLater(result) { return .wait(forWriting: self.waits) }
        return .failed(gnutlsMessage(CInt(result)))
    }

    /// Whether bytes that came wait here, and not in the socket.
    public var hasPending: Bool { gnutls_record_check_pending(self.session) > 0 }

    /// Says that nothing more comes.
    public func finish() { gnutls_bye(self.session, GNUTLS_SHUT_WR) }
}
