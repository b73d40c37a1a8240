internal import ApusCore

/// Finds secrets in what functions print, without holding them: of each value only its length and a hash under a base that this
/// process alone knows are kept, and a window of that length is moved over the line.
///
/// Hashes are polynomials modulo 2^61 - 1, so that a false match happens once in about 10^14 lines and does no harm.
public struct SecretMasks: Sendable {
    private struct Group {
        var length: Int
        /// The base to the power of `length - 1`: what the byte that leaves the window counted.
        var power: UInt64
        var hashes: Set<UInt64>
    }

    private static let prime: UInt64 = (1 << 61) - 1
    /// From the system's generator: whoever does not know it cannot make lines that match.
    private static let base = UInt64.random(in: 1 << 32..<Self.prime)
    private static let mask = Array("***".utf8)

    private var groups: [Group] = []
    private(set) var count = 0

    public init() {}

    public var isEmpty: Bool { self.groups.isEmpty }

    /// Adds a value: each of its lines, since output is looked at by line. Those that are short, and what is over the bounds, are
    /// not looked for.
    public mutating func add(_ value: UnsafeRawBufferPointer) {
        for line in value.split(whereSeparator: { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r") }) {
            guard (Limits.Host.maskedBytesMin...Limits.Host.lineBytes).contains(line.count) else { continue }
            self.add(line: UnsafeRawBufferPointer(rebasing: line))
        }
    }

    private mutating func add(line: UnsafeRawBufferPointer) {
        guard self.count < Limits.Host.masks else { return }
        let place: Int
        if let known = self.groups.firstIndex(where: { $0.length == line.count }) {
            place = known
        } else {
            guard self.groups.count < Limits.Host.maskLengths else { return }
            var power: UInt64 = 1
            for _ in 1..<line.count { power = Self.multiply(power, Self.base) }
            place = self.groups.count
            self.groups.append(Group(length: line.count, power: power, hashes: []))
        }
        if self.groups[place].hashes.insert(Self.hash(line)).inserted { self.count += 1 }
    }

    /// Adds what another one looks for.
    public mutating func merge(_ other: SecretMasks) {
        for group in other.groups {
            guard let place = self.groups.firstIndex(where: { $0.length == group.length }) else {
                guard self.groups.count < Limits.Host.maskLengths else { continue }
                self.groups.append(group)
                self.count += group.hashes.count
                continue
            }
            for hash in group.hashes where self.groups[place].hashes.insert(hash).inserted { self.count += 1 }
        }
    }

    /// The length of the longest secret, 0 without any.
    var longest: Int { self.groups.reduce(0) { max($0, $1.length) } }

    /// The line with every secret of the function as `***`.
    public func apply(_ line: [UInt8]) -> [UInt8] {
        guard !self.isEmpty else { return line }
        var masked: [UInt8] = []
        let at = self.apply(line, from: 0, upTo: line.count, into: &masked)
        return at == 0 ? line : masked + line[at...]
    }

    /// Appends a part of the text as it may be told.
    /// - Parameters:
    ///   - from: where the text begins that is not told yet; what lies before it was taken for a secret.
    ///   - end: secrets that begin from here on are left for later.
    /// - Returns: up to where the text was told: less than `end` for what holds no secret, more where one reaches beyond it.
    func apply(_ text: [UInt8], from: Int, upTo end: Int, into masked: inout [UInt8]) -> Int {
        var found: [Range<Int>] = []
        text.withUnsafeBytes { bytes in
            for group in self.groups { Self.search(bytes, group, &found) }
        }
        found.sort { $0.lowerBound < $1.lowerBound }
        var at = from
        for range in found where range.lowerBound < end {
            // One that lies in another, or goes on from it, is the same three stars.
            if range.lowerBound >= at {
                masked += text[at..<range.lowerBound]
                masked += Self.mask
            }
            at = max(at, range.upperBound)
        }
        return at
    }

    /// The same of text.
    func apply(_ text: String) -> String {
        guard !self.isEmpty else { return text }
        return String(decoding: self.apply(Array(text.utf8)), as: UTF8.self)
    }

    private static func search(_ bytes: UnsafeRawBufferPointer, _ group: Group, _ found: inout [Range<Int>]) {
        let length = group.length
        guard bytes.count >= length else { return }
        var hash = Self.hash(UnsafeRawBufferPointer(rebasing: bytes[..<length]))
        var end = length
        while true {
            if group.hashes.contains(hash) { found.append(end - length..<end) }
            guard end < bytes.count else { return }
            let leaving = Self.multiply(UInt64(bytes[end - length]) + 1, group.power)
            hash = Self.add(hash, Self.prime - leaving)
            hash = Self.add(Self.multiply(hash, Self.base), UInt64(bytes[end]) + 1)
            end += 1
        }
    }

    private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt64 {
        var hash: UInt64 = 0
        for byte in bytes { hash = Self.add(Self.multiply(hash, Self.base), UInt64(byte) + 1) }
        return hash
    }

    private static func add(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let sum = left + right
        return sum >= Self.prime ? sum - Self.prime : sum
    }

    private static func multiply(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let product = left.multipliedFullWidth(by: right)
        return Self.add(product.high << 3 | product.low >> 61, product.low & Self.prime)
    }
}
