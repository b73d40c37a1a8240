import ApusCore
import ApusTestSupport
import Synchronization

/// Which of several nodes holds each share of one log: says so to their shards when a test does, and refuses what others write, whatever
/// they believe.
final class ShareCluster: Sendable {
    private struct Content {
        var holders: [Share: (node: Int, term: UInt64)] = [:]
        var nextTerm: UInt64 = 1
        var watchers: [Int: @Sendable (ShareChange) -> Void] = [:]
        var drained: Set<Share> = []
        var refused = 0
    }

    static let shares = (0..<Share.count).map { Share(.cpu, $0) }

    private let content = Mutex(Content())

    func watch(_ node: Int, _ change: @escaping @Sendable (ShareChange) -> Void) {
        self.content.withLock { $0.watchers[node] = change }
    }

    func unwatch(_ node: Int) { self.content.withLock { $0.watchers[node] = nil } }
    func drained(_ share: Share) { self.content.withLock { _ = $0.drained.insert(share) } }
    var drainedCount: Int { self.content.withLock { $0.drained.count } }
    var refused: Int { self.content.withLock { $0.refused } }

    func tell(_ node: Int, _ change: (Share) -> ShareChange) {
        let watcher = self.content.withLock { $0.watchers[node] }
        for share in Self.shares { watcher?(change(share)) }
    }

    /// From here on this node decides; it may not know yet, and the one before may not either.
    func give(to node: Int) {
        self.content.withLock { content in
            for share in Self.shares {
                content.holders[share] = (node, content.nextTerm)
                content.nextTerm += 1
            }
            content.drained = []
        }
    }

    /// Tells the holder that it may work.
    func start(_ node: Int) {
        let holders = self.content.withLock { $0.holders }
        self.tell(node) { .working(ShareTerm($0, term: holders[$0]?.term ?? 0)) }
    }

    func mayWrite(_ node: Int, _ owner: ShareTerm) -> Bool {
        self.content.withLock { content in
            let holder = content.holders[owner.share]
            guard holder?.node == node, holder?.term == owner.term else {
                content.refused += 1
                return false
            }
            return true
        }
    }
}

/// One node's view of a log in memory that several share.
final class SharedLog: ForwardingLog {
    let forwarded: any EventLog
    private let node: Int
    private let cluster: ShareCluster
    private let view: View

    init(_ inner: MemoryLog, _ cluster: ShareCluster, node: Int) {
        self.forwarded = inner
        self.cluster = cluster
        self.node = node
        self.view = View(cluster, node)
    }

    private final class View: WorkSharing {
        private let cluster: ShareCluster
        private let node: Int
        let classes = [WorkClass.cpu]

        init(_ cluster: ShareCluster, _ node: Int) {
            self.cluster = cluster
            self.node = node
        }

        func watch(_ change: @escaping @Sendable (ShareChange) -> Void) -> ShareWatch {
            self.cluster.watch(self.node, change)
            return ShareWatch(rawValue: UInt64(self.node))
        }

        func drained(_ share: Share, _ watch: ShareWatch) { self.cluster.drained(share) }
        func unwatch(_ watch: ShareWatch) { self.cluster.unwatch(self.node) }
        func read(_ share: Share) {}
        var shares: [ShareStatus] { [] }
    }

    var sharing: (any WorkSharing)? { self.view }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        if let owner = batch.owner, !self.cluster.mayWrite(self.node, owner) {
            return completion(.failure(ApusError(.conflict, "another node does the work of \(owner.share)")))
        }
        self.forwarded.submit(batch, completion)
    }

    /// The other nodes go on.
    func close() {}
}
