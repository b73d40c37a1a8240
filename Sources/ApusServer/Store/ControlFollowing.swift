internal import ApusCore
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// How far the catalogue has followed `apus.control`.
struct ControlFollowing {
    /// Where reading goes on.
    var next: Offset = 0
    /// The last record that counted; -1 before the first.
    var lastRecord: Offset = -1
}

/// One record of `apus.control` that was read: where, of which command, and what it changed.
struct FollowedRecord {
    var offset: Offset
    var command: CommandID?
    var change: Catalogue.Change
}

extension ControlRecord {
    /// On records that a command wrote: its id.
    static let commandHeader = "apus-command"
}

extension Control {
    /// Applies the records of `apus.control` before `end` that were not applied yet. On the control thread, or before it has work.
    /// - Parameters:
    ///   - step: called after each bounded step with what it changed, before the next.
    /// - Throws: what the log says; a record that cannot be understood is passed over with an error line.
    func readControl(
        to end: Offset, _ step: (_ records: [FollowedRecord], _ catalogue: Catalogue) -> Void
    ) throws(ApusError) {
        let place = TopicPartition(.control, 0)
        self.following.next = max(self.following.next, try self.log.bounds(of: place).start)
        while self.following.next < end {
            var events: [(offset: Offset, event: Event)] = []
            let next = try self.log.read(
                place, from: self.following.next, maxRecords: Limits.Server.recordsPerFollow,
                maxBytes: Limits.Server.bytesPerRead
            ) { offset, block in
                if let event = try? EventBlock.decode(block.bytes) { events.append((offset, event)) }
                return true
            }
            // What is known to be there and does not come: the next news of it asks again.
            guard next > self.following.next else { return }
            let records = events.compactMap { self.take($0.event, at: $0.offset) }
            self.following.next = next
            step(records, self.queue.catalogue)
        }
    }

    private func take(_ event: Event, at offset: Offset) -> FollowedRecord? {
        do throws(ApusError) {
            let record = try ControlRecord(event)
            let known = self.queue.catalogue.generation(record.kind, record.namespace, record.name)
            let command = event.attributes.first { $0.kind == .header && $0.name == ControlRecord.commandHeader }
            let change = try self.queue.follow(record)
            if record.isOutdated(by: known) {
                // Somebody who may write to the topic brought an older record back.
                self.counters.outdated.add(1, ordering: .relaxed)
                self.nodes.note(event.key)
            }
            self.following.lastRecord = offset
            return FollowedRecord(
                offset: offset, command: command.flatMap { CommandID($0.text) }, change: change)
        } catch {
            self.journal.error("a record of apus.control was passed over: \(error)")
            return nil
        }
    }
}

extension ControlRecord {
    /// Fates and revisions have no generations of their own, and tombstones say none.
    fileprivate func isOutdated(by known: UInt64) -> Bool {
        if self.kind == .fate || self.kind == .revision || (self.kind == .approval && self.isDeleted) { return false }
        return self.generation < known
    }
}

extension ControlCommand {
    var isDryRun: Bool {
        if case .deploy(_, _, isDryRun: true, _) = self { true } else { false }
    }
}
