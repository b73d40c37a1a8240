/// What the header `Retry-After` says: seconds, or a moment as HTTP writes it, `Sun, 06 Nov 1994 08:49:37 GMT`.
public enum RetryAfter {
    /// - Returns: how long to wait from `now` on, nothing for a moment that has passed; nil when `text` says neither.
    public static func span(_ text: String, now: Timestamp) -> TimeSpan? {
        if let seconds = Self.seconds(text) { return .seconds(seconds) }
        guard let moment = Self.moment(text) else { return nil }
        return max(.zero, moment - now)
    }

    /// Digits alone. More than fit count as the most that do.
    private static func seconds(_ text: String) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return min(Int64(text) ?? .max, Int64.max / 1_000_000)
    }

    private static let days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    private static let months = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ]

    /// The form that senders must use; the two that are obsolete are not read.
    private static func moment(_ text: String) -> Timestamp? {
        let words = text.split(separator: " ", omittingEmptySubsequences: false).map(String.init)
        guard words.count == 6, words[0].hasSuffix(","), Self.days.contains(String(words[0].dropLast())),
            words[5] == "GMT", let date = Self.number(words[1], 2, 1...31),
            let month = Self.months.firstIndex(of: words[2]),
            let year = Self.number(words[3], 4, 1...9999)
        else { return nil }
        let time = words[4].split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard time.count == 3, let hour = Self.number(time[0], 2, 0...23), let minute = Self.number(time[1], 2, 0...59),
            let second = Self.number(time[2], 2, 0...60)
        else { return nil }
        let day = RFC3339.days(year, Int64(month) + 1, date)
        // A day that the month does not have comes back as another one.
        guard RFC3339.civil(day) == (year, Int64(month) + 1, date) else { return nil }
        return Timestamp(microseconds: (day * 86_400 + hour * 3_600 + minute * 60 + second) * 1_000_000)
    }

    private static func number(_ text: String, _ digits: Int, _ range: ClosedRange<Int64>) -> Int64? {
        guard text.utf8.count == digits, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int64(text),
            range.contains(value)
        else { return nil }
        return value
    }
}
