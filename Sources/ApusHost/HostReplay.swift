public import ApusCore
internal import ApusEngine

/// A stretch of a topic that a trigger is given once more, as the host runs it: a trigger beside the one it is of.
public struct HostReplay: Sendable, Hashable {
    /// Names it among all replays.
    public var number: UInt64
    /// Where each partition ends; partitions beyond the list are no part of it.
    public var ends: [Offset]
    /// Whether replies and emitted events are written.
    public var writesOutputs: Bool

    public init(number: UInt64, ends: [Offset], writesOutputs: Bool = true) {
        self.number = number
        self.ends = ends
        self.writesOutputs = writesOutputs
    }

    /// What there is of a partition up to the end of the replay.
    func bounded(_ bounds: OffsetBounds, _ partition: Int) -> OffsetBounds {
        let end = min(bounds.end, self.ends[partition])
        return OffsetBounds(start: min(bounds.start, end), end: end)
    }
}

extension Shard {
    /// Tells of replays of which nothing is left to be done here. Told again after a while as long as they are there: another node's
    /// partitions may not be behind yet, and that one has ended may not have been written.
    func endReplays() {
        let now = self.now
        for id in self.replays where self.replaysToldUntil[id] ?? .zero <= now && self.engine.isComplete(id) {
            guard let trigger = self.triggers[id], let replay = trigger.replay else { continue }
            self.replaysToldUntil[id] = now + Limits.Host.replayEndAgain
            self.configuration.onReplayComplete(trigger.functionName, replay.number)
        }
    }
}
