internal import ApusCore

/// Moments as RFC 3339 writes them: `2026-07-28T12:00:00Z`, `2026-07-28T14:00:00.25+02:00`.
enum Moment {
    static let pattern =
        "^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,9})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"

    /// Nil when it is no such text, or no such day or hour exists. What is finer than a microsecond is cut off.
    static func parse(_ text: String) -> Timestamp? {
        var rest = Array(text.utf8)[...]
        func number(_ digits: Int, _ range: ClosedRange<Int64>) -> Int64? {
            guard rest.count >= digits else { return nil }
            var value: Int64 = 0
            for byte in rest.prefix(digits) {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                value = value * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            rest = rest.dropFirst(digits)
            return range.contains(value) ? value : nil
        }
        func take(_ characters: String) -> Bool {
            guard let byte = rest.first, characters.utf8.contains(byte) else { return false }
            rest = rest.dropFirst()
            return true
        }
        guard let year = number(4, 1...9999), take("-"), let month = number(2, 1...12), take("-"),
            let day = number(2, 1...Moment.days(of: month, year)), take("Tt"), let hour = number(2, 0...23), take(":"),
            let minute = number(2, 0...59), take(":"), let second = number(2, 0...59)
        else { return nil }
        var microseconds: Int64 = 0
        if take(".") {
            let digits = rest.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
            guard (1...9).contains(digits.count) else { return nil }
            rest = rest.dropFirst(digits.count)
            for place in 0..<6 {
                let index = digits.startIndex + place
                microseconds =
                    microseconds * 10 + (index < digits.endIndex ? Int64(digits[index] - UInt8(ascii: "0")) : 0)
            }
        }
        var offset: Int64 = 0
        if !take("Zz") {
            let sign: Int64
            if take("+") { sign = 1 } else if take("-") { sign = -1 } else { return nil }
            guard let hours = number(2, 0...23), take(":"), let minutes = number(2, 0...59) else { return nil }
            offset = sign * (hours * 60 + minutes)
        }
        guard rest.isEmpty else { return nil }
        let minutes = (Moment.dayNumber(year, month, day) * 24 + hour) * 60 + minute - offset
        return Timestamp(microseconds: (minutes * 60 + second) * 1_000_000 + microseconds)
    }

    /// In UTC, with as many digits of a second as are needed.
    static func text(_ moment: Timestamp) -> String {
        func padded(_ value: Int64, _ width: Int) -> String {
            let digits = String(value)
            return String(repeating: "0", count: max(0, width - digits.utf8.count)) + digits
        }
        let microseconds = ((moment.microseconds % 1_000_000) + 1_000_000) % 1_000_000
        let seconds = (moment.microseconds - microseconds) / 1_000_000
        let ofDay = ((seconds % 86_400) + 86_400) % 86_400
        let (year, month, day) = Moment.date((seconds - ofDay) / 86_400)
        var fraction = microseconds == 0 ? "" : "." + padded(microseconds, 6)
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))T"
            + "\(padded(ofDay / 3_600, 2)):\(padded(ofDay / 60 % 60, 2)):\(padded(ofDay % 60, 2))\(fraction)Z"
    }

    private static func days(of month: Int64, _ year: Int64) -> Int64 {
        switch month {
        case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
        case 4, 6, 9, 11: 30
        default: 31
        }
    }

    /// Days since 1970-01-01; years begin in March, so that the leap day is the last.
    static func dayNumber(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = year / 400
        let ofEra = year - era * 400
        let ofYear = (153 * ((month + 9) % 12) + 2) / 5 + day - 1
        return era * 146_097 + ofEra * 365 + ofEra / 4 - ofEra / 100 + ofYear - 719_468
    }

    static func date(_ number: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let days = number + 719_468
        let era = (days >= 0 ? days : days - 146_096) / 146_097
        let ofEra = days - era * 146_097
        let yearOfEra = (ofEra - ofEra / 1_460 + ofEra / 36_524 - ofEra / 146_096) / 365
        let ofYear = ofEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shifted = (5 * ofYear + 2) / 153
        let month = shifted < 10 ? shifted + 3 : shifted - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, ofYear - (153 * shifted + 2) / 5 + 1)
    }
}
