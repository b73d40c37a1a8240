internal import ApusCore
internal import ApusManifest

/// A cron line in a time zone: which moments it names.
///
/// On days on which clocks change, a line that is due in every hour follows the hours that pass: it runs through both
/// of two hours
/// of one name, and a time that the clock leaves out is left out. Any other line follows what the clock shows: a time
/// that comes
/// twice counts the first time, and those that the clock leaves out count once, right after the gap.
struct ZonedCron: Sendable, Equatable {
    var cron: CronSchedule
    var zone: TimeZoneRules

    /// Nil when nothing comes any more.
    func next(after time: Timestamp) -> Timestamp? {
        let seconds = time.microseconds >= 0 ? time.microseconds / 1_000_000 : (time.microseconds - 999_999) / 1_000_000
        let next = self.cron.isEveryHour ? self.nextByHours(after: seconds) : self.nextByClock(after: seconds)
        return next.map { Timestamp(microseconds: $0 * 1_000_000) }
    }

    private func nextByClock(after moment: Int64) -> Int64? {
        var civil = CivilTime(seconds: moment + self.zone.offset(at: moment))
        // More than one step only where the clock was set: minutes that were there before, or that share the end of a
        // gap.
        while let next = self.cron.next(after: civil) {
            let due = self.zone.moment(ofLocal: next.seconds)
            if due > moment { return due }
            civil = next
        }
        return nil
    }

    private func nextByHours(after moment: Int64) -> Int64? {
        var segment = self.zone.segment(at: moment)
        var civil = CivilTime(seconds: moment + segment.offset)
        while let next = self.cron.next(after: civil) {
            let due = next.seconds - segment.offset
            if due < segment.end { return due }
            // What this offset would have been due at comes after its end: look on under the next, its first minute
            // included.
            let end = segment.end
            segment = self.zone.segment(at: end)
            civil = CivilTime(seconds: end + segment.offset - 1)
        }
        return nil
    }

    /// The last moment that is due at or before `time`, given one that is.
    func last(from due: Timestamp, through time: Timestamp) -> Timestamp {
        // Steps back that double find a start near the end, so that a year of minutes is not walked through.
        var back = TimeSpan.seconds(60)
        var last = due
        while time - due > back {
            let start = Timestamp(microseconds: time.microseconds - back.microseconds)
            if let found = self.next(after: start), found <= time {
                last = found
                break
            }
            back = TimeSpan(microseconds: back.microseconds * 2)
        }
        while let next = self.next(after: last), next <= time { last = next }
        return last
    }
}
