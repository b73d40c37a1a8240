internal import ApusCore
internal import ApusStore

/// Forgets invocations that ended long ago, a bounded step at a time.
///
/// A tombstone takes each state from `apus.invocations`, and the projection follows. On the store thread.
struct InvocationSweep {
    let server: Server

    /// What the next step would forget.
    func due(endedBefore time: Timestamp) throws(ApusError) -> [InvocationID] {
        try self.server.projection.query { (projection) throws(ApusError) in
            try projection.endedInvocations(before: time, limit: Limits.Invocations.statesPerSweep)
        }
    }

    /// One step.
    /// - Returns: how many were forgotten; as many as ``Limits/Invocations/statesPerSweep`` when there may be more.
    func step(endedBefore time: Timestamp) throws(ApusError) -> Int {
        let ids = try self.due(endedBefore: time)
        guard !ids.isEmpty else { return 0 }
        let appends = ids.map { id in
            LogBatch.Append(
                topic: .invocations, partition: id.partition(among: Limits.Invocations.partitions),
                block: EventBlock.encode(Event(key: Array(id.description.utf8), data: nil)))
        }
        let receipt = try self.server.log.write(LogBatch(urgency: .settlement, appends: appends))
        // The next step must not find them again.
        for partition in Set(receipt.places.map(\.partition)) {
            self.server.projection.catchUp(TopicPartition(.invocations, partition))
        }
        return ids.count
    }
}
