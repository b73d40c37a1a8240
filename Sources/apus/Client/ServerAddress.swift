internal import ApusCore

/// The server a command talks to: an address without path.
struct ServerAddress: Sendable, Equatable {
    static let `default` = "http://127.0.0.1:8787"

    /// `http://host:port`, no slash at its end.
    let url: String
    /// The machine's own token is shown to the machine's own server only, never sent elsewhere.
    let isLoopback: Bool

    init(_ text: String) throws(UsageError) {
        var url = text.contains("://") ? text : "http://\(text)"
        if url.hasSuffix("/"), !url.hasSuffix("//") { url.removeLast() }
        guard url.hasPrefix("http://") || url.hasPrefix("https://") else {
            throw UsageError("the server '\(text)' is not a URL that starts with http:// or https://")
        }
        let authority = url.dropFirst(url.hasPrefix("https://") ? 8 : 7)
        guard !authority.isEmpty, authority.utf8.allSatisfy({ $0 > 0x20 && $0 < 0x7F }),
            !authority.contains(where: { "/?#@".contains($0) })
        else {
            throw UsageError("the server '\(text)' is no address: expected one like \(Self.default)")
        }
        self.url = url
        let host =
            authority.hasPrefix("[") ? authority.prefix { $0 != "]" }.dropFirst() : authority.prefix { $0 != ":" }
        let bytes = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        let isLoopbackV4 = bytes.count == 4 && bytes.first == 127 && !bytes.contains(nil)
        self.isLoopback = host == "localhost" || host == "::1" || isLoopbackV4
    }
}
