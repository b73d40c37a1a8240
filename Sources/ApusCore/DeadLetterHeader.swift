/// The names of the headers that a dead letter carries beside its event: written by the host, read by the projection.
public enum DeadLetterHeader {
    public static let prefix = "apus-dead-"
    public static let topic = "apus-dead-topic"
    public static let partition = "apus-dead-partition"
    public static let offset = "apus-dead-offset"
    public static let attempts = "apus-dead-attempts"
    public static let code = "apus-dead-code"
    public static let message = "apus-dead-message"
    /// A stack trace.
    public static let detail = "apus-dead-detail"
    public static let namespace = "apus-dead-namespace"
    /// `namespace/function`, or the function alone beside ``namespace``.
    public static let function = "apus-dead-function"
    public static let trigger = "apus-dead-trigger"
    /// When it was given up, microseconds since 1970.
    public static let time = "apus-dead-time"
    public static let revision = "apus-dead-revision"
    /// The id that it had before the log was restored from a backup: it keeps it.
    public static let restoredID = "apus-dead-id"
    /// How many of the event's own attributes found no room beside these.
    public static let omitted = "apus-dead-omitted"
}
