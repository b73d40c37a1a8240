/// A minute on the calendar and the clock of some place: what a cron line speaks of. Which moment it is, a time zone
/// says.
public struct CivilTime: Sendable, Hashable, Comparable {
    /// Minutes since 1970-01-01 00:00 of the same calendar.
    public let minutes: Int64

    public init(minutes: Int64) { self.minutes = minutes }

    /// The minute that has begun, of the seconds since 1970-01-01 00:00 of the same calendar.
    public init(seconds: Int64) { self.init(minutes: Self.floor(seconds, 60)) }

    public init(year: Int64, month: Int64, day: Int64, hour: Int64 = 0, minute: Int64 = 0) {
        self.init(minutes: (Moment.dayNumber(year, month, day) * 24 + hour) * 60 + minute)
    }

    public var seconds: Int64 { self.minutes * 60 }
    /// Days since 1970-01-01.
    public var dayNumber: Int64 { Self.floor(self.minutes, 1_440) }
    public var minuteOfDay: Int { Int(self.minutes - self.dayNumber * 1_440) }
    public var date: (year: Int64, month: Int64, day: Int64) { Moment.date(self.dayNumber) }
    /// 0 is Sunday.
    public var weekday: Int { Self.weekday(ofDay: self.dayNumber) }

    public static func < (left: CivilTime, right: CivilTime) -> Bool { left.minutes < right.minutes }

    /// 1970-01-01 was a Thursday.
    public static func weekday(ofDay number: Int64) -> Int { Int(number + 4 - Self.floor(number + 4, 7) * 7) }

    private static func floor(_ number: Int64, _ by: Int64) -> Int64 {
        number >= 0 ? number / by : (number - by + 1) / by
    }
}
