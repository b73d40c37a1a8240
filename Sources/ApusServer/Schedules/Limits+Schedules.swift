internal import ApusCore

extension Limits {
    /// Bounds of scheduled triggers.
    enum Schedules {
        /// Later than this, a firing counts as missed: what happens then is the trigger's to say.
        static let grace = TimeSpan.seconds(30)
        /// Missed times that `missed: all` makes up for in a row; what is left then is skipped.
        static let madeUp = 100
        /// Skipped times that are counted one by one; more are not.
        static let counted = 10_000
        /// Firings on their way to the log at once.
        static let inFlight = 256
        /// The wait after a firing that was refused, doubled each time.
        static let retry = TimeSpan.seconds(1)
        static let retryMax = TimeSpan.seconds(60)
        /// A clock that goes back further than this was wrong before: what is due counts anew. Less is waited out, so
        /// that no time
        /// fires twice.
        static let clockBack = TimeSpan.seconds(3 * 3_600)
        /// How long the timer sleeps at most: a clock that is set is noticed within that.
        static let sleep = TimeSpan.seconds(10)
        /// Places in the heap of wakes that may be out of date before it is made anew, beside as many as there are
        /// triggers.
        static let staleWakes = 1_024
        /// Time zones kept in memory.
        static let zones = 2_048
        /// A time zone file.
        static let zoneFileBytes = 256 * 1024
    }
}
