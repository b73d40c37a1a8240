/// How far a subscription is in one partition, under the name by which tools of others know it.
public struct GroupPosition: Sendable, Hashable {
    public var group: String
    public var place: TopicPartition
    /// Every offset below it is settled; nil for a subscription that is gone.
    public var offset: Offset?

    public init(group: String, place: TopicPartition, offset: Offset?) {
        self.group = group
        self.place = place
        self.offset = offset
    }

    /// The group that shows the position of a trigger.
    public static func group(of function: ResourceName, trigger: String) -> String {
        "apus.\(function.namespace).\(function.name).\(trigger)"
    }
}

/// Positions of subscriptions as a log shows them to tools of others, and as these may move them. What counts is the ledger: what is shown
/// is a copy, made from ``LogBatch/LedgerWrite/position`` once that is durable.
public protocol GroupPositions: AnyObject, Sendable {
    /// Where somebody else has moved positions to. Blocks.
    /// - Parameters:
    ///   - positions: as the ledger has them; where nothing or something older is shown, they are shown from now on.
    ///   - share: what they belong to, when this node works it; nil only looks.
    /// - Returns: for each, in their order, where it was moved to; nil where nobody moved it.
    func moves(of positions: [GroupPosition], in share: Share?) throws(ApusError) -> [Offset?]
    /// The ledger has these by now: what somebody else set is done. Blocks.
    func followed(_ positions: [GroupPosition]) throws(ApusError)
    /// Another node shows these from now on.
    func leave(_ positions: [GroupPosition])
    /// What somebody else set and what was not followed yet, as far as this node has seen.
    var waiting: [GroupPosition] { get }
}
