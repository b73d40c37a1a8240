public import ApusCore

extension Limits {
    /// Bounds of the pool that nobody needs to configure.
    public enum Pool {
        /// Starts from one tier that an estimate is made from.
        public static let startSamples = 20
        /// Room on a device that is never given away: what drivers and fragments take.
        public static let headroomPercent = 5
        /// An instance that became ready a moment ago is not evicted.
        public static let protection: TimeSpan = .seconds(10)
        /// How long a device may take to have its memory back after a process ended, before it is quarantined.
        public static let memoryReturn: TimeSpan = .seconds(2)
        /// Who has work all the time has its devices for so long, by its weight, before they go to somebody who waits for them: the longer
        /// of this and so many times what the change costs it.
        public static let turn: TimeSpan = .seconds(8)
        public static let turnStarts: Int64 = 3
        /// After how long the rate of a function's uses counts half.
        public static let rateHalfLife: TimeSpan = .seconds(7_200)
        /// What leaves for a start is missed for so long: its worth in that time is weighed against the wait for a device's other starts.
        public static let evictionHorizon: TimeSpan = .seconds(60)
        /// Devices whose instances are weighed against each other for one start, where all are full.
        public static let devicesWeighed = 64
        /// A start that fails is tried again after a second, then twice as late each time, to this at most.
        public static let startBackoffMax: TimeSpan = .seconds(300)
        /// A phase of a start that takes longer than this many estimates has failed, but never before ``startPatience``.
        public static let startEstimates: Int64 = 3
        public static let startPatience: TimeSpan = .seconds(60)
    }
}
