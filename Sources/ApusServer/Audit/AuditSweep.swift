internal import ApusCore
internal import ApusLoop
internal import ApusTools

/// Lets records of the audit go that are older than that is kept, in this server's partition: an anchor says first where the others
/// begin, so that a check can tell retention from a thief. On a thread that may block.
struct AuditSweep {
    let server: Server

    private var place: TopicPartition { TopicPartition(.audit, self.server.audit.partition) }

    func step(before time: Timestamp, isDryRun: Bool, now: Timestamp) throws(ApusError) -> SweepStep {
        let log = self.server.log
        let bounds = try log.bounds(of: self.place)
        let aged = try log.offset(of: self.place, at: time)
        let cut = min(aged, bounds.start + Offset(Limits.Audit.sweptPerStep))
        var step = SweepStep()
        step.removed = Int(max(0, cut - bounds.start))
        step.kept = Int(bounds.end - max(cut, bounds.start))
        step.hasMore = cut < aged
        guard step.removed > 0, !isDryRun else { return step }
        let anchors = try self.anchors(from: cut, to: bounds.end)
        let slot = ResultSlot<Result<Void, ApusError>>()
        self.server.audit.anchor(anchors, now: now) { slot.fill($0) }
        try slot.take().get()
        log.discard(self.place, before: cut)
        return step
    }

    /// The first record of each server from the cut on.
    private func anchors(from cut: Offset, to end: Offset) throws(ApusError) -> [AuditPlace] {
        var first: [String: AuditPlace] = [:]
        try self.server.log.readAll(
            self.place, from: cut, to: end, maxRecords: Limits.Audit.checkedPerRead, maxBytes: Limits.recordBytes
        ) { _, block in
            if let data = (try? EventBlock.decode(block.bytes))?.data,
                let place = self.server.audit.keys.place(of: data), first[place.server] == nil
            {
                first[place.server] = place
            }
            return true
        }
        return first.values.sorted { $0.server < $1.server }
    }
}
