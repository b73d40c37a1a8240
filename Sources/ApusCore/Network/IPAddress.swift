/// An IP address: 4 or 16 bytes in network order.
public struct IPAddress: Sendable, Hashable {
    public let bytes: [UInt8]

    /// - Returns: nil unless there are 4 or 16 bytes.
    public init?(bytes: [UInt8]) {
        guard bytes.count == 4 || bytes.count == 16 else { return nil }
        self.bytes = bytes
    }

    init(v4 bytes: ArraySlice<UInt8>) {
        precondition(bytes.count == 4)
        self.bytes = Array(bytes)
    }

    public var isV4: Bool { self.bytes.count == 4 }

    /// Reads the one canonical form of IPv4 (four decimal numbers without leading zeros) and every form of IPv6 that RFC 4291 has. What
    /// C libraries take besides, as `0x7f.1` and `2130706433`, is no address here: two readers could differ over it.
    public init?(_ text: some StringProtocol) {
        if text.utf8.contains(UInt8(ascii: ":")) {
            guard let bytes = Self.v6(Array(text.utf8)) else { return nil }
            self.bytes = bytes
        } else {
            guard let bytes = Self.v4(Array(text.utf8)[...]) else { return nil }
            self.bytes = bytes
        }
    }

    private static func v4(_ text: ArraySlice<UInt8>) -> [UInt8]? {
        let parts = text.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bytes: [UInt8] = []
        for part in parts {
            guard (1...3).contains(part.count), part.allSatisfy({ (0x30...0x39).contains($0) }),
                part.count == 1 || part.first != 0x30,
                let number = UInt8(String(decoding: part, as: UTF8.self))
            else { return nil }
            bytes.append(number)
        }
        return bytes
    }

    private static func v6(_ text: [UInt8]) -> [UInt8]? {
        guard text.count <= 45 else { return nil }
        // One `::` at most, which stands for at least one group of zeros.
        var halves: [[UInt8]] = []
        var rest = text[...]
        let gap = text.indices.dropLast().first { text[$0] == 0x3A && text[$0 + 1] == 0x3A }
        if let gap {
            guard let head = Self.groups(text[..<gap], isLast: false) else { return nil }
            halves.append(head)
            rest = text[(gap + 2)...]
        }
        guard let tail = Self.groups(rest, isLast: true) else { return nil }
        halves.append(tail)
        let count = halves.reduce(0) { $0 + $1.count }
        guard gap == nil ? count == 16 : count <= 14 else { return nil }
        guard gap != nil else { return tail }
        return halves[0] + [UInt8](repeating: 0, count: 16 - count) + tail
    }

    /// Groups of up to four hexadecimal digits; the last two may be written as IPv4.
    private static func groups(_ text: ArraySlice<UInt8>, isLast: Bool) -> [UInt8]? {
        guard !text.isEmpty else { return [] }
        let parts = text.split(separator: 0x3A, omittingEmptySubsequences: false)
        guard parts.count <= 8 else { return nil }
        var bytes: [UInt8] = []
        for (index, part) in parts.enumerated() {
            if isLast, index == parts.count - 1, part.contains(UInt8(ascii: ".")) {
                guard let v4 = Self.v4(part) else { return nil }
                bytes += v4
                continue
            }
            let isHexadecimal = part.allSatisfy {
                (0x30...0x39).contains($0) || (0x41...0x46).contains($0) || (0x61...0x66).contains($0)
            }
            guard (1...4).contains(part.count), isHexadecimal,
                let number = UInt16(String(decoding: part, as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(UInt8(number >> 8))
            bytes.append(UInt8(number & 0xFF))
        }
        return bytes.count <= 16 ? bytes : nil
    }
}

extension IPAddress: CustomStringConvertible {
    /// RFC 5952: the longest run of zero groups as `::`.
    public var description: String {
        if self.isV4 { return self.bytes.map { String($0) }.joined(separator: ".") }
        let groups = stride(from: 0, to: 16, by: 2).map { UInt16(self.bytes[$0]) << 8 | UInt16(self.bytes[$0 + 1]) }
        var best = 0..<0
        var start = 0
        while start < 8 {
            var end = start
            while end < 8, groups[end] == 0 { end += 1 }
            if end - start > best.count, end - start > 1 { best = start..<end }
            start = max(end, start + 1)
        }
        func text(_ range: Range<Int>) -> String {
            groups[range].map { String($0, radix: 16) }.joined(separator: ":")
        }
        return best.isEmpty ? text(0..<8) : "\(text(0..<best.lowerBound))::\(text(best.upperBound..<8))"
    }
}
