/// A trigger of a function that runs it by the clock.
public struct ScheduleTriggerManifest: Sendable, Equatable {
    /// What becomes of times that passed while nothing could run: the server was down, or the function paused.
    public enum Missed: String, Sendable, CaseIterable {
        /// They are left out.
        case skip
        /// One firing stands for all of them.
        case once
        /// Each is made up for, oldest first, within a bound.
        case all
    }

    /// Unique in the function.
    public var name: String
    public var cron: CronSchedule
    /// A zone of the time zone database. That there is one of this name, the server checks.
    public var zone: String
    public var missed: Missed
    public var isPaused: Bool

    public init(name: String, cron: CronSchedule, zone: String, missed: Missed, isPaused: Bool) {
        self.name = name
        self.cron = cron
        self.zone = zone
        self.missed = missed
        self.isPaused = isPaused
    }
}
