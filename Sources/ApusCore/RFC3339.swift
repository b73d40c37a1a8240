/// Moments as text: `2026-03-01T14:05:09.123456Z`.
public enum RFC3339 {
    /// UTC, with as many digits of a second as needed: none, three or six. Years beyond 9999 do not occur.
    public static func format(_ time: Timestamp) -> String {
        var bytes: [UInt8] = []
        Self.append(time, to: &bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The same at the end of `bytes`.
    public static func append(_ time: Timestamp, to bytes: inout [UInt8]) {
        let (day, rest) = Self.divide(time.microseconds, 86_400_000_000)
        let (year, month, date) = Self.civil(day)
        let (seconds, micros) = (rest / 1_000_000, rest % 1_000_000)
        Self.append(year, 4, to: &bytes)
        Self.append(month, 2, after: "-", to: &bytes)
        Self.append(date, 2, after: "-", to: &bytes)
        Self.append(seconds / 3_600, 2, after: "T", to: &bytes)
        Self.append(seconds / 60 % 60, 2, after: ":", to: &bytes)
        Self.append(seconds % 60, 2, after: ":", to: &bytes)
        if micros % 1_000 != 0 {
            Self.append(micros, 6, after: ".", to: &bytes)
        } else if micros != 0 {
            Self.append(micros / 1_000, 3, after: ".", to: &bytes)
        }
        bytes.append(UInt8(ascii: "Z"))
    }

    /// A date, or a date and time with `Z` or an offset; up to nine digits of a second, of which six count.
    /// - Returns: nil when `text` is no moment.
    public static func parse(_ text: String) -> Timestamp? {
        var scan = Scanner(rest: Array(text.utf8)[...])
        guard let year = scan.number(4), scan.take("-"), let month = scan.number(2), scan.take("-"),
            let date = scan.number(2),
            (1...12).contains(month), date >= 1
        else { return nil }
        let day = Self.days(year, month, date)
        // A day that the month does not have comes back as another one.
        guard Self.civil(day) == (year, month, date) else { return nil }
        if scan.rest.isEmpty { return Timestamp(microseconds: day * 86_400_000_000) }
        guard scan.take("T") || scan.take("t") || scan.take(" "), let hour = scan.number(2), scan.take(":"),
            let minute = scan.number(2),
            scan.take(":"), let second = scan.number(2), hour < 24, minute < 60, second <= 60
        else { return nil }
        guard let fraction = scan.fraction(), let offset = scan.offset(), scan.rest.isEmpty else { return nil }
        let seconds = day * 86_400 + hour * 3_600 + minute * 60 + second - offset
        return Timestamp(microseconds: seconds * 1_000_000 + fraction)
    }

    private struct Scanner {
        var rest: ArraySlice<UInt8>

        mutating func take(_ character: Character) -> Bool {
            guard self.rest.first == character.asciiValue else { return false }
            self.rest = self.rest.dropFirst()
            return true
        }

        mutating func number(_ digits: Int) -> Int64? {
            let text = self.rest.prefix(digits)
            guard text.count == digits, text.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
            self.rest = self.rest.dropFirst(digits)
            return text.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }

        /// Microseconds; 0 without a fraction.
        mutating func fraction() -> Int64? {
            guard self.take(".") else { return 0 }
            let digits = self.rest.prefix { (0x30...0x39).contains($0) }
            guard (1...9).contains(digits.count) else { return nil }
            self.rest = self.rest.dropFirst(digits.count)
            let six = Array(digits.prefix(6)) + [UInt8](repeating: 0x30, count: max(0, 6 - digits.count))
            return six.reduce(0) { $0 * 10 + Int64($1 - 0x30) }
        }

        /// Seconds east of UTC.
        mutating func offset() -> Int64? {
            if self.take("Z") || self.take("z") { return 0 }
            let isWest = self.take("-")
            guard isWest || self.take("+"), let hours = self.number(2), self.take(":"), let minutes = self.number(2),
                hours < 24,
                minutes < 60
            else { return nil }
            return (hours * 3_600 + minutes * 60) * (isWest ? -1 : 1)
        }
    }

    /// A number of so many digits, leading zeros among them.
    private static func append(_ number: Int64, _ width: Int, after mark: Unicode.Scalar? = nil, to bytes: inout [UInt8]) {
        if let mark { bytes.append(UInt8(ascii: mark)) }
        var unit: Int64 = 1
        for _ in 1..<width { unit *= 10 }
        while unit > 0 {
            bytes.append(UInt8(ascii: "0") + UInt8(truncatingIfNeeded: number / unit % 10))
            unit /= 10
        }
    }

    private static func divide(_ number: Int64, _ by: Int64) -> (Int64, Int64) {
        let quotient = number >= 0 ? number / by : (number - by + 1) / by
        return (quotient, number - quotient * by)
    }

    /// Days since 1970-01-01 of a date in the Gregorian calendar; years start in March here, so that the leap day comes last.
    static func days(_ year: Int64, _ month: Int64, _ date: Int64) -> Int64 {
        let shifted = month <= 2 ? year - 1 : year
        let (era, yearOfEra) = Self.divide(shifted, 400)
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + date - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func civil(_ days: Int64) -> (Int64, Int64, Int64) {
        let (era, dayOfEra) = Self.divide(days + 719_468, 146_097)
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * shiftedMonth + 2) / 5 + 1)
    }
}
