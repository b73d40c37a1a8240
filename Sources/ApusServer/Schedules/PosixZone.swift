internal import ApusManifest

/// The rule at the end of a time zone file: `CET-1CEST,M3.5.0,M10.5.0/3`. It says what holds after the file's last
/// change, for ever.
struct PosixZone: Sendable, Equatable {
    /// A day of the year and a time on it, by the clock that holds until then.
    struct Moment: Sendable, Equatable {
        enum Day: Sendable, Equatable {
            /// `Jn`: 1 to 365, 29 February never counted.
            case julian(Int64)
            /// `n`: 0 to 365, 29 February counted.
            case ofYear(Int64)
            /// `Mm.w.d`: the weekday `d` of the month's week `w`, 5 for the last.
            case weekday(month: Int64, week: Int64, day: Int)
        }

        var day: Day
        /// Seconds after midnight; may be negative or days long.
        var time: Int64

        /// Seconds since 1970 of the year's moment, as the clock shows it.
        func local(_ year: Int64) -> Int64 {
            let first = CivilTime(year: year, month: 1, day: 1).dayNumber
            switch self.day {
            case .julian(let day):
                let isLeap = CivilTime(year: year, month: 3, day: 1).dayNumber - first == 60
                return (first + day - 1 + (isLeap && day >= 60 ? 1 : 0)) * 86_400 + self.time
            case .ofYear(let day): return (first + day) * 86_400 + self.time
            case .weekday(let month, let week, let weekday):
                let start = CivilTime(year: year, month: month, day: 1).dayNumber
                let next =
                    month == 12
                    ? CivilTime(year: year + 1, month: 1, day: 1) : CivilTime(year: year, month: month + 1, day: 1)
                var day = start + Int64((weekday - CivilTime.weekday(ofDay: start) + 7) % 7) + (week - 1) * 7
                while day >= next.dayNumber { day -= 7 }
                return day * 86_400 + self.time
            }
        }
    }

    /// Seconds east of UTC.
    var standard: Int64
    /// Nil without daylight-saving time.
    var daylight: (offset: Int64, start: Moment, end: Moment)?

    /// The changes of a year, in order: since when, and seconds east of UTC from then on.
    func changes(_ year: Int64) -> [(at: Int64, offset: Int64)] {
        guard let daylight else { return [] }
        let start = (at: daylight.start.local(year) - self.standard, offset: daylight.offset)
        let end = (at: daylight.end.local(year) - daylight.offset, offset: self.standard)
        return start.at < end.at ? [start, end] : [end, start]
    }

    static func == (left: PosixZone, right: PosixZone) -> Bool {
        left.standard == right.standard && left.daylight?.offset == right.daylight?.offset
            && left.daylight?.start == right.daylight?.start && left.daylight?.end == right.daylight?.end
    }
}

extension PosixZone {
    /// - Returns: nil when the text is no such rule.
    init?(_ text: String) {
        var scan = Scan(rest: Array(text.utf8)[...])
        guard scan.name(), let west = scan.time() else { return nil }
        self.standard = -west
        self.daylight = nil
        guard !scan.rest.isEmpty else { return }
        guard scan.name() else { return nil }
        var offset = self.standard + 3_600
        if scan.rest.first != UInt8(ascii: ",") {
            guard let west = scan.time() else { return nil }
            offset = -west
        }
        guard scan.take(","), let start = scan.moment(), scan.take(","), let end = scan.moment(), scan.rest.isEmpty
        else { return nil }
        self.daylight = (offset, start, end)
    }

    private struct Scan {
        var rest: ArraySlice<UInt8>

        mutating func take(_ character: Character) -> Bool {
            guard self.rest.first == character.asciiValue else { return false }
            self.rest = self.rest.dropFirst()
            return true
        }

        /// `CET`, or `<+03>`.
        mutating func name() -> Bool {
            if self.take("<") {
                guard let end = self.rest.firstIndex(of: UInt8(ascii: ">")) else { return false }
                self.rest = self.rest[(end + 1)...]
                return true
            }
            let letters = self.rest.prefix { ($0 | 0x20) >= UInt8(ascii: "a") && ($0 | 0x20) <= UInt8(ascii: "z") }
            self.rest = self.rest.dropFirst(letters.count)
            return letters.count >= 3
        }

        mutating func number(_ range: ClosedRange<Int64>) -> Int64? {
            let digits = self.rest.prefix { (0x30...0x39).contains($0) }
            guard (1...3).contains(digits.count) else { return nil }
            self.rest = self.rest.dropFirst(digits.count)
            let value = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - 0x30) }
            return range.contains(value) ? value : nil
        }

        /// `[+-]hh[:mm[:ss]]` in seconds.
        mutating func time() -> Int64? {
            let isNegative = self.take("-")
            if !isNegative { _ = self.take("+") }
            guard let hours = self.number(0...167) else { return nil }
            var seconds = hours * 3_600
            if self.take(":") {
                guard let minutes = self.number(0...59) else { return nil }
                seconds += minutes * 60
                if self.take(":") {
                    guard let more = self.number(0...59) else { return nil }
                    seconds += more
                }
            }
            return isNegative ? -seconds : seconds
        }

        mutating func moment() -> Moment? {
            let day: Moment.Day
            if self.take("J") {
                guard let number = self.number(1...365) else { return nil }
                day = .julian(number)
            } else if self.take("M") {
                guard let month = self.number(1...12), self.take("."), let week = self.number(1...5), self.take("."),
                    let weekday = self.number(0...6)
                else { return nil }
                day = .weekday(month: month, week: week, day: Int(weekday))
            } else {
                guard let number = self.number(0...365) else { return nil }
                day = .ofYear(number)
            }
            guard self.take("/") else { return Moment(day: day, time: 7_200) }
            guard let time = self.time() else { return nil }
            return Moment(day: day, time: time)
        }
    }
}
