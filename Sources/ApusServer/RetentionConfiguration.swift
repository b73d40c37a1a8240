public import ApusCore
internal import ApusStore

/// How long what grows is kept. Topics that users deploy say so themselves.
public struct RetentionConfiguration: Sendable, Equatable {
    /// States of invocations that ended, from their end on.
    public var invocations = TimeSpan.seconds(7 * 86_400)
    /// What functions print, by age and by size, whichever is reached first.
    public var logsTime = TimeSpan.seconds(7 * 86_400)
    public var logsBytes: Int64 = 1 << 30
    /// Dead letters of triggers without a topic of their own.
    public var dead = TimeSpan.seconds(30 * 86_400)
    /// Revisions of one function that a rollback can return to, the deployed one included.
    public var revisions = Limits.Control.revisionsPerFunction
    /// Bundles and dependency layers that no kept revision names, from the moment that was first so.
    public var bundlesUnused = TimeSpan.seconds(86_400)
    public var layersUnused = TimeSpan.seconds(7 * 86_400)
    /// Weights that no deployed revision names, from the moment that was first so.
    public var weightsUnused = TimeSpan.seconds(7 * 86_400)
    /// Bytes of the disk that weights may take: unused ones go early for others, and what has no room is not fetched.
    public var weightsBytes: Int64 = 100 << 30
    /// Bytes of the disk that layers may take before unused ones go early.
    public var layersBytes: Int64 = 20 << 30
    /// What was used and what it cost.
    public var usage = TimeSpan.seconds(90 * 86_400)
    /// Records of who did what.
    public var audit = TimeSpan.seconds(365 * 86_400)

    public init() {}
}
