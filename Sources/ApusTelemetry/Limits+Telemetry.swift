public import ApusCore

extension Limits {
    /// Bounds on what is measured and written about the server itself.
    public enum Telemetry {
        /// Series of one metric: what comes with further label values is counted together under `other`.
        public static let seriesPerMetric = 1_000
        /// The same for histograms with a label of a function: each is two dozen lines of a scrape.
        public static let histogramsPerMetric = 200
        /// Of a label's value; the rest is cut off.
        public static let labelBytes = 128
        /// A log line: what a pipe takes whole or not at all, so that lines of several threads never mix.
        public static let logLineBytes = 4_096
        /// Lines a second that a log writes in the long run, and what it may write at once.
        public static let logLinesPerSecond = 500
        public static let logLinesAtOnce = 2_000
        /// What `tracestate` may hold before it is dropped, as the specification allows.
        public static let traceStateBytes = 512
        public static let traceStateMembers = 32
        /// Spans that wait for their export; above it they are dropped and counted.
        public static let waitingSpans = 8_192
        /// Spans of one export.
        public static let spansPerExport = 512
        /// How often what waits is exported.
        public static let exportMilliseconds: UInt64 = 1_000
        /// How often one batch is sent before it is dropped, and the waits between, which double.
        public static let exportAttempts = 6
        public static let exportBackoff = TimeSpan.milliseconds(1_000)
        public static let exportBackoffMax = TimeSpan.seconds(30)
        /// How long a receiver may take for one batch.
        public static let exportTimeoutMilliseconds = 5_000
        /// How long the last export may take when the server ends.
        public static let lastExportMilliseconds = 2_000
        /// Links of one span: the origins of a batch's events.
        public static let linksPerSpan = 128
    }
}
