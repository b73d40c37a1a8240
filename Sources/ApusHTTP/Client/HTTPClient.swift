public import ApusCore
internal import CCurl
internal import CHTTPShims
internal import Glibc

/// What a server answered.
public struct HTTPResponse: Sendable, Equatable {
    public internal(set) var status: Int = 0
    public internal(set) var headers: [HTTPHeader] = []
    /// Empty when it was handed on in parts.
    public internal(set) var body: [UInt8] = []

    public var isSuccess: Bool { (200..<300).contains(self.status) }
    /// The value of the first header of that name, whatever its case.
    public func header(_ name: String) -> String? { self.headers.first { $0.isNamed(name) }?.value }
}

/// A blocking HTTP client by libcurl, for the command line and for tools. One thread at a time; it keeps its connections.
public final class HTTPClient {
    public struct Configuration: Sendable {
        public var connectTimeoutMilliseconds = 5_000
        /// For a whole request; 0 has no bound. Streams have none but ``stallSeconds``.
        public var timeoutMilliseconds = 120_000
        /// A stream on which nothing arrives for so long is given up; 0 waits for ever.
        public var stallSeconds = 0
        /// What is kept of a body that is not streamed.
        public var responseBytes = Limits.HTTP.bundleBytes
        /// A file with the certificates of authorities that are trusted instead of the system's; nil trusts the system's.
        public var authorities: String?
        /// Asked about once a second while a transfer goes on; true ends it as a failure.
        public var isAborted: (@Sendable () -> Bool)?
        /// A proxy that every request goes through, loopback or not, as `http://127.0.0.1:3128`; nil takes the environment's.
        public var proxy: String?
        /// The path of a Unix socket where a proxy listens that every request goes through; instead of ``proxy``.
        public var proxySocket: String?
        /// Refuses servers that lie in somebody's own network, by the address that a name led to: for URLs that others chose.
        public var refusesPrivate = false
        public init() {}
    }

    private let configuration: Configuration
    private let handle: UnsafeMutableRawPointer
    /// libcurl is given it for each transfer, and keeps no copy.
    private let proxySocket: UnsafeMutablePointer<CChar>?

    /// - Throws: `internal` when libcurl cannot start.
    public init(configuration: Configuration = Configuration()) throws(ApusError) {
        guard HTTPClient.isReady, let handle = curl_easy_init() else {
            throw ApusError(.internal, "the HTTP client library did not start")
        }
        self.configuration = configuration
        self.handle = handle
        self.proxySocket = configuration.proxySocket.flatMap { strdup($0) }
    }

    deinit {
        curl_easy_cleanup(self.handle)
        free(self.proxySocket)
    }

    /// Initialised once for the process; the initialiser of a static is thread-safe.
    private static let isReady = curl_global_init(Int(CURL_GLOBAL_DEFAULT)) == CURLE_OK

    /// Sends a request and waits for the whole answer, whatever its status.
    /// - Throws: `server_unreachable` when no connection comes about or it breaks, `deadline_exceeded`, `result_too_large`, or
    ///   `invalid_argument` for an address that is none.
    public func request(
        _ method: String, _ url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil
    ) throws(ApusError) -> HTTPResponse {
        let transfer = HTTPTransfer(bodyBytes: self.configuration.responseBytes, onChunk: nil)
        try self.perform(
            method, url, headers, body, transfer, timeoutMilliseconds: self.configuration.timeoutMilliseconds)
        return transfer.response
    }

    /// Sends a request and hands the answer on as it comes: newline-delimited JSON, server-sent events.
    ///
    /// Only the body of a success is handed on; that of an error is in the response that is returned.
    /// - Parameter onHead: gets status and headers before any part, of errors too.
    /// - Parameter onChunk: gets each part; false ends the transfer, which is then no error.
    public func stream(
        _ method: String, _ url: String, headers: [HTTPHeader] = [], body: [UInt8]? = nil,
        onHead: @escaping (HTTPResponse) -> Void = { _ in }, onChunk: @escaping ([UInt8]) -> Bool
    ) throws(ApusError) -> HTTPResponse {
        let transfer = HTTPTransfer(bodyBytes: self.configuration.responseBytes, onHead: onHead, onChunk: onChunk)
        try self.perform(method, url, headers, body, transfer, timeoutMilliseconds: 0)
        return transfer.response
    }

