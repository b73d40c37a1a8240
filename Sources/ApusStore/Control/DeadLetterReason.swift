public import ApusCore

/// What a dead letter says of itself, in headers beside the event it keeps whole.
public struct DeadLetterReason: Sendable, Equatable {
    /// The names of the headers; all start with `apus-dead-`.
    public enum Header {
        public static let topic = "apus-dead-topic"
        public static let partition = "apus-dead-partition"
        public static let offset = "apus-dead-offset"
        public static let attempts = "apus-dead-attempts"
        public static let code = "apus-dead-code"
        public static let message = "apus-dead-message"
        public static let detail = "apus-dead-detail"
        public static let namespace = "apus-dead-namespace"
        public static let function = "apus-dead-function"
        public static let trigger = "apus-dead-trigger"
        public static let time = "apus-dead-time"
        public static let revision = "apus-dead-revision"
    }

    /// Where the event came from.
    public var topic: String
    public var partition: Int
    public var offset: Offset
    public var attempts: Int
    public var code: String
    public var message: String
    /// A stack trace, perhaps empty.
    public var detail: String
    public var namespace: String
    public var function: String
    public var trigger: String
    /// When it was given up.
    public var time: Timestamp
    public var revision: String

    public init(
        topic: String, partition: Int, offset: Offset, attempts: Int, code: String, message: String,
        detail: String = "",
        namespace: String, function: String, trigger: String, time: Timestamp, revision: String
    ) {
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.attempts = attempts
        self.code = code
        self.message = message
        self.detail = detail
        self.namespace = namespace
        self.function = function
        self.trigger = trigger
        self.time = time
        self.revision = revision
    }

    /// Reads a dead-letter record.
    /// - Returns: nil when the record is none: some producer's own event on the same topic.
    public init?(_ event: Event) {
        var headers: [String: String] = [:]
        for attribute in event.attributes where attribute.kind == .header && attribute.name.hasPrefix("apus-dead-") {
            headers[attribute.name] = attribute.text
        }
        guard let topic = headers[Header.topic], let function = headers[Header.function],
            let code = headers[Header.code],
            let partition = headers[Header.partition].flatMap(Int.init),
            let offset = headers[Header.offset].flatMap(Offset.init)
        else { return nil }
        // A function outside `default` may be written with its namespace.
        let parts = function.split(separator: "/", maxSplits: 1)
        let (written, name) = parts.count == 2 ? (String(parts[0]), String(parts[1])) : ("default", function)
        self.init(
            topic: topic, partition: partition, offset: offset,
            attempts: headers[Header.attempts].flatMap(Int.init) ?? 0, code: code,
            message: headers[Header.message] ?? "", detail: headers[Header.detail] ?? "",
            namespace: headers[Header.namespace] ?? written, function: name, trigger: headers[Header.trigger] ?? "",
            time: headers[Header.time].flatMap(Int64.init).map(Timestamp.init(microseconds:)) ?? event.timestamp,
            revision: headers[Header.revision] ?? ""
        )
    }

    /// The headers to write beside the event.
    public var attributes: [Attribute] {
        [
            (Header.topic, self.topic), (Header.partition, String(self.partition)),
            (Header.offset, String(self.offset)),
            (Header.attempts, String(self.attempts)), (Header.code, self.code), (Header.message, self.message),
            (Header.detail, self.detail), (Header.namespace, self.namespace), (Header.function, self.function),
            (Header.trigger, self.trigger), (Header.time, String(self.time.microseconds)),
            (Header.revision, self.revision),
        ].map { Attribute($0.0, $0.1, kind: .header) }
    }
}
