internal import ApusCore

/// How long the writer waits for more before it commits.
///
/// Many callers who each wait for their answer before they ask again fall into two halves by themselves: one asks while the other's
/// commit runs. A commit costs nearly the same however much is in it, so one commit for both is half the work, and the answers come as
/// soon where the processor is what everybody waits for. Few callers are never waited for.
struct GroupGathering: Sendable {
    private var count = 0
    private var nanoseconds: Int64 = 0

    /// A group is on the log.
    /// - Parameters:
    ///   - batches: of the group.
    ///   - waiting: that came while it was written.
    ///   - nanoseconds: that it took.
    mutating func committed(_ batches: Int, waiting: Int, nanoseconds: Int64) {
        self.count = batches + waiting
        self.nanoseconds = min(max(0, nanoseconds), Limits.Log.gatherNanoseconds)
    }

    /// For how many batches the next commit waits, and for how long: as the last one took, at most. Nil where it does not wait.
    var wait: (count: Int, nanoseconds: Int64)? {
        self.count >= Limits.Log.gatheredFrom && self.nanoseconds > 0 ? (self.count, self.nanoseconds) : nil
    }
}
