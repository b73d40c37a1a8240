internal import ApusCore
internal import ApusLoop
internal import ApusTelemetry
internal import Synchronization

/// Reads a topic of one partition as it grows. What was read is given on, one record after the other, on a thread of its own.
final class TopicTail: Sendable {
    private let log: any EventLog
    private let place: TopicPartition
    private let journal: Log
    private let onRecord: @Sendable (Event) -> Void
    private let thread = WorkThread()
    private let state = Mutex(State())
    // SAFETY: written by `start` before anything is queued, touched on `thread` from then on.
    nonisolated(unsafe) private var next: Offset = 0

    private struct State {
        var token: FollowToken?
        /// A look is on its way: the next growth needs none of its own.
        var isQueued = false
    }

    init(_ log: any EventLog, _ topic: TopicName, _ journal: Log, _ onRecord: @escaping @Sendable (Event) -> Void) {
        self.log = log
        self.place = TopicPartition(topic, 0)
        self.journal = journal
        self.onRecord = onRecord
    }

    /// Gives on what is there now, before it returns, and what is written from now on. Once.
    /// - Parameter skipsOld: what is there now is passed over.
    /// - Throws: what the log says.
    func start(skipsOld: Bool) throws(ApusError) {
        let bounds = try self.log.bounds(of: self.place)
        self.next = bounds.start
        if skipsOld { self.next = bounds.end } else { try self.read() }
        let token = self.log.follow(self.place.topic) { [weak self] _, _ in self?.look() }
        self.state.withLock { $0.token = token }
        self.look()
    }

    /// Looks whether there is more. What the log tells of is looked at anyhow; a look that finds no place in the queue is made up for by
    /// the next.
    func look() {
        let isNew = self.state.withLock { state in
            defer { state.isQueued = true }
            return !state.isQueued
        }
        guard isNew else { return }
        let isTaken = self.thread.run {
            self.state.withLock { $0.isQueued = false }
            do throws(ApusError) { try self.read() } catch {
                self.journal.error("\(self.place) cannot be followed: \(error.message)")
            }
        }
        if !isTaken { self.state.withLock { $0.isQueued = false } }
    }

    private func read() throws(ApusError) {
        let bounds = try self.log.bounds(of: self.place)
        self.next = max(self.next, bounds.start)
        while self.next < bounds.end {
            let reached = try self.log.read(
                self.place, from: self.next, maxRecords: Limits.Server.recordsPerFollow,
                maxBytes: Limits.Server.bytesPerRead
            ) { _, block in
                if let event = try? EventBlock.decode(block.bytes) { self.onRecord(event) }
                return true
            }
            // What is known to be there and has not come yet comes with the next news of it.
            guard reached > self.next else { return }
            self.next = reached
        }
    }

    /// Nothing is given on after it returns. Once, before the log is closed.
    func stop() {
        if let token = self.state.withLock({ $0.token }) { self.log.unfollow(token) }
        self.thread.stop()
    }
}
