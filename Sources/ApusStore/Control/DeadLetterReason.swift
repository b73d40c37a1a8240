public import ApusCore

/// What a dead letter says of itself, in headers beside the event it keeps whole.
public struct DeadLetterReason: Sendable, Equatable {
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
        for attribute in event.attributes
        where attribute.kind == .header && attribute.name.hasPrefix(DeadLetterHeader.prefix) {
            headers[attribute.name] = attribute.text
        }
        guard let topic = headers[DeadLetterHeader.topic], let function = headers[DeadLetterHeader.function],
            let code = headers[DeadLetterHeader.code],
            let partition = headers[DeadLetterHeader.partition].flatMap(Int.init),
            let offset = headers[DeadLetterHeader.offset].flatMap(Offset.init)
        else { return nil }
        // A function outside `default` may be written with its namespace.
        let parts = function.split(separator: "/", maxSplits: 1)
        let (written, name) = parts.count == 2 ? (String(parts[0]), String(parts[1])) : ("default", function)
        self.init(
            topic: topic, partition: partition, offset: offset,
            attempts: headers[DeadLetterHeader.attempts].flatMap(Int.init) ?? 0, code: code,
            message: headers[DeadLetterHeader.message] ?? "", detail: headers[DeadLetterHeader.detail] ?? "",
            namespace: headers[DeadLetterHeader.namespace] ?? written, function: name,
            trigger: headers[DeadLetterHeader.trigger] ?? "",
            time: headers[DeadLetterHeader.time].flatMap(Int64.init).map(Timestamp.init(microseconds:))
                ?? event.timestamp,
            revision: headers[DeadLetterHeader.revision] ?? ""
        )
    }

    /// The id that a dead letter brought out of a backup.
    static func restoredID(_ event: Event) -> DeadLetterID? {
        event.attributes.first { $0.kind == .header && $0.name == DeadLetterHeader.restoredID }.flatMap {
            DeadLetterID($0.text)
        }
    }

    /// The headers to write beside the event.
    public var attributes: [Attribute] {
        [
            (DeadLetterHeader.topic, self.topic), (DeadLetterHeader.partition, String(self.partition)),
            (DeadLetterHeader.offset, String(self.offset)),
            (DeadLetterHeader.attempts, String(self.attempts)), (DeadLetterHeader.code, self.code),
            (DeadLetterHeader.message, self.message),
            (DeadLetterHeader.detail, self.detail), (DeadLetterHeader.namespace, self.namespace),
            (DeadLetterHeader.function, self.function),
            (DeadLetterHeader.trigger, self.trigger), (DeadLetterHeader.time, String(self.time.microseconds)),
            (DeadLetterHeader.revision, self.revision),
        ].map { Attribute($0.0, $0.1, kind: .header) }
    }
}
