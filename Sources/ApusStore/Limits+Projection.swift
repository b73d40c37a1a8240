public import ApusCore

extension Limits {
    /// Bounds of the projection: all of it can be made again, so all of it may forget.
    public enum Projection {
        /// Lines kept of one function; the oldest go.
        public static let logLinesPerFunction = 10_000
        /// Lines kept in all.
        public static let logLines = 100_000
        /// Bytes kept of one line; the rest is cut.
        public static let logLineBytes = 8 * 1024
        /// Revisions shown of one function; the oldest go. Not fewer than can be returned to.
        public static let revisionsPerFunction = Limits.Control.revisionsPerFunctionMax
        /// Rows of one answer.
        public static let rowsPerQuery = 1_000
        /// Rows of one answer about usage: of a step of the window, what comes first by name.
        public static let usageRows = 100_000
        public static let usageGapRows = 200_000
        /// Bytes kept of a dead letter's message and detail, each.
        public static let messageBytes = 8 * 1024
    }
}
