internal import ApusCore
internal import ApusHTTP

/// The status and headers that a function chose for its answer to an HTTP trigger, checked: functions are not trusted, and their
/// answers go out under the server's own address.
struct ResponseHead: Equatable {
    /// Nil when the function chose none.
    var status: UInt32?
    var headers: [HTTPHeader] = []

    /// The cookie of the console. A function that set it could log a person in as somebody else.
    static let sessionCookie = "apus_session"

    /// On every answer of a trigger. A page that a function serves has an origin of its own in browsers, so that its scripts do
    /// not act as whoever is logged in to the console at the same address.
    static let protection = [
        ("Content-Security-Policy", "sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts"),
        ("X-Content-Type-Options", "nosniff"),
    ]

    /// What only the server says: how this connection goes on, and what would hold for all that it serves.
    private static let reserved: Set<String> = [
        "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade", "content-length", "date", "alt-svc", "clear-site-data",
        "service-worker-allowed",
        "strict-transport-security",
    ]

    init() {}

    /// - Throws: `function_failed` with what the answer says that no answer may say.
    init(of result: Event) throws(ApusError) {
        var bytes = 0
        for attribute in result.attributes where attribute.kind == .header {
            if attribute.name == HTTPTriggerHeader.status {
                guard self.status == nil, let status = Self.status(attribute.value) else {
                    throw Self.refusal("the status '\(attribute.text.prefix(16))' is no number from 200 to 599")
                }
                self.status = status
            } else if !attribute.name.hasPrefix(InternalHeader.prefix) {
                bytes += attribute.name.utf8.count + attribute.value.count
                self.headers.append(HTTPHeader(attribute.name, attribute.text))
            }
        }
        // An event that a function passes on has the headers of what it came with: they are no answer's.
        guard self.status != nil else {
            self.headers = []
            return
        }
        guard self.headers.count <= Limits.Server.answerHeaders, bytes <= Limits.Server.answerHeaderBytes else {
            throw Self.refusal(
                "it has \(self.headers.count) headers of \(bytes) bytes; at most \(Limits.Server.answerHeaders) of "
                    + "\(Limits.Server.answerHeaderBytes) are allowed")
        }
        for header in self.headers { try Self.check(header) }
    }

    private static func status(_ text: [UInt8]) -> UInt32? {
        guard text.count == 3, let number = UInt32(String(decoding: text, as: UTF8.self)) else { return nil }
        return (200...599).contains(number) ? number : nil
    }

    private static func check(_ header: HTTPHeader) throws(ApusError) {
        let name = header.name.lowercased()
        guard HeaderValue.isName(name) else {
            throw Self.refusal("'\(header.name.prefix(64))' is no name of a header")
        }
        guard !Self.reserved.contains(name) else { throw Self.refusal("the header \(name) is the server's own") }
        guard header.value.utf8.allSatisfy({ ($0 >= 0x20 && $0 < 0x7F) || $0 == 0x09 }) else {
            throw Self.refusal("the header \(name) holds a line break, a control character or one that is not ASCII")
        }
        if name == "set-cookie" { try Self.checkCookie(header.value) }
    }

    /// A cookie without a name is sent back as its value alone, which could then read as any cookie.
    private static func checkCookie(_ value: String) throws(ApusError) {
        let pair = value.prefix { $0 != ";" }
        guard let equals = pair.firstIndex(of: "=") else { throw Self.refusal("a cookie has no name") }
        let name = pair[..<equals].filter { $0 != " " && $0 != "\t" }
        guard !name.isEmpty else { throw Self.refusal("a cookie has no name") }
        guard name.lowercased() != Self.sessionCookie else {
            throw Self.refusal("the cookie \(Self.sessionCookie) is the server's own")
        }
    }

    private static func refusal(_ why: String) -> ApusError {
        ApusError(.functionFailed, "the function's answer cannot be sent: \(why)")
    }
}
