public import ApusCore

/// Why something does not go out. Its text holds nothing that the function wrote but a host that was read.
public struct EgressRefusal: Error, Sendable, Equatable {
    public enum Reason: String, Sendable, CaseIterable {
        /// The request can be read in more than one way, or not at all.
        case malformed
        /// The manifest does not allow the host and the port.
        case notAllowed = "not_allowed"
        /// Its address is not open to everyone.
        case privateAddress = "private_address"
        case hostMismatch = "host_mismatch"
        /// The path can be read as another one, and decides about a secret.
        case ambiguousPath = "ambiguous_path"
        case unresolved
        case unreachable
        case tlsFailed = "tls_failed"
        case timeout
        /// Bytes of the connection, of the worker or of all.
        case limit
    }

    public var reason: Reason
    public var message: String
    public var status: Int
    public var target: NetworkTarget?

    init(_ reason: Reason, _ message: String, status: Int? = nil, target: NetworkTarget? = nil) {
        self.reason = reason
        self.message = message
        self.status =
            status
            ?? {
                switch reason {
                case .malformed: 400
                case .notAllowed, .privateAddress, .hostMismatch, .ambiguousPath, .limit: 403
                case .unresolved, .unreachable, .tlsFailed: 502
                case .timeout: 504
                }
            }()
        self.target = target
    }

    /// Whether it was decided so, rather than having failed.
    public var isDenial: Bool { self.status / 100 == 4 }
}

/// What one worker may have: decides about a request without doing anything.
struct EgressPolicy {
    let access: NetworkAccess
    /// The values of headers, in the order of `access.inject`.
    let values: [[UInt8]]

    struct Passage: Equatable {
        var target: NetworkTarget
        var isEncrypted: Bool
        /// What is sent instead of the head that came; nil for a tunnel.
        var head: [UInt8]?
        /// The headers that were injected.
        var injected: [String]
    }

    /// Fields that concern the connection to the proxy, not the request.
    private static let dropped: Set<String> = [
        "host", "connection", "keep-alive", "te", "trailer", "upgrade", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "http2-settings",
    ]
    /// With these, a server may take a request for one of another method or path than the one that a secret was allowed for.
    private static let overriding: Set<String> = [
        "x-http-method-override", "x-http-method", "x-method-override", "x-original-url", "x-rewrite-url",
        "x-forwarded-prefix", "x-original-uri",
    ]

    func decide(_ request: ProxyRequest) throws(EgressRefusal) -> Passage {
        switch request.form {
        case .tunnel(let target):
            try self.check(target)
            return Passage(target: target, isEncrypted: false, head: nil, injected: [])
        case .request(let target, let isEncrypted, let path):
            try self.check(target)
            let candidates = self.access.inject.indices.filter { self.access.inject[$0].target == target }
            if candidates.contains(where: { !self.access.inject[$0].paths.isEmpty }), !Self.isPlain(path) {
                throw EgressRefusal(
                    .ambiguousPath,
                    "the path holds dot segments, empty ones or escaped slashes, and decides about a secret",
                    target: target)
            }
            let chosen = candidates.filter { self.applies(self.access.inject[$0], request.method, path) }
            return Passage(
                // A secret never goes out in the clear, and nobody speaks plainly on 443.
                target: target, isEncrypted: isEncrypted || target.port == 443 || !candidates.isEmpty,
                head: self.head(
                    request, target, isEncrypted || target.port == 443 || !candidates.isEmpty, path, chosen),
                injected: chosen.map { self.access.inject[$0].header })
        }
    }

    private func check(_ target: NetworkTarget) throws(EgressRefusal) {
        guard !self.access.allows(target) else { return }
        let other = self.access.allow.first {
            $0.port != target.port && NetworkAccess(allow: [$0]).allows(NetworkTarget(target.host, port: $0.port))
        }
        let hint = other.map { "; port \($0.port) of it is" } ?? ""
        throw EgressRefusal(
            .notAllowed, "\(target) is not in spec.sandbox.network.allow\(hint)", target: target)
    }

    private func applies(_ injection: HeaderInjection, _ method: String, _ path: String) -> Bool {
        guard injection.methods.isEmpty || injection.methods.contains(method) else { return false }
        guard !injection.paths.isEmpty else { return true }
        let path = path.prefix { $0 != "?" }
        return injection.paths.contains { prefix in
            guard path.hasPrefix(prefix) else { return false }
            return prefix.hasSuffix("/") || path.utf8.count == prefix.utf8.count
                || path.utf8[path.utf8.index(path.utf8.startIndex, offsetBy: prefix.utf8.count)] == UInt8(ascii: "/")
        }
    }

    /// Whether every server reads the same path in it.
    static func isPlain(_ path: String) -> Bool {
        let path = path.prefix { $0 != "?" }.lowercased()
        let steps = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        let isClean = !["%2e", "%2f", "%5c", "%25", "%00", "\\", ";"].contains { path.contains($0) }
        return isClean && !steps.dropLast().contains("") && !steps.contains(".") && !steps.contains("..")
    }

    private func head(
        _ request: ProxyRequest, _ target: NetworkTarget, _ isEncrypted: Bool, _ path: String, _ chosen: [Int]
    ) -> [UInt8] {
        let isStandard = target.port == (isEncrypted ? 443 : 80)
        var head = Array(
            "\(request.method) \(path) HTTP/1.1\r\nHost: \(isStandard ? "\(target.host)" : "\(target)")\r\n".utf8)
        var dropped = Self.dropped
        for field in request.fields where field.name == "connection" {
            for name in String(decoding: field.value, as: UTF8.self).lowercased().split(separator: ",") {
                let name = name.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" }
                // What frames the body stays, whatever the connection is said to be about.
                if name != "content-length", name != "transfer-encoding" { dropped.insert(String(name)) }
            }
        }
        for index in chosen {
            dropped.insert(self.access.inject[index].header)
            dropped.formUnion(Self.overriding)
        }
        for field in request.fields where !dropped.contains(field.name) {
            head += field.name.utf8
            head += [0x3A, 0x20]
            head += field.value
            head += [0x0D, 0x0A]
        }
        for index in chosen {
            let injection = self.access.inject[index]
            head += "\(injection.header): \(injection.prefix)".utf8
            head += self.values[index]
            head += [0x0D, 0x0A]
        }
        return head + "Connection: close\r\n\r\n".utf8
    }
}
