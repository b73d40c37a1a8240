public import ApusCore

/// A topic as its manifest describes it: checked, defaults filled in.
public struct TopicManifest: Sendable, Equatable {
    public var namespace: Namespace
    /// The name in its namespace.
    public var name: String
    /// The name on the log.
    public var topic: TopicName
    public var labels: [String: String]
    public var configuration: TopicConfiguration
    /// Where the fields stand in the file; no part of equality and of the JSON form.
    public var locations: SourceLocations

    /// What holds where the manifest says nothing and the topic is not compacted.
    static let retentionTime = TimeSpan.seconds(7 * 86_400)
    static let retentionBytes: Int64 = 10 << 30
}
