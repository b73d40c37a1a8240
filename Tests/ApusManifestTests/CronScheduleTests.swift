import ApusCore
import Testing

@testable import ApusManifest

@Suite struct CronScheduleTests {
    private func next(_ line: String, after text: String, count: Int = 1) throws -> [String] {
        let cron = try CronSchedule(line)
        var time = CivilTime(minutes: try #require(Moment.parse(text + ":00Z")).microseconds / 60_000_000)
        return try (0..<count).map { _ in
            time = try #require(cron.next(after: time))
            let (year, month, day) = time.date
            func two(_ number: Int64) -> String { number < 10 ? "0\(number)" : "\(number)" }
            let (hour, minute) = (Int64(time.minuteOfDay / 60), Int64(time.minuteOfDay % 60))
            return "\(year)-\(two(month))-\(two(day))T\(two(hour)):\(two(minute))"
        }
    }

    @Test(arguments: [
        ("* * * * *", "2026-02-28T23:59", "2026-03-01T00:00"),
        ("*/5 * * * *", "2026-07-28T12:00", "2026-07-28T12:05"),
        ("*/7 * * * *", "2026-07-28T12:56", "2026-07-28T13:00"),
        ("0-30/10 6 * * *", "2026-07-28T06:30", "2026-07-29T06:00"),
        ("30 6,18 * * *", "2026-07-28T06:30", "2026-07-28T18:30"),
        ("0 0 29 2 *", "2026-01-01T00:00", "2028-02-29T00:00"),
        ("0 0 29 2 *", "2096-03-01T00:00", "2104-02-29T00:00"),
        ("0 9 * * MON-fri", "2026-07-31T09:00", "2026-08-03T09:00"),
        ("0 0 * * 7", "2026-07-28T00:00", "2026-08-02T00:00"),
        ("0 0 * * 5-7", "2026-08-01T00:00", "2026-08-02T00:00"),
        ("0 0 1 jan-mar *", "2026-03-02T00:00", "2027-01-01T00:00"),
        ("@hourly", "2026-07-28T12:59", "2026-07-28T13:00"),
        ("@Daily", "2026-07-28T12:59", "2026-07-29T00:00"),
        ("@weekly", "2026-07-28T00:00", "2026-08-02T00:00"),
        ("@monthly", "2026-12-28T00:00", "2027-01-01T00:00"),
        ("@yearly", "2026-01-01T00:00", "2027-01-01T00:00"),
        (" 5\t4  * * * ", "2026-07-28T00:00", "2026-07-28T04:05"),
    ])
    func theNextTimeIsTheFirstThatTheLineNames(line: String, after: String, expected: String) throws {
        #expect(try self.next(line, after: after) == [expected])
    }

    @Test func eitherOfTwoRestrictedDaysCountsAndAStarWithAStepRestrictsNothing() throws {
        // The 13th, and every Friday.
        #expect(
            try self.next("0 0 13 * fri", after: "2026-03-01T00:00", count: 3) == [
                "2026-03-06T00:00", "2026-03-13T00:00", "2026-03-20T00:00",
            ])
        // As in Vixie's cron: an odd day that is a Friday.
        #expect(
            try self.next("0 0 */2 * fri", after: "2026-03-01T00:00", count: 2) == [
                "2026-03-13T00:00", "2026-03-27T00:00",
            ])
    }

    @Test(arguments: [
        ("61 * * * *", "the minute is `61`, expected 0 to 59"),
        ("* 24 * * *", "the hour is `24`, expected 0 to 23"),
        ("* * 0 * *", "the day of the month is `0`, expected 1 to 31"),
        (
            "* * * may-jan *",
            "the month `may-jan` ends before it starts, expected two ranges, or a list such as fri,sat,sun"
        ),
        ("* * * * 8", "the day of the week is `8`, expected 0 to 7, or sun to sat"),
        ("* * L * *", "the day of the month is `L`: L, W and # are not supported, expected 1 to 31"),
        ("* * 15W * *", "the day of the month is `15W`: L, W and # are not supported, expected 1 to 31"),
        ("* * * * 5#3", "the day of the week is `5#3`: L, W and # are not supported, expected 0 to 7, or sun to sat"),
        ("* * ? * *", "the day of the month is `?`, which is not supported, expected `*`"),
        ("5/15 * * * *", "the minute `5/15` has a step and no range, expected `5-59/15` or `*/15`"),
        ("*/0 * * * *", "the minute has the step `0`, expected 1 to 59"),
        ("1,, * * * *", "the minute is empty in ``, expected 0 to 59"),
        ("1- * * * *", "the minute is ``, expected 0 to 59"),
        ("-1 * * * *", "the minute is ``, expected 0 to 59"),
        ("+5 * * * *", "the minute is `+5`, expected 0 to 59"),
        ("* * * *", "there are 4 fields, expected five such as */5 * * * *"),
        ("", "there are 0 fields, expected five such as */5 * * * *"),
        ("0 * * * * *", "there are 6 fields, expected five such as */5 * * * *: seconds and years are not supported"),
        (
            "@hourli",
            "`@hourli` is unknown, expected one of @annually, @daily, @hourly, @midnight, @monthly, @weekly, @yearly, did you mean `@hourly`?"
        ),
        ("0 0 30 2 *", "no such day ever comes, expected a day that the month has"),
        ("0 0 31 4,6,9,11 *", "no such day ever comes, expected a day that the month has"),
    ])
    func whatIsNoLineIsToldApart(line: String, message: String) {
        #expect(throws: CronError(message: message)) { try CronSchedule(line) }
    }

    @Test func aLineIsBounded() throws {
        let room = Limits.Manifest.cronBytes - "* * * * ".utf8.count
        let list = String(String(repeating: "1,", count: 128).prefix(room - 1)) + "1"
        _ = try? CronSchedule("* * * * \(list)")
        #expect(throws: CronError.self) {
            try CronSchedule(String(repeating: " ", count: Limits.Manifest.cronBytes + 1))
        }
        #expect(throws: Never.self) {
            try CronSchedule("* * * * *" + String(repeating: " ", count: Limits.Manifest.cronBytes - 9))
        }
    }

    @Test func aRandomLineNamesTheTimesThatALookAtEveryMinuteFinds() throws {
        var random = SystemRandomNumberGenerator()
        func field(_ range: ClosedRange<Int>) -> String {
            switch Int.random(in: 0..<4, using: &random) {
            case 0: return "*"
            case 1: return "*/\(Int.random(in: 1...range.upperBound, using: &random))"
            case 2: return "\(Int.random(in: range, using: &random))"
            default:
                let (a, b) = (Int.random(in: range, using: &random), Int.random(in: range, using: &random))
                return "\(min(a, b))-\(max(a, b))"
            }
        }
        for _ in 0..<200 {
            let fields = [field(0...59), field(0...23), field(1...28), "*", field(0...7)]
            let line = fields.joined(separator: " ")
            let cron = try CronSchedule(line)
            var time = CivilTime(year: 2026, month: Int64.random(in: 1...12), day: Int64.random(in: 1...28))
            for _ in 0..<3 {
                let found = try #require(cron.next(after: time), "\(line)")
                var minute = CivilTime(minutes: time.minutes + 1)
                while !Self.isDue(fields, minute) { minute = CivilTime(minutes: minute.minutes + 1) }
                #expect(found == minute, "\(line) after \(time.date) \(time.minuteOfDay)")
                time = found
            }
        }
    }

    /// The plainest reading of a line, written apart from the parser.
    private static func isDue(_ fields: [String], _ time: CivilTime) -> Bool {
        func holds(_ field: String, _ value: Int, _ lowest: Int) -> Bool {
            if field.hasPrefix("*/") { return (value - lowest) % (Int(field.dropFirst(2)) ?? 1) == 0 }
            if field == "*" { return true }
            let ends = field.split(separator: "-").compactMap { Int($0) }
            return value >= ends[0] && value <= ends[ends.count - 1]
        }
        let date = time.date
        let isDate = holds(fields[2], Int(date.day), 1)
        let isWeekday = holds(fields[4], time.weekday, 0) || (time.weekday == 0 && holds(fields[4], 7, 0))
        let isDay = fields[2].hasPrefix("*") || fields[4].hasPrefix("*") ? isDate && isWeekday : isDate || isWeekday
        return isDay && holds(fields[0], time.minuteOfDay % 60, 0) && holds(fields[1], time.minuteOfDay / 60, 0)
    }
}
