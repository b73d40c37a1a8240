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
        var fenced: Set<Share> = []
    }

    private static func shares(_ workClass: WorkClass) -> [Share] { (0..<Share.count).map { Share(workClass, $0) } }

    private let content = Mutex(Content())

    func watch(_ node: Int, _ change: @escaping @Sendable (ShareChange) -> Void) {
        self.content.withLock { $0.watchers[node] = change }
    }

    func unwatch(_ node: Int) { self.content.withLock { $0.watchers[node] = nil } }
    func drained(_ share: Share) { self.content.withLock { _ = $0.drained.insert(share) } }
    var drainedCount: Int { self.content.withLock { $0.drained.count } }
    var refused: Int { self.content.withLock { $0.refused } }

    func tell(_ node: Int, _ workClass: WorkClass = .cpu, _ change: (Share) -> ShareChange) {
        let watcher = self.content.withLock { $0.watchers[node] }
        for share in Self.shares(workClass) { watcher?(change(share)) }
    }

    /// From here on this node decides; it may not know yet, and the one before may not either.
    func give(to node: Int, _ workClass: WorkClass = .cpu) {
        self.content.withLock { content in
            for share in Self.shares(workClass) {
                content.holders[share] = (node, content.nextTerm)
                content.nextTerm += 1
            }
            content.drained = []
        }
    }

    /// Tells the holder that it may work.
    func start(_ node: Int, _ workClass: WorkClass = .cpu) {
        let holders = self.content.withLock { $0.holders }
        self.tell(node, workClass) { .working(ShareTerm($0, term: holders[$0]?.term ?? 0)) }
    }

    /// Whoever holds the share of the class is fenced, and holds it in a new term that it hears of when a test says so.
    func fence(_ share: Share) {
        self.content.withLock { content in
            guard let node = content.holders[share]?.node else { return }
            content.holders[share] = (node, content.nextTerm)
            content.nextTerm += 1
            content.fenced.insert(share)
        }
    }

    var fenced: Set<Share> { self.content.withLock { $0.fenced } }

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
    private let narrowed = Mutex<[FollowToken: Set<Int>]>([:])
    let positions: (any GroupPositions)?

    init(
        _ inner: MemoryLog, _ cluster: ShareCluster, node: Int, classes: [WorkClass] = [.cpu],
        positions: (any GroupPositions)? = nil
    ) {
        self.forwarded = inner
        self.positions = positions
        self.cluster = cluster
        self.node = node
        self.view = View(cluster, node, inner, classes)
    }

    private final class View: WorkSharing {
        private let cluster: ShareCluster
        private let number: Int
        private let log: MemoryLog
        let classes: [WorkClass]
        var node: String { "node-\(self.number)" }

        init(_ cluster: ShareCluster, _ node: Int, _ log: MemoryLog, _ classes: [WorkClass]) {
            self.cluster = cluster
            self.number = node
            self.log = log
            self.classes = classes
        }

        func watch(_ change: @escaping @Sendable (ShareChange) -> Void) -> ShareWatch {
            self.cluster.watch(self.number, change)
            return ShareWatch(rawValue: UInt64(self.number))
        }

        func drained(_ share: Share, _ watch: ShareWatch) { self.cluster.drained(share) }
        func unwatch(_ watch: ShareWatch) { self.cluster.unwatch(self.number) }
        func read(_ share: Share) {}
        func readEntries(_ number: Int) {}
        func take(_ term: ShareTerm, from former: WorkClass, _ entry: LogBatch.LedgerWrite) throws(ApusError) {
            guard self.cluster.mayWrite(self.number, term) else { throw ApusError(.conflict, "it is another node's") }
            self.cluster.fence(Share(former, term.share.number))
            self.log.submit(LogBatch(urgency: .settlement, ledger: [entry])) { _ in }
        }
        var shares: [ShareStatus] { [] }
        var terms: [WorkClass: UInt64] { [:] }
    }

    var sharing: (any WorkSharing)? { self.view }

    func narrow(_ token: FollowToken, without partitions: Set<Int>) {
        self.narrowed.withLock { $0[token] = partitions }
    }

    /// What the node's followers need nothing of, of all topics.
    var ignored: [Set<Int>] { self.narrowed.withLock { Array($0.values) } }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        if let owner = batch.owner, !self.cluster.mayWrite(self.node, owner) {
            return completion(.failure(ApusError(.conflict, "another node does the work of \(owner.share)")))
        }
        self.forwarded.submit(batch, completion)
    }

    /// The other nodes go on.
    func close() {}
}
