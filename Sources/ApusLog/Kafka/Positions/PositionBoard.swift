internal import ApusCore
internal import Synchronization

/// The table of what groups are to show, for whoever commits and for the thread that writes.
final class PositionBoard: Sendable {
    private let table = Mutex(PositionTable())

    func change<Value: Sendable>(_ body: (inout PositionTable) -> Value) -> Value { self.table.withLock { body(&$0) } }

    func committed(_ writes: [LogBatch.LedgerWrite], of share: Share) {
        self.table.withLock { table in
            for case let position? in writes.lazy.map(\.position) { table.committed(position, of: share) }
        }
    }
}
