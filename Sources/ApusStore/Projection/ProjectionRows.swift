public import ApusCore

/// A deployed function, as the projection shows it.
public struct FunctionRow: Sendable, Equatable {
    public var namespace: String
    public var name: String
    public var generation: UInt64
    public var revision: String
    public var bundle: String
    public var layer: String?
    /// JSON.
    public var manifest: String
    /// A JSON array: name, topic, generation and start offsets of each trigger on a topic.
    public var triggers: String
    /// First deployed, since it was last deleted.
    public var created: Timestamp
    public var updated: Timestamp
}

/// One revision of a function.
public struct RevisionRow: Sendable, Equatable {
    public var revision: String
    public var generation: UInt64
    public var bundle: String
    public var layer: String?
    /// JSON.
    public var manifest: String
    public var deployed: Timestamp
}

public struct TopicRow: Sendable, Equatable {
    public var namespace: String
    public var name: String
    public var generation: UInt64
    /// JSON.
    public var manifest: String
    public var created: Timestamp
    public var updated: Timestamp
}

/// A dead letter without its event, which is on the log at ``place``.
public struct DeadLetterRow: Sendable, Equatable {
    public enum State: String, Sendable, Hashable, CaseIterable { case open, redriven, dropped }

    public var id: DeadLetterID
    /// Where its record is; the place that the id names unless the log was restored.
    public var place: RecordPlace
    public var reason: DeadLetterReason
    public var state: State
    /// When it was redriven or dropped.
    public var decided: Timestamp?
    public var eventID: String
    public var eventType: String
    /// Grows along the list: where the next page starts.
    public var sequence: Int64
}

/// A line of ``Projection/logs(of:after:limit:)``.
public struct LogRow: Sendable, Equatable {
    /// Grows along the list: what a follower asks for next.
    public var sequence: Int64
    public var line: LogLine
}
