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
        let size = seconds.magnitude
        let text =
            switch size {
            case 0: "just now"
            case 1..<60: "\(size)s"
            case 60..<3_600: "\(size / 60)m"
            case 3_600..<86_400: "\(size / 3_600)h"
            default: "\(size / 86_400)d"
            }
        return size == 0 ? text : seconds > 0 ? "\(text) ago" : "in \(text)"
    }

    /// UTC, to the second.
    static func absolute(_ time: Timestamp) -> String {
        let text = RFC3339.format(time)
        return text.prefix(19).map { $0 == "T" ? " " : String($0) }.joined() + "Z"
    }
}
