internal import ApusCore
internal import CRDKafka
internal import Synchronization

/// How this log's work is spread over the nodes on one cluster: a group, its shares and their producers for each class.
final class KafkaSharing: WorkSharing {
    let classes: [WorkClass]
    private let works: [WorkClass: SharedClass]
    private let board: ShareBoard
    let readLedger: @Sendable (Int) throws(KafkaFailure) -> Void
    private let members: @Sendable (WorkClass) throws(KafkaFailure) -> Int
    private let taking: KafkaTaking
    private let others = Mutex<[NodeShare]>([])

    /// - Parameters:
    ///   - members: how many nodes take part in a class.
    ///   - readLedger: reads a partition of the ledger as far as it is decided.
    init(
        _ works: [SharedClass], _ board: ShareBoard, _ taking: KafkaTaking,
        members: @escaping @Sendable (WorkClass) throws(KafkaFailure) -> Int,
        readLedger: @escaping @Sendable (Int) throws(KafkaFailure) -> Void
    ) {
        self.members = members
        self.readLedger = readLedger
        self.taking = taking
        self.classes = works.map(\.workClass)
        self.works = Dictionary(uniqueKeysWithValues: works.map { ($0.workClass, $0) })
        self.board = board
    }

    var node: String { self.taking.configuration.sharing?.node ?? "" }

    var all: [SharedClass] { self.classes.compactMap { self.works[$0] } }

    func close() { for work in self.works.values { work.close() } }

    func submit(_ submission: Submission, _ owner: ShareTerm) {
        guard let work = self.works[owner.share.workClass] else {
            return submission.completion(
                .failure(ApusError(.conflict, "this node takes no part in the class \(owner.share.workClass)")))
        }
        work.submit(submission, owner)
    }

    var producers: [KafkaClient] { self.works.values.flatMap(\.producers) }

    // MARK: WorkSharing

    func watch(_ change: @escaping @Sendable (ShareChange) -> Void) -> ShareWatch { self.board.watch(change) }

    func drained(_ share: Share, _ watch: ShareWatch) {
        if self.board.drained(share, watch) { self.works[share.workClass]?.drained(share.number) }
    }

    func unwatch(_ watch: ShareWatch) {
        for share in self.board.unwatch(watch) { self.works[share.workClass]?.drained(share.number) }
    }

    func read(_ share: Share) throws(ApusError) {
        // What is worked here nobody else adds to.
        if self.works[share.workClass]?.isWorked(share.number) == true { return }
        try self.readEntries(share.number)
    }

    func readEntries(_ number: Int) throws(ApusError) {
        do throws(KafkaFailure) { try self.readLedger(number) } catch {
            throw error.apusError("cannot read the ledger of the shares \(number)")
        }
    }

    func take(_ term: ShareTerm, from former: WorkClass, _ entry: LogBatch.LedgerWrite) throws(ApusError) {
        guard self.works[term.share.workClass]?.isWorked(term.share.number) == true else {
            throw ApusError(.conflict, "another node does the work of the share \(term.share)")
        }
        do throws(KafkaFailure) { try self.taking.take(Share(former, term.share.number), entry) } catch {
            throw error.apusError("cannot take what \(term.share) does over from the class \(former)")
        }
    }

    func hasNodes(_ workClass: WorkClass) throws(ApusError) -> Bool {
        if self.classes.contains(workClass) { return true }
        do throws(KafkaFailure) { return try self.members(workClass) > 0 } catch {
            throw error.apusError("cannot ask which servers have the class \(workClass)")
        }
    }

    var terms: [WorkClass: UInt64] { self.works.mapValues(\.terms) }

    var shares: [ShareStatus] { self.classes.flatMap { self.works[$0]?.shares ?? [] } }

    var nodes: [NodeShare] {
        let own = self.shares
        let held = Set(own.map(\.share))
        let others = self.others.withLock { $0 }.filter { !held.contains($0.status.share) }
        return (own.map { NodeShare(node: self.node, $0) } + others).sorted {
            ($0.status.share.workClass.name, $0.status.share.number) < ($1.status.share.workClass.name, $1.status.share.number)
        }
    }

    /// What the other nodes say.
    func heard(_ others: [NodeShare]) { self.others.withLock { $0 = others } }

    // MARK: on the cluster

    /// What the partitions of are a class's shares; nothing is ever appended to it.
    static func topic(_ workClass: WorkClass) -> String { "apus.shares.\(workClass)" }

    /// Begins with every topic of shares.
    static let topicPrefix = "apus.shares."

    static func group(_ configuration: KafkaLogConfiguration, _ workClass: WorkClass) -> String {
        "apus.\(configuration.cluster).\(configuration.topicPrefix)\(workClass)"
    }

    static func transactionalID(_ configuration: KafkaLogConfiguration, _ share: Share) -> String {
        "\(Self.group(configuration, share.workClass)).\(share.number)"
    }
}
