/// Whom a connection is for: a name or an address, in the one form in which two of them can be compared.
public enum NetworkHost: Sendable, Hashable, CustomStringConvertible {
    /// In lower case, without a dot at the end, labels of other scripts in their ASCII form.
    case name(String)
    case address(IPAddress)

    /// - Parameter text: a name, an IPv4 address, or an IPv6 address in brackets.
    /// - Throws: what is wrong with it, as the rest of a sentence that starts with it.
    public init(_ text: some StringProtocol) throws(NetworkTextError) {
        if text.utf8.first == UInt8(ascii: "[") {
            guard text.hasSuffix("]"), let address = IPAddress(text.dropFirst().dropLast()),
                !address.isV4
            else { throw NetworkTextError("is no IPv6 address in brackets") }
            self = .address(address)
            return
        }
        var labels: [String] = []
        var parts = text.split(separator: ".", omittingEmptySubsequences: false)
        if parts.count > 1, parts.last?.isEmpty == true { parts.removeLast() }
        for part in parts { labels.append(try Self.label(part)) }
        let name = labels.joined(separator: ".")
        guard !name.isEmpty, name.utf8.count <= Limits.Network.nameBytes else {
            throw NetworkTextError("is no host: a name has 1 to \(Limits.Network.nameBytes) bytes")
        }
        // Whatever ends in a number some library takes for an IPv4 address.
        if let last = labels.last, Self.isNumber(last) {
            guard let address = IPAddress(name) else {
                throw NetworkTextError("is no IPv4 address in its usual form: four decimal numbers, as 192.0.2.1")
            }
            self = .address(address)
            return
        }
        self = .name(name)
    }

    private static func label(_ text: some StringProtocol) throws(NetworkTextError) -> String {
        let problem = NetworkTextError(
            "is no host: labels are 1 to \(Limits.Network.labelBytes) letters, digits and -, with no - at their ends")
        var label = ""
        if text.utf8.allSatisfy({ $0 < 0x80 }) {
            for byte in text.utf8 {
                switch byte {
                case 0x30...0x39, 0x61...0x7A, 0x2D: label.unicodeScalars.append(Unicode.Scalar(byte))
                case 0x41...0x5A: label.unicodeScalars.append(Unicode.Scalar(byte | 0x20))
                default: throw problem
                }
            }
        } else {
            guard let encoded = Punycode.label(text) else {
                throw NetworkTextError(
                    "holds a character that no host name may hold; write it in its ASCII form, xn--…")
            }
            label = encoded
        }
        guard (1...Limits.Network.labelBytes).contains(label.utf8.count), label.utf8.first != 0x2D,
            label.utf8.last != 0x2D
        else { throw problem }
        return label
    }

    private static func isNumber(_ label: String) -> Bool {
        let isHexadecimal = label.hasPrefix("0x")
        return label.utf8.dropFirst(isHexadecimal ? 2 : 0).allSatisfy {
            (0x30...0x39).contains($0) || isHexadecimal && (0x61...0x66).contains($0)
        }
    }

    public var description: String {
        switch self {
        case .name(let name): name
        case .address(let address): address.isV4 ? "\(address)" : "[\(address)]"
        }
    }
}

/// A host and a port.
public struct NetworkTarget: Sendable, Hashable, CustomStringConvertible {
    public let host: NetworkHost
    public let port: UInt16

    public init(_ host: NetworkHost, port: UInt16) {
        self.host = host
        self.port = port
    }

    /// - Parameter standard: the port where none is written; nil where one must be.
    public init(_ text: some StringProtocol, standard: UInt16? = nil) throws(NetworkTextError) {
        let colon = text.lastIndex(of: ":")
        let bracket = text.lastIndex(of: "]")
        if let colon, bracket.map({ $0 < colon }) ?? true {
            self.port = try Self.port(text[text.index(after: colon)...])
            self.host = try NetworkHost(text[..<colon])
        } else {
            guard let standard else { throw NetworkTextError("has no port: write it as host:443") }
            self.port = standard
            self.host = try NetworkHost(text)
        }
    }

    static func port(_ text: some StringProtocol) throws(NetworkTextError) -> UInt16 {
        guard (1...5).contains(text.utf8.count), text.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            text.utf8.first != 0x30, let port = UInt16(text)
        else { throw NetworkTextError("has no port from 1 to 65535") }
        return port
    }

    public var description: String { "\(self.host):\(self.port)" }
}

/// What is wrong with a host, a port or a rule, as the rest of a sentence that starts with it.
public struct NetworkTextError: Error, Sendable, Equatable {
    public let message: String
    init(_ message: String) { self.message = message }
}

extension Limits {
    /// Bounds of what a function may connect to.
    public enum Network {
        public static let nameBytes = 253
        public static let labelBytes = 63
        /// Entries of `network.allow`.
        public static let rules = 64
        /// Entries of `network.inject`.
        public static let injections = 16
        /// Path prefixes and methods of one of them.
        public static let prefixes = 16
        public static let pathBytes = 256
        public static let headerNameBytes = 64
        public static let headerPrefixBytes = 64
    }
}