    private func perform(
        _ method: String, _ url: String, _ headers: [HTTPHeader], _ body: [UInt8]?, _ transfer: HTTPTransfer,
        timeoutMilliseconds: Int
    ) throws(ApusError) {
        // Options go, connections stay.
        curl_easy_reset(self.handle)
        var message = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        var list = try HTTPClient.list(headers)
        defer { curl_slist_free_all(list) }
        let result = withExtendedLifetime(transfer) {
            message.withUnsafeMutableBufferPointer { message in
                (body ?? []).withUnsafeBytes { bytes -> CURLcode in
                    self.set(CURLOPT_ERRORBUFFER, pointer: message.baseAddress)
                    self.setCommon(url, timeoutMilliseconds)
                    self.set(method, hasBody: body != nil, bytes, &list)
                    self.set(CURLOPT_HTTPHEADER, pointer: list)
                    self.set(CURLOPT_WRITEFUNCTION, callback: onBody)
                    self.set(CURLOPT_WRITEDATA, pointer: Unmanaged.passUnretained(transfer).toOpaque())
                    self.set(CURLOPT_HEADERFUNCTION, callback: onHeaderLine)
                    self.set(CURLOPT_HEADERDATA, pointer: Unmanaged.passUnretained(transfer).toOpaque())
                    self.setAbort()
                    return curl_easy_perform(self.handle)
                }
            }
        }
        if result == CURLE_OK || transfer.wasEnoughForReader { return }
        let said = String(decoding: message.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        throw self.error(result, said, url: url, transfer: transfer)
    }

    private func setAbort() {
        guard self.configuration.isAborted != nil else { return }
        _ = apus_curl_set_abort(self.handle, Unmanaged.passUnretained(self).toOpaque()) { context in
            guard let context else { return 0 }
            let client = Unmanaged<HTTPClient>.fromOpaque(context).takeUnretainedValue()
            return client.configuration.isAborted?() ?? false ? 1 : 0
        }
    }

    private func setCommon(_ url: String, _ timeoutMilliseconds: Int) {
        _ = url.withCString { apus_curl_set_string(self.handle, number(CURLOPT_URL), $0) }
        _ = apus_curl_set_string(self.handle, number(CURLOPT_PROTOCOLS_STR), "http,https")
        _ = apus_curl_set_string(self.handle, number(CURLOPT_USERAGENT), "apus")
        self.set(CURLOPT_NOSIGNAL, 1)
        self.set(CURLOPT_TCP_NODELAY, 1)
        self.set(CURLOPT_CONNECTTIMEOUT_MS, self.configuration.connectTimeoutMilliseconds)
        self.set(CURLOPT_TIMEOUT_MS, timeoutMilliseconds)
        if timeoutMilliseconds == 0, self.configuration.stallSeconds > 0 {
            self.set(CURLOPT_LOW_SPEED_LIMIT, 1)
            self.set(CURLOPT_LOW_SPEED_TIME, self.configuration.stallSeconds)
        }
        if let authorities = self.configuration.authorities {
            _ = authorities.withCString { apus_curl_set_string(self.handle, number(CURLOPT_CAINFO), $0) }
        }
        if let path = self.proxySocket {
            // Its name is looked up nowhere: the connection is to the socket.
            _ = apus_curl_set_string(self.handle, number(CURLOPT_PROXY), "http://127.0.0.1:1")
            _ = apus_curl_set_string(self.handle, number(CURLOPT_NOPROXY), "")
            _ = apus_curl_set_unix(self.handle, path)
            return
        }
        if let proxy = self.configuration.proxy {
            _ = proxy.withCString { apus_curl_set_string(self.handle, number(CURLOPT_PROXY), $0) }
            _ = apus_curl_set_string(self.handle, number(CURLOPT_NOPROXY), "")
            return
        }
        if self.configuration.refusesPrivate {
            // What a proxy connects to cannot be seen here.
            _ = apus_curl_set_string(self.handle, number(CURLOPT_NOPROXY), "*")
            _ = apus_curl_set_connected(self.handle, number(CURLOPT_PREREQFUNCTION), onConnected)
        }
        // A proxy from the environment cannot reach this machine's loopback, and must not see its tokens.
        if HTTPClient.isLoopback(url) { _ = apus_curl_set_string(self.handle, number(CURLOPT_NOPROXY), "*") }
    }

    private func set(
        _ method: String, hasBody: Bool, _ bytes: UnsafeRawBufferPointer,
        _ list: inout UnsafeMutablePointer<curl_slist>?
    ) {
        if method == "HEAD" { self.set(CURLOPT_NOBODY, 1) }
        if hasBody {
            self.set(CURLOPT_POST, 1)
            _ = apus_curl_set_offset(self.handle, number(CURLOPT_POSTFIELDSIZE_LARGE), Int64(bytes.count))
            // An empty body has no address, and without one libcurl would read standard input.
            if let base = bytes.baseAddress {
                self.set(CURLOPT_POSTFIELDS, pointer: UnsafeMutableRawPointer(mutating: base))
            } else {
                _ = apus_curl_set_string(self.handle, number(CURLOPT_COPYPOSTFIELDS), "")
            }
            // Otherwise it calls every body a form. A type of the caller's comes before this and counts.
            if let longer = curl_slist_append(list, "Content-Type:") { list = longer }
        }
        if method != "HEAD" {
            _ = method.withCString { apus_curl_set_string(self.handle, number(CURLOPT_CUSTOMREQUEST), $0) }
        }
    }

    private func set(_ option: CURLoption, _ value: Int) { _ = apus_curl_set_long(self.handle, number(option), value) }
    private func set(_ option: CURLoption, pointer: UnsafeMutableRawPointer?) {
        _ = apus_curl_set_pointer(self.handle, number(option), pointer)
    }
    private func set(_ option: CURLoption, callback: @escaping apus_curl_bytes) {
        _ = apus_curl_set_bytes(self.handle, number(option), callback)
    }

    private static func list(_ headers: [HTTPHeader]) throws(ApusError) -> UnsafeMutablePointer<curl_slist>? {
        var list: UnsafeMutablePointer<curl_slist>?
        for header in headers {
            guard !header.name.isEmpty, header.name.utf8.allSatisfy(isTokenByte),
                header.value.utf8.allSatisfy({ $0 >= 0x20 && $0 != 0x7F || $0 == 0x09 })
            else {
                curl_slist_free_all(list)
                throw ApusError(
                    .invalidArgument, "the header '\(header.name)' holds a character that no header may hold")
            }
            // A header without value is written with a semicolon, or libcurl would leave it out.
            let line = header.value.isEmpty ? "\(header.name);" : "\(header.name): \(header.value)"
            guard let longer = curl_slist_append(list, line) else { continue }
            list = longer
        }
        return list
    }

    private func error(_ result: CURLcode, _ said: String, url: String, transfer: HTTPTransfer) -> ApusError {
        if transfer.isOverLimit {
            return ApusError(.resultTooLarge, "the answer of \(url) is larger than \(transfer.bodyBytes) bytes")
        }
        let reason = said.isEmpty ? String(cString: curl_easy_strerror(result)) : said
        // What was sent of the request: nothing, as long as there is no connection.
        var sent = 0
        _ = apus_curl_get_long(self.handle, CInt(CURLINFO_REQUEST_SIZE.rawValue), &sent)
        switch result {
        case CURLE_OPERATION_TIMEDOUT where sent > 0:
            return ApusError(.deadlineExceeded, "no whole answer from \(url) in time: \(reason)")
        case CURLE_URL_MALFORMAT, CURLE_UNSUPPORTED_PROTOCOL:
            return ApusError(
                .invalidArgument, "'\(url)' is no address of a server: give http://HOST:PORT or https://HOST:PORT")
        case CURLE_PEER_FAILED_VERIFICATION, CURLE_SSL_CACERT_BADFILE:
            return ApusError(
                .serverUnreachable,
                "\(url) is not trusted: \(reason); if it is yours, set APUS_CA to the file of the authority that signed it"
            )
        case CURLE_ABORTED_BY_CALLBACK:
            return ApusError(
                .serverUnreachable, "\(url) leads into a network of somebody's own, which is not allowed here")
        case CURLE_COULDNT_CONNECT, CURLE_COULDNT_RESOLVE_HOST, CURLE_COULDNT_RESOLVE_PROXY, CURLE_OPERATION_TIMEDOUT:
            return ApusError(
                .serverUnreachable, "cannot reach \(url): \(reason); is the server running, and is the address right?")
        default:
            return ApusError(.serverUnreachable, "the connection to \(url) broke: \(reason)")
        }
    }

    /// Whether an address names this machine's loopback.
    static func isLoopback(_ url: String) -> Bool {
        let parts = url.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[1].isEmpty else { return false }
        let authority = parts[2].prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let host = authority.split(separator: "@", omittingEmptySubsequences: false).last.map(String.init) ?? ""
        let name = OriginPolicy.withoutPort(host.lowercased())
        let bare = name.hasPrefix("[") && name.hasSuffix("]") ? String(name.dropFirst().dropLast()) : name
        return ListeningSocket.isLoopback(bare)
    }
}

/// The state of one request, that libcurl's callbacks write to.
final class HTTPTransfer {
    var response = HTTPResponse()
    let bodyBytes: Int
    var isOverLimit = false
    /// The reader of a stream wants no more.
    var wasEnoughForReader = false
    private var onHead: ((HTTPResponse) -> Void)?
    private let onChunk: (([UInt8]) -> Bool)?

