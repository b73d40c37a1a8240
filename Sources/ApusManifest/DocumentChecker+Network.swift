internal import ApusCore

extension DocumentChecker {
    /// Headers that say how a message is read, or whom it is for: nobody's secret.
    private static let framing: Set<String> = [
        "host", "connection", "content-length", "transfer-encoding", "te", "trailer", "upgrade", "keep-alive", "expect",
    ]

    /// - Returns: nil for `none`.
    mutating func network(_ spec: Checked) -> NetworkAccess? {
        guard let network = spec["sandbox"]?["network"], network["allow"] != nil else { return nil }
        var access = NetworkAccess(allow: [])
        for field in network["allow"]?.list ?? [] {
            guard let rule = field.text.flatMap({ try? NetworkRule($0) }) else { continue }
            if access.allow.contains(rule) {
                self.checker.fail(
                    field.location, "`\(field.path)` is `\(rule)` for the second time, expected each host once")
            }
            access.allow.append(rule)
        }
        if access.allow.isEmpty, network["allow"]?.list.isEmpty == true {
            self.checker.fail(
                network.location, "`\(network.path).allow` is empty, expected a host, or `network: none` for no network"
            )
        }
        for field in network["inject"]?.list ?? [] {
            guard let injection = self.injection(field, access) else { continue }
            access.inject.append(injection)
        }
        return access
    }

    private mutating func injection(_ field: Checked, _ access: NetworkAccess) -> HeaderInjection? {
        guard let to = field["to"], let text = to.text, let secret = field["secret"]?.text else { return nil }
        let target: NetworkTarget
        do throws(NetworkTextError) { target = try NetworkTarget(text) } catch {
            self.checker.fail(
                to.location, "`\(to.path)` is `\(YAMLNode.shorten(text))`, expected one host, without a *")
            return nil
        }
        if !access.allows(target) {
            self.checker.fail(
                to.location,
                "`\(to.path)` is `\(target)`, expected a host and a port that `spec.sandbox.network.allow` covers")
        }
        return HeaderInjection(
            target: target, header: self.header(field, access, target), secret: secret, prefix: self.prefix(field),
            paths: self.paths(field), methods: self.methods(field))
    }

    private mutating func header(_ field: Checked, _ access: NetworkAccess, _ target: NetworkTarget) -> String {
        guard let header = field["header"], let text = header.text else { return "authorization" }
        let name = text.lowercased()
        let isToken =
            (1...Limits.Network.headerNameBytes).contains(name.utf8.count) && name.utf8.allSatisfy(Self.isToken)
        if !isToken || Self.framing.contains(name) || name.hasPrefix("proxy-") {
            self.checker.fail(
                header.location,
                "`\(header.path)` is `\(YAMLNode.shorten(text))`, expected the name of a header such as X-Api-Key, and none that "
                    + "says how a message is read")
        }
        return name
    }

    private mutating func prefix(_ field: Checked) -> String {
        guard let prefix = field["prefix"], let text = prefix.text else { return "" }
        let isGood =
            text.utf8.count <= Limits.Network.headerPrefixBytes && text.utf8.allSatisfy { (0x20..<0x7F).contains($0) }
        if !isGood {
            self.checker.fail(
                prefix.location,
                "`\(prefix.path)` is too long or not plain ASCII, expected at most \(Limits.Network.headerPrefixBytes) bytes such as `Bearer `"
            )
        }
        return text
    }

    private mutating func paths(_ field: Checked) -> [String] {
        (field["paths"]?.list ?? []).compactMap { path in
            guard let text = path.text else { return nil }
            let steps = text.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            let isPlain = text.utf8.allSatisfy { (0x21..<0x7F).contains($0) && !"?#%\\".utf8.contains($0) }
            if !isPlain || text.utf8.count > Limits.Network.pathBytes || steps.contains("..") || steps.contains(".")
                || text.contains("//")
            {
                self.checker.fail(
                    path.location,
                    "`\(path.path)` is `\(YAMLNode.shorten(text))`, expected a path such as /v1/ without query, escapes and dot segments"
                )
            }
            return text
        }
    }

    private mutating func methods(_ field: Checked) -> [String] {
        (field["methods"]?.list ?? []).compactMap { method in
            guard let text = method.text else { return nil }
            if !(1...32).contains(text.utf8.count) || !text.utf8.allSatisfy({ (0x41...0x5A).contains($0) }) {
                self.checker.fail(
                    method.location, "`\(method.path)` is `\(YAMLNode.shorten(text))`, expected a method such as POST")
            }
            return text
        }
    }

    /// RFC 9110, section 5.6.2.
    static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x30...0x39, 0x61...0x7A, 0x21, 0x23...0x27, 0x2A, 0x2B, 0x2D, 0x2E, 0x5E...0x60, 0x7C, 0x7E: true
        default: false
        }
    }
}
