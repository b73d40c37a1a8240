public import ApusCore

extension Limits {
    /// Bounds of approvals.
    public enum Approvals {
        /// How long a call waits for somebody, and how long its caller has to make it again once it is accepted.
        public static let time = TimeSpan.seconds(86_400)
        /// How long one can be looked at after that.
        public static let kept = TimeSpan.seconds(86_400)
        /// Calls of one principal in one namespace that wait.
        public static let waitingPerPrincipal = 32
        public static let waitingPerNamespace = 256
        /// Approvals on one log, those that are over counted.
        public static let onOneLog = 4_096
        /// What somebody who decides is shown of a call's arguments: all of them, so that a call with more has none.
        public static let argumentsBytes = 16 << 10
        /// What is kept of why somebody decided so.
        public static let reasonCharacters = 500
        /// Changed by one step of a sweep.
        public static let perSweep = 100
    }
}
