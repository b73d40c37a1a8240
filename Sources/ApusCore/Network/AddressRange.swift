/// Addresses that share their first bits, as `10.0.0.0/8`; one address alone has all of them.
public struct AddressRange: Sendable, Hashable, CustomStringConvertible {
    public let first: IPAddress
    public let bits: Int

    /// - Returns: nil for what is neither an address nor a range, and for one whose address goes on behind its bits.
    public init?(_ text: some StringProtocol) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first.flatMap({ IPAddress($0) }) else { return nil }
        self.first = first
        let all = first.bytes.count * 8
        if parts.count == 2 {
            guard let bits = Int(parts[1]), (0...all).contains(bits), String(bits) == parts[1] else { return nil }
            self.bits = bits
        } else {
            self.bits = all
        }
        for bit in self.bits..<all where first.bytes[bit / 8] >> UInt8(7 - bit % 8) & 1 != 0 { return nil }
    }

    public func contains(_ address: IPAddress) -> Bool {
        guard address.bytes.count == self.first.bytes.count else { return false }
        let whole = self.bits / 8
        guard address.bytes[..<whole] == self.first.bytes[..<whole] else { return false }
        let rest = self.bits % 8
        return rest == 0 || (address.bytes[whole] ^ self.first.bytes[whole]) >> UInt8(8 - rest) == 0
    }

    public var description: String {
        self.bits == self.first.bytes.count * 8 ? "\(self.first)" : "\(self.first)/\(self.bits)"
    }
}

/// What an address leads to. Only `open` ones are for everyone; all others lead into somebody's own machine or network.
public enum AddressKind: String, Sendable, Hashable {
    case open
    case unspecified
    case loopback
    case linkLocal = "link-local"
    case `private`
    case shared
    case metadata
    case multicast
    /// Set apart for documentation, measuring, protocols or the future.
    case reserved
    /// An IPv6 address that carries an IPv4 one in a way that no server of the internet is reached by.
    case embedded
}

extension IPAddress {
    private static let v4Kinds: [(AddressRange, AddressKind)] = ranges([
        ("0.0.0.0/8", .unspecified), ("10.0.0.0/8", .private), ("100.64.0.0/10", .shared), ("127.0.0.0/8", .loopback),
        ("169.254.169.254", .metadata), ("169.254.0.0/16", .linkLocal), ("172.16.0.0/12", .private),
        ("192.0.0.192", .metadata), ("192.0.0.0/24", .reserved), ("192.0.2.0/24", .reserved),
        ("192.88.99.0/24", .reserved), ("192.168.0.0/16", .private), ("198.18.0.0/15", .reserved),
        ("198.51.100.0/24", .reserved), ("203.0.113.0/24", .reserved), ("224.0.0.0/4", .multicast),
        ("240.0.0.0/4", .reserved),
        // A cloud's service for its machines at an address that looks like any other.
        ("168.63.129.16", .metadata),
    ])

    private static let v6Kinds: [(AddressRange, AddressKind)] = ranges([
        ("::", .unspecified), ("::1", .loopback), ("fd00:ec2::254", .metadata), ("fc00::/7", .private),
        ("fe80::/10", .linkLocal), ("fec0::/10", .private), ("ff00::/8", .multicast), ("64:ff9b:1::/48", .private),
        ("2001:db8::/32", .reserved), ("3fff::/20", .reserved),
        // Among them Teredo, which carries an IPv4 address, and others that are no servers.
        ("2001::/23", .reserved),
    ])

    private static let openV6 = ranges([("2000::/3", .open)])[0].0

    private static func ranges(_ list: [(String, AddressKind)]) -> [(AddressRange, AddressKind)] {
        list.map { text, kind in
            guard let range = AddressRange(text) else { preconditionFailure("\(text) is no range") }
            return (range, kind)
        }
    }

    /// Where it leads. An IPv6 address that carries an IPv4 one (mapped, NAT64, 6to4, ISATAP) leads where that one does.
    public var kind: AddressKind {
        if self.isV4 { return Self.v4Kinds.first { $0.0.contains(self) }?.1 ?? .open }
        if let kind = Self.v6Kinds.first(where: { $0.0.contains(self) })?.1 { return kind }
        if let translated = self.translated { return translated.kind }
        guard Self.openV6.contains(self) else {
            return self.bytes[..<12].allSatisfy { $0 == 0 } ? .embedded : .reserved
        }
        return self.tunnelled?.kind ?? .open
    }

    /// The IPv4 address that the kernel (mapped) or a translator (NAT64, stateless) sends to.
    private var translated: IPAddress? {
        let bytes = self.bytes
        let isMapped = bytes[..<10].allSatisfy { $0 == 0 } && bytes[10] == 0xFF && bytes[11] == 0xFF
        let isStateless =
            bytes[..<8].allSatisfy { $0 == 0 } && bytes[8] == 0xFF && bytes[9] == 0xFF && bytes[10] == 0
            && bytes[11] == 0
        let isNAT64 = bytes[..<4] == [0x00, 0x64, 0xFF, 0x9B] && bytes[4..<12].allSatisfy { $0 == 0 }
        return isMapped || isStateless || isNAT64 ? IPAddress(v4: bytes[12...]) : nil
    }

    /// The IPv4 address at which 6to4 or ISATAP has the other end of a tunnel.
    private var tunnelled: IPAddress? {
        let bytes = self.bytes
        if bytes[0] == 0x20, bytes[1] == 0x02 { return IPAddress(v4: bytes[2..<6]) }
        let isISATAP = (bytes[8] == 0 || bytes[8] == 2) && bytes[9] == 0 && bytes[10] == 0x5E && bytes[11] == 0xFE
        return isISATAP ? IPAddress(v4: bytes[12...]) : nil
    }
}
