internal import ApusCore
internal import ApusStore
internal import Synchronization

/// What each principal called through one shard's listener. Confined to its loop, but for ``hasNews``.
final class CallerCounts: Sendable {
    private struct Key: Hashable {
        var name: ResourceName
        var principal: String
    }

    /// Something was counted since ``take()``. From any thread.
    let hasNews = Atomic(false)
    // SAFETY: touched on the loop of its shard only.
    nonisolated(unsafe) private var counts: [Key: UsageRecord.Caller] = [:]

    /// A direct invocation ended.
    func count(_ name: ResourceName, by principal: String, running: TimeSpan, hasFailed: Bool) {
        var key = Key(name: name, principal: principal)
        if self.counts[key] == nil, self.counts.count >= Limits.Server.countedCallers {
            key.principal = Self.others
        }
        self.counts[
            key, default: UsageRecord.Caller(name, principal: key.principal, calls: 0, failed: 0, running: 0)
        ].add(running, hasFailed)
        self.hasNews.store(true, ordering: .relaxed)
    }

    func take() -> [UsageRecord.Caller] {
        self.hasNews.store(false, ordering: .relaxed)
        defer { self.counts.removeAll(keepingCapacity: true) }
        return Array(self.counts.values)
    }

    /// Whoever finds no place of their own between two writes.
    static let others = "others"
}

extension UsageRecord.Caller {
    fileprivate mutating func add(_ running: TimeSpan, _ hasFailed: Bool) {
        self.calls += 1
        self.failed += hasFailed ? 1 : 0
        self.running += running.microseconds
    }
}
