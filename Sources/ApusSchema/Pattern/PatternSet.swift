/// The code points that one place of a pattern takes.
struct PatternSet: Sendable {
    private var ranges: [ClosedRange<UInt32>]
    private var properties: [(property: PatternProperty, isNegated: Bool)]
    private var isNegated: Bool
    /// The answers for the first 128, which most texts are made of.
    private var low: (UInt64, UInt64) = (0, 0)

    init(
        _ ranges: [ClosedRange<UInt32>], properties: [(property: PatternProperty, isNegated: Bool)] = [],
        isNegated: Bool = false
    ) {
        self.ranges = Self.merged(ranges)
        self.properties = properties
        self.isNegated = isNegated
        for code in UInt32(0)..<64 {
            if self.looksUp(code) { self.low.0 |= 1 << UInt64(code) }
            if self.looksUp(code + 64) { self.low.1 |= 1 << UInt64(code) }
        }
    }

    @inline(__always)
    func contains(_ code: UInt32) -> Bool {
        if code < 64 { return self.low.0 & 1 << UInt64(code) != 0 }
        if code < 128 { return self.low.1 & 1 << UInt64(code - 64) != 0 }
        return self.looksUp(code)
    }

    private func looksUp(_ code: UInt32) -> Bool {
        var low = 0
        var high = self.ranges.count
        while low < high {
            let middle = (low + high) / 2
            if self.ranges[middle].upperBound < code { low = middle + 1 } else { high = middle }
        }
        var isIn = low < self.ranges.count && self.ranges[low].contains(code)
        if !isIn, !self.properties.isEmpty, let scalar = Unicode.Scalar(code) {
            isIn = self.properties.contains { $0.property.holds(scalar) != $0.isNegated }
        }
        return isIn != self.isNegated
    }

    private static func merged(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var merged: [ClosedRange<UInt32>] = []
        for range in ranges.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = merged.last, range.lowerBound <= last.upperBound + 1 {
                merged[merged.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                merged.append(range)
            }
        }
        return merged
    }

    /// Everything that is not in the ranges.
    static func complement(_ ranges: [ClosedRange<UInt32>]) -> [ClosedRange<UInt32>] {
        var rest: [ClosedRange<UInt32>] = []
        var next: UInt32 = 0
        for range in Self.merged(ranges) {
            if range.lowerBound > next { rest.append(next...range.lowerBound - 1) }
            next = range.upperBound + 1
        }
        if next <= 0x10FFFF { rest.append(next...0x10FFFF) }
        return rest
    }

    static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
    static let word: [ClosedRange<UInt32>] = [0x30...0x39, 0x41...0x5A, 0x5F...0x5F, 0x61...0x7A]
    static let lineEnds: [ClosedRange<UInt32>] = [0x0A...0x0A, 0x0D...0x0D, 0x2028...0x2029]
    /// White space and line ends of ECMA-262.
    static let space: [ClosedRange<UInt32>] = [
        0x09...0x0D, 0x20...0x20, 0xA0...0xA0, 0x1680...0x1680, 0x2000...0x200A, 0x2028...0x2029, 0x202F...0x202F,
        0x205F...0x205F, 0x3000...0x3000, 0xFEFF...0xFEFF,
    ]
    /// What `.` takes.
    static let dot = PatternSet(Self.lineEnds, isNegated: true)
}
