public import ApusCore

/// The URL of an MCP server that others run.
public struct ServerAddress: Sendable, Equatable {
    public let url: String
    public let isEncrypted: Bool
    public let target: NetworkTarget
    /// What lets a function connect there.
    public let rule: NetworkRule

    /// Whether a handler is meant as one, and not as a command.
    public static func isURL(_ text: String) -> Bool { text.hasPrefix("http://") || text.hasPrefix("https://") }

    /// - Returns: nil for what is no such URL: with a user, a fragment, or anything that must be percent-encoded.
    public init?(_ url: String) {
        guard Self.isURL(url), url.utf8.count <= Limits.Manifest.addressBytes,
            url.utf8.allSatisfy({ (0x21..<0x7F).contains($0) && $0 != 0x22 && $0 != 0x5C }), !url.contains("#")
        else { return nil }
        self.isEncrypted = url.hasPrefix("https://")
        let rest = url.dropFirst(self.isEncrypted ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" }
        guard !authority.contains("@"),
            let target = try? NetworkTarget(authority, standard: self.isEncrypted ? 443 : 80),
            let rule = try? NetworkRule("\(target)")
        else { return nil }
        self.url = url
        self.target = target
        self.rule = rule
    }
}
