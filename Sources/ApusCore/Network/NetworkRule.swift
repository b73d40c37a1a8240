/// An entry of `network.allow`: one host, or all names below a domain, and one port.
public struct NetworkRule: Sendable, Hashable, CustomStringConvertible {
    public enum Hosts: Sendable, Hashable {
        case exactly(NetworkHost)
        /// `*.example.com`: every name below, never the domain itself.
        case below(String)
    }

    public let hosts: Hosts
    public let port: UInt16

    /// - Throws: what is wrong with it. An address that does not lead to the open internet is refused: that is the operator's to allow.
    public init(_ text: String) throws(NetworkTextError) {
        guard text.hasPrefix("*") else {
            let target = try NetworkTarget(text)
            if case .address(let address) = target.host, address.kind != .open {
                throw NetworkTextError(
                    "is a \(address.kind.rawValue) address, which no manifest may allow: give a name, and have the operator allow its address"
                )
            }
            self.hosts = .exactly(target.host)
            self.port = target.port
            return
        }
        guard text.hasPrefix("*.") else {
            throw NetworkTextError("has a * that is no whole label: write *.example.com:443")
        }
        let target = try NetworkTarget(text.dropFirst(2))
        guard case .name(let domain) = target.host, domain.utf8.contains(UInt8(ascii: ".")) else {
            throw NetworkTextError(
                "allows too much: name a domain of at least two labels behind the *, as *.example.com:443")
        }
        self.hosts = .below(domain)
        self.port = target.port
    }

    public func matches(_ target: NetworkTarget) -> Bool {
        guard self.port == target.port else { return false }
        switch self.hosts {
        case .exactly(let host): return host == target.host
        case .below(let domain):
            guard case .name(let name) = target.host else { return false }
            return name.utf8.count > domain.utf8.count + 1 && name.hasSuffix("." + domain)
        }
    }

    public var description: String {
        switch self.hosts {
        case .exactly(let host): "\(host):\(self.port)"
        case .below(let domain): "*.\(domain):\(self.port)"
        }
    }
}

/// An entry of `network.inject`: a secret that requests get as a header on their way out, without the function ever having it.
public struct HeaderInjection: Sendable, Hashable {
    public var target: NetworkTarget
    /// In lower case.
    public var header: String
    public var secret: String
    /// What stands before the secret in the header's value, as `Bearer `.
    public var prefix: String
    /// Prefixes of paths, whole segments each; empty for every path.
    public var paths: [String]
    /// Empty for every method.
    public var methods: [String]

    public init(
        target: NetworkTarget, header: String = "authorization", secret: String, prefix: String = "",
        paths: [String] = [], methods: [String] = []
    ) {
        self.target = target
        self.header = header
        self.secret = secret
        self.prefix = prefix
        self.paths = paths
        self.methods = methods
    }
}

/// What a function may connect to, as its manifest says.
public struct NetworkAccess: Sendable, Hashable {
    public var allow: [NetworkRule]
    public var inject: [HeaderInjection]

    public init(allow: [NetworkRule], inject: [HeaderInjection] = []) {
        self.allow = allow
        self.inject = inject
    }

    public func allows(_ target: NetworkTarget) -> Bool { self.allow.contains { $0.matches(target) } }

    /// Names of the secrets that are injected, each once.
    public var secrets: [String] {
        var names: [String] = []
        for injection in self.inject where !names.contains(injection.secret) { names.append(injection.secret) }
        return names
    }
}
