internal import ApusCore

/// A cron line as values: when, on the calendar and the clock of some place, something is due.
///
/// Five fields: minute, hour, day of the month, month, day of the week; each `*`, a number, a name, a range, a step of
/// a range, or
/// a list of these. Where both day fields restrict, a day that either of them names counts, as in Vixie's cron; a field
/// that begins
/// with `*` does not restrict, also with a step, and then both must hold.
public struct CronSchedule: Sendable, Equatable, CustomStringConvertible {
    /// As it was written.
    public let description: String
    private let minutes: UInt64
    private let hours: UInt64
    private let days: UInt64
    private let months: UInt64
    private let weekdays: UInt64
    private let eitherDay: Bool

    private static let macros = [
        "@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *", "@weekly": "0 0 * * 0",
        "@monthly": "0 0 1 * *", "@yearly": "0 0 1 1 *", "@annually": "0 0 1 1 *",
    ]

    /// 29 February on a given day of the week comes after 40 years at the latest.
    private static let yearsAhead: Int64 = 41

    public init(_ text: String) throws(CronError) {
        guard text.utf8.count <= Limits.Manifest.cronBytes else {
            throw CronError(message: "it has \(text.utf8.count) bytes, expected at most \(Limits.Manifest.cronBytes)")
        }
        let words = text.split(whereSeparator: { $0 == " " || $0 == "\t" })
        let fields = try Self.fields(words)
        self.description = words.joined(separator: " ")
        self.minutes = try CronField.minute.values(fields[0])
        self.hours = try CronField.hour.values(fields[1])
        self.days = try CronField.day.values(fields[2])
        self.months = try CronField.month.values(fields[3])
        let weekdays = try CronField.weekday.values(fields[4])
        self.weekdays = (weekdays | weekdays >> 7) & 0x7F
        self.eitherDay = !fields[2].hasPrefix("*") && !fields[4].hasPrefix("*")
        // Any start will do: the calendar's odd years are less than that apart.
        guard self.next(after: CivilTime(year: 2000, month: 1, day: 1)) != nil else {
            throw CronError(message: "no such day ever comes, expected a day that the month has")
        }
    }

    private static func fields(_ words: [Substring]) throws(CronError) -> [Substring] {
        if words.count == 1, words[0].hasPrefix("@") {
            guard let line = Self.macros[words[0].lowercased()] else {
                let known = Self.macros.keys.sorted()
                let hint = Suggestion.hint(for: String(words[0]), among: known)
                throw CronError(
                    message: "`\(words[0])` is unknown, expected one of \(known.joined(separator: ", "))\(hint)")
            }
            return line.split(separator: " ")
        }
        guard words.count == 5 else {
            let hint = words.count == 6 || words.count == 7 ? ": seconds and years are not supported" : ""
            throw CronError(message: "there are \(words.count) fields, expected five such as */5 * * * *\(hint)")
        }
        return words
    }

    /// Whether it is due in every hour of its days. Such a schedule follows the hours that pass, others what the clock
    /// shows: see
    /// the days on which clocks change.
    public var isEveryHour: Bool { self.hours == 0xFF_FFFF }

    /// The first minute after `time` that it names; nil when there is none within 41 years.
    public func next(after time: CivilTime) -> CivilTime? {
        let start = CivilTime(minutes: time.minutes + 1)
        var day = start.dayNumber
        var from = start.minuteOfDay
        let lastYear = start.date.year + Self.yearsAhead
        while true {
            let (year, month, date) = Moment.date(day)
            guard year <= lastYear else { return nil }
            if self.months & 1 << UInt64(month) == 0 {
                day = month == 12 ? Moment.dayNumber(year + 1, 1, 1) : Moment.dayNumber(year, month + 1, 1)
            } else if self.isDue(onDay: day, date: date), let minute = self.minute(from: from) {
                return CivilTime(minutes: day * 1_440 + Int64(minute))
            } else {
                day += 1
            }
            from = 0
        }
    }

    private func isDue(onDay day: Int64, date: Int64) -> Bool {
        let isDate = self.days & 1 << UInt64(date) != 0
        let isWeekday = self.weekdays & 1 << UInt64(CivilTime.weekday(ofDay: day)) != 0
        return self.eitherDay ? isDate || isWeekday : isDate && isWeekday
    }

    /// The first minute of a day, at `from` or later.
    private func minute(from: Int) -> Int? {
        let hour = from / 60
        if self.hours & 1 << UInt64(hour) != 0, let minute = Self.first(of: self.minutes, from: from % 60) {
            return hour * 60 + minute
        }
        guard let later = Self.first(of: self.hours, from: hour + 1), let minute = Self.first(of: self.minutes, from: 0)
        else { return nil }
        return later * 60 + minute
    }

    private static func first(of bits: UInt64, from: Int) -> Int? {
        let rest = bits >> UInt64(from)
        return rest == 0 ? nil : from + rest.trailingZeroBitCount
    }
}
