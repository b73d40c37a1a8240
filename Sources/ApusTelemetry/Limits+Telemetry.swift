public import ApusCore

extension Limits {
    /// Bounds on what is measured and written about the server itself.
    public enum Telemetry {
        /// Series of one metric: what comes with further label values is counted together under `other`.
        public static let seriesPerMetric = 1_000
        /// Of a label's value; the rest is cut off.
        public static let labelBytes = 128
        /// A log line: what a pipe takes whole or not at all, so that lines of several threads never mix.
        public static let logLineBytes = 4_096
        /// Lines a second that a log writes in the long run, and what it may write at once.
        public static let logLinesPerSecond = 500
        public static let logLinesAtOnce = 2_000
    }
}
