internal import ApusCore

/// Numbers in at most seven columns, so that a table stands still while they change.
enum TopText {
    /// `0`, `0.25`, `12.4`, `1204`, `98.2k`, `1.25M`.
    static func rate(_ value: Double) -> String {
        switch value {
        case ..<0.005: "0"
        case ..<9.995: Self.fixed(value, 2)
        case ..<99.95: Self.fixed(value, 1)
        default: Self.count(Int(min(value.rounded(), 1e15)))
        }
    }

    /// `0`, `9999`, `12.3k`, `1.25M`.
    static func count(_ value: Int) -> String {
        guard value >= 10_000 else { return String(max(0, value)) }
        var rest = Double(value)
        var unit = ""
        for next in ["k", "M", "G", "T", "P"] where rest >= 999.5 {
            rest /= 1_000
            unit = next
        }
        return Self.three(rest) + unit
    }

    /// `512B`, `12.3kB`.
    static func bytes(_ value: Double) -> String {
        value < 0.5 ? "0" : Self.count(Int(min(value.rounded(), 1e15))) + "B"
    }

    /// `0`, `0.0042`, `0.25`, `12.40`, `1204`: what is less than a hundredth shows where it begins.
    static func money(_ value: Double) -> String {
        guard value > 0 else { return "0" }
        guard value < 0.01 else { return value < 99.95 ? Self.fixed(value, 2) : Self.count(Int(min(value, 1e15))) }
        let rounded = Int((value * 100_000).rounded())
        return rounded == 0 ? "<0.001" : "0." + String(rounded + 100_000).dropFirst()
    }

    static func span(_ microseconds: Int64?) -> String { microseconds.map { TimeText.span(.microseconds($0)) } ?? "-" }

    /// A column for each second, the newest at the right.
    static func line(_ series: [Int], width: Int) -> String {
        let shown = series.suffix(max(0, width))
        let most = shown.max() ?? 0
        let bars = shown.map { count -> Character in
            guard most > 0, count > 0 else { return " " }
            return Self.bars[(count * Self.bars.count - 1) / most]
        }
        return String(repeating: " ", count: max(0, width) - shown.count) + String(bars)
    }

    private static let bars = Array("▁▂▃▄▅▆▇█")

    private static func three(_ value: Double) -> String {
        value < 9.995 ? Self.fixed(value, 2) : value < 99.95 ? Self.fixed(value, 1) : String(Int(value.rounded()))
    }

    private static func fixed(_ value: Double, _ digits: Int) -> String {
        let scale = digits == 1 ? 10 : 100
        let whole = Int((value * Double(scale)).rounded())
        let rest = String(whole % scale + scale).dropFirst()
        return "\(whole / scale).\(rest)"
    }
}
