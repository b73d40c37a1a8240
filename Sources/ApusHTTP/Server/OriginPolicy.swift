internal import ApusCore

/// Who may ask: under which names of ours, and from which web pages.
///
/// Loopback is no protection against a browser: a page can resolve its own name to 127.0.0.1 (it then sends its name as Host),
/// and can post to us from anywhere (it then sends its Origin). Both are checked before anything else sees the request.
public struct OriginPolicy: Sendable {
    /// Names and addresses we answer to, in lower case, without port.
    public var hosts: Set<String>
    /// Origins of other pages that may ask, like `https://console.example.com`. A page of ours always may.
    public var origins: Set<String>

    public init(hosts: Set<String> = ["localhost", "127.0.0.1", "[::1]"], origins: Set<String> = []) {
        self.hosts = hosts
        self.origins = origins
    }

    func problem(host: String?, origin: String?) -> Problem? {
        let host = (host ?? "").lowercased()
        guard self.hosts.contains(OriginPolicy.withoutPort(host)) else {
            return Problem(
                .hostNotAllowed,
                "this server does not answer to the host '\(host.prefix(255))': add it to the allowed hosts")
        }
        guard let origin = origin?.lowercased() else { return nil }
        if Self.isOwn(origin: origin, host: host) || self.origins.contains(origin) { return nil }
        return Problem(
            .forbidden,
            "pages of the origin '\(origin.prefix(255))' may not use this server: add it to the allowed origins")
    }

    /// Whether a page that says it is of `origin` came from the server that was asked as `host`.
    public static func isOwn(origin: String, host: String) -> Bool {
        let (origin, host) = (origin.lowercased(), host.lowercased())
        return origin == "http://\(host)" || origin == "https://\(host)"
    }

    /// `[::1]:80` is `[::1]`, `localhost:80` is `localhost`; what is neither stays whole and matches nothing.
    static func withoutPort(_ host: String) -> String {
        let bytes = host.utf8
        let isBracketed = bytes.first == UInt8(ascii: "[")
        let end = bytes.lastIndex(of: UInt8(ascii: "]")) ?? bytes.startIndex
        let colon = isBracketed ? bytes.index(after: end) : bytes.firstIndex(of: UInt8(ascii: ":")) ?? bytes.endIndex
        guard colon < bytes.endIndex, bytes[colon] == UInt8(ascii: ":") else { return host }
        let port = bytes[bytes.index(after: colon)...]
        guard port.count <= 5, port.allSatisfy({ (0x30...0x39).contains($0) }) else { return host }
        return String(host[..<colon])
    }
}
