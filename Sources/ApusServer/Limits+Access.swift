internal import ApusCore

extension Limits {
    /// Bounds on logins and on what refused callers can make the server do.
    enum Access {
        /// A login link that was not used by then is worth nothing.
        static let loginSeconds: Int64 = 60
        /// Links that wait to be used.
        static let logins = 1_024
        static let loginsPerToken = 8
        /// Browsers that are logged in.
        static let sessions = 4_096
        static let sessionsPerToken = 16
        /// A browser that asks for nothing for so long is logged out,
        static let sessionIdleSeconds: Int64 = 2 * 3_600
        /// and each after so long.
        static let sessionSeconds: Int64 = 12 * 3_600
        /// How often streams are looked at whose token may have ended: they end within this and what a turn takes.
        static let sweepMilliseconds: UInt64 = 1_000
        /// Lines on refused requests in the journal; what is above is counted.
        static let journalLinesPerSecond = 5
        /// The longest life a token may be given; without one it has no end.
        static let tokenDays: Int64 = 3_650
        /// A token that somebody else issued.
        static let webTokenBytes = 16 << 10
        /// Of such tokens, those whose signature need not be checked again.
        static let webTokensKnown = 4_096
        /// The subject of one, in bytes.
        static let subjectBytes = 255
        /// What clocks of two machines may be apart.
        static let clockSkew = TimeSpan.seconds(60)
        /// Authorization servers that are believed.
        static let issuers = 16
        /// Public keys of one, and the bytes of all that it publishes.
        static let keysPerIssuer = 64
        static let keySetBytes = 1 << 20
        /// How long a fetch of keys may take.
        static let keysMilliseconds = 10_000
        /// Keys are fetched anew after so long,
        static let keysRefresh = TimeSpan.seconds(600)
        /// for a token that names an unknown one at most so often,
        static let keysUnknown = TimeSpan.seconds(60)
        /// and while there are none at most so often.
        static let keysRetry = TimeSpan.seconds(5)
        /// How often it is looked whether keys are due.
        static let keysTickMilliseconds: UInt64 = 1_000
    }
}