    init(bodyBytes: Int, onHead: ((HTTPResponse) -> Void)? = nil, onChunk: (([UInt8]) -> Bool)?) {
        self.bodyBytes = bodyBytes
        self.onHead = onHead
        self.onChunk = onChunk
    }

    /// - Returns: false to end the transfer.
    fileprivate func take(_ bytes: UnsafeRawBufferPointer) -> Bool {
        if let onChunk = self.onChunk, self.response.isSuccess {
            self.wasEnoughForReader = !onChunk(Array(bytes))
            return !self.wasEnoughForReader
        }
        self.isOverLimit = self.response.body.count + bytes.count > self.bodyBytes
        guard !self.isOverLimit else { return false }
        self.response.body.append(contentsOf: bytes)
        return true
    }

    /// A status line begins a new head: an interim answer (100) may come before the real one.
    fileprivate func takeLine(_ bytes: UnsafeRawBufferPointer) {
        let line = String(decoding: bytes, as: UTF8.self).split(whereSeparator: \.isNewline).first ?? ""
        if line.hasPrefix("HTTP/") {
            let words = line.split(separator: " ")
            self.response.status = words.count > 1 ? Int(words[1]) ?? 0 : 0
            self.response.headers = []
        } else if let colon = line.firstIndex(of: ":") {
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            self.response.headers.append(HTTPHeader(String(line[..<colon]), String(value)))
        } else if line.isEmpty, self.response.status >= 200 {
            // The end of the head; what follows a body in parts (trailers) ends with an empty line too.
            self.onHead?(self.response)
            self.onHead = nil
        }
    }
}

private func number(_ option: CURLoption) -> CInt { CInt(option.rawValue) }

/// CURL_PREREQFUNC_OK and CURL_PREREQFUNC_ABORT.
private func onConnected(
    _ context: UnsafeMutableRawPointer?, _ primary: UnsafeMutablePointer<CChar>?, _ local: UnsafeMutablePointer<CChar>?,
    _ primaryPort: CInt, _ localPort: CInt
) -> CInt {
    guard let primary, let address = IPAddress(String(cString: primary)) else { return 1 }
    return address.kind == .open ? 0 : 1
}

private func onBody(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    let transfer = Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue()
    // Any other number than that of the bytes ends the transfer.
    return transfer.take(UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
}

private func onHeaderLine(
    _ bytes: UnsafeMutablePointer<CChar>?, _ size: Int, _ count: Int, _ context: UnsafeMutableRawPointer?
) -> Int {
    guard let context else { return 0 }
    Unmanaged<HTTPTransfer>.fromOpaque(context).takeUnretainedValue().takeLine(
        UnsafeRawBufferPointer(start: bytes, count: size * count))
    return size * count
}
