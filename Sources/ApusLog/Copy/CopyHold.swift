internal import ApusCore
internal import Synchronization

/// What the writer keeps for a copy under way: no record below the noted end of a partition is deleted until the copy has walked
/// it. Shared by the writer and the copy; ends once, whoever of them ends it.
final class CopyHold: Sendable {
    private struct State {
        /// Noted ends by table of records; a partition that was walked is not in it any more.
        var ends: [UInt32: Offset]
        var failure: ApusError?
        var isOver = false
        var lastStep: Int64
    }

    private let state: Mutex<State>
    private let started: Int64
    private let stallMilliseconds: Int64

    /// - Parameter now: milliseconds on the monotonic clock.
    init(ends: [UInt32: Offset], stallMilliseconds: Int64, now: Int64) {
        self.state = Mutex(State(ends: ends, lastStep: now))
        self.started = now
        self.stallMilliseconds = stallMilliseconds
    }

    var isOver: Bool { self.state.withLock { $0.isOver } }
    var failure: ApusError? { self.state.withLock { $0.failure } }

    /// Whether a record must stay.
    func keeps(_ table: UInt32, _ offset: Offset) -> Bool {
        self.state.withLock { !$0.isOver && offset < $0.ends[table] ?? 0 }
    }

    /// Whether anything of a table must stay.
    func keeps(_ table: UInt32) -> Bool { self.state.withLock { !$0.isOver && $0.ends[table] != nil } }

    func release(_ table: UInt32) { self.state.withLock { $0.ends[table] = nil } }

    /// The copy went a step further.
    func progressed(now: Int64) { self.state.withLock { $0.lastStep = now } }

    func end(_ failure: ApusError?) {
        self.state.withLock { state in
            if state.isOver { return }
            state.isOver = true
            state.failure = failure
            state.ends = [:]
        }
    }

    /// Ends a copy that stalls, takes too long, or takes room that the log needs.
    func check(now: Int64, isShort: Bool) {
        let idle = now - self.state.withLock { $0.lastStep }
        if isShort {
            self.end(
                ApusError(.logFull, "the event log needs the room that the copy made it keep: make room, then try again"))
        } else if idle > self.stallMilliseconds {
            self.end(
                ApusError(
                    .deadlineExceeded,
                    "the copy of the event log stood still for \(idle / 1_000) s and was ended, so that the log can let go of "
                        + "what it kept: write it to a faster place and try again"))
        } else if now - self.started > Limits.Log.copyMilliseconds {
            self.end(
                ApusError(
                    .deadlineExceeded,
                    "the copy of the event log took more than \(Limits.Log.copyMilliseconds / 3_600_000) hours and was ended: "
                        + "write it to a faster place and try again"))
        }
    }
}
