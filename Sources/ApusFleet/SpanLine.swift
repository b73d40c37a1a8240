/// How long moving bytes takes: a time that each move takes, and one for each byte, drawn through what was seen.
///
/// The slope is the middle of those between any two points, and so is the rest: one slow move does not bend the line.
struct SpanLine {
    struct Point {
        var bytes: Int64
        /// Microseconds.
        var span: Int64
    }

    private let perByte: Double
    private let base: Double

    /// - Returns: nil for no points. Points of one size give a line without slope.
    init?(_ points: [Point]) {
        guard !points.isEmpty else { return nil }
        var slopes: [Double] = []
        for (index, one) in points.enumerated() {
            for other in points[..<index] where other.bytes != one.bytes {
                slopes.append(Double(one.span - other.span) / Double(one.bytes - other.bytes))
            }
        }
        // More bytes never take less time.
        let slope = slopes.isEmpty ? 0 : max(0, Self.middle(slopes))
        self.perByte = slope
        self.base = Self.middle(points.map { Double($0.span) - slope * Double($0.bytes) })
    }

    func span(of bytes: Int64) -> Int64 { Int64(max(0, self.base + self.perByte * Double(bytes))) }

    private static func middle(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        return (sorted[sorted.count / 2] + sorted[(sorted.count - 1) / 2]) / 2
    }
}
