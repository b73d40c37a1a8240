internal import ApusCore
internal import ApusStore

/// Times for people.
enum TimeText {
    /// `2026-03-01 14:05:09Z (3m ago)`.
    static func both(_ time: Timestamp, now: Timestamp) -> String {
        "\(Self.absolute(time)) (\(Self.relative(time, now: now)))"
    }

    /// `3m ago`, `in 10s`, `just now`.
    static func relative(_ time: Timestamp, now: Timestamp) -> String {
        let seconds = (now - time).microseconds / 1_000_000
        guard seconds != 0 else { return "just now" }
        let text = Self.age(seconds: Int64(clamping: seconds.magnitude))
        return seconds > 0 ? "\(text) ago" : "in \(text)"
    }

    /// `10s`, `3m`, `2h`, `5d`.
    static func age(seconds: Int64) -> String {
        switch seconds {
        case ..<60: "\(seconds)s"
        case ..<3_600: "\(seconds / 60)m"
        case ..<86_400: "\(seconds / 3_600)h"
        default: "\(seconds / 86_400)d"
        }
    }

    /// `41 us`, `1.21 ms`, `64.0 ms`, `2.35 s`, `3 m 20 s`: three digits, in at most eight characters up to 99 minutes.
    static func span(_ span: TimeSpan) -> String {
        let microseconds = max(0, span.microseconds)
        switch microseconds {
        case ..<1_000: return "\(microseconds) us"
        case ..<999_500: return "\(Self.threeDigits(microseconds)) ms"
        case ..<99_500_000: return "\(Self.threeDigits(microseconds / 1_000)) s"
        default:
            let seconds = (microseconds + 500_000) / 1_000_000
            return "\(seconds / 60) m \(seconds % 60) s"
        }
    }

    /// Thousandths with three digits: 1207 is `1.21`, 64 007 is `64.0`.
    private static func threeDigits(_ thousandths: Int64) -> String {
        let (whole, digits): (Int64, Int) =
            switch thousandths {
            case ..<9_995: ((thousandths + 5) / 10, 2)
            case ..<99_950: ((thousandths + 50) / 100, 1)
            default: ((thousandths + 500) / 1_000, 0)
            }
        let text = String(whole)
        guard digits > 0 else { return text }
        return "\(text.dropLast(digits)).\(text.suffix(digits))"
    }

    /// UTC, to the second.
    static func absolute(_ time: Timestamp) -> String {
        let text = RFC3339.format(time)
        return text.prefix(19).map { $0 == "T" ? " " : String($0) }.joined() + "Z"
    }
}
