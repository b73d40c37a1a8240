public import ApusCore
internal import CRDKafka
internal import Synchronization

/// Owning partitions of `apus.commands`: as shares of a class of its own, which every node takes part in. Group, transactional ids, taking
/// over and fencing are those of the other shares; there is no ledger.
final class KafkaCommands: CommandOwnership {
    /// The class whose shares are the partitions; no node may claim it for functions.
    static let workClass: WorkClass = {
        guard let made = WorkClass("control") else { preconditionFailure("control is a class's name") }
        return made
    }()

    private let work: SharedClass
    private let board: ShareBoard
    private unowned let log: KafkaLog
    private let watch = Mutex<ShareWatch?>(nil)
    /// The terms that were told.
    private let terms = Mutex<[Int: UInt64]>([:])

    init(_ log: KafkaLog, _ work: SharedClass, _ board: ShareBoard) {
        self.log = log
        self.work = work
        self.board = board
    }

    func start(_ changed: @escaping @Sendable (CommandOwnershipChange) -> Void) throws(ApusError) {
        let watch = self.board.watch { [weak self] change in self?.tell(change, changed) }
        self.watch.withLock { $0 = watch }
        try self.work.start()
    }

    private func tell(_ change: ShareChange, _ changed: @Sendable (CommandOwnershipChange) -> Void) {
        switch change {
        case .working(let share):
            self.terms.withLock { $0[share.share.number] = share.term }
            changed(.gained(OwnedCommands(partition: share.share.number, term: share.term)))
        case .draining(let share), .stopped(let share):
            // Nothing runs that would have to end first: what is on its way is written, or it is the next owner's.
            let term = self.terms.withLock { $0.removeValue(forKey: share.number) }
            guard let term else { return }
            changed(.lost(OwnedCommands(partition: share.number, term: term)))
        }
        guard case .draining(let share) = change else { return }
        self.work.drained(share.number)
    }

    func submit(
        _ batch: LogBatch, as owned: OwnedCommands,
        _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) {
        let submission = Submission(batch, completion)
        if let refusal = submission.refusal ?? self.log.refusal(ofKeys: batch, isOwned: true) {
            return completion(.failure(refusal))
        }
        self.work.submit(submission, ShareTerm(Share(Self.workClass, owned.partition), term: owned.term))
    }

    func end(of partition: TopicPartition) throws(ApusError) -> Offset {
        try self.log.ask(self.log.topicsKnown.partition(partition)).end
    }

    var producers: [KafkaClient] { self.work.producers }

    func stop() {
        let watch = self.watch.withLock { watch in
            defer { watch = nil }
            return watch
        }
        if let watch { _ = self.board.unwatch(watch) }
        self.work.close()
    }
}

extension KafkaLog {
    /// Who decides commands among the nodes on this cluster. Once for a log; ends with it at the latest.
    /// - Throws: `log_failed`; `configuration_invalid` for a log that no node shares.
    public func commandOwnership() throws(ApusError) -> any CommandOwnership {
        guard let sharing = self.configuration.sharing else {
            throw ApusError(.configurationInvalid, "the log on Kafka was opened for one node alone")
        }
        let board = ShareBoard()
        // Nothing of the ledger is theirs: what they were at is in the answers, and what took effect once among the keys.
        let places = (0..<Share.count).map { KafkaPartition(.commands, "", $0, isCompacted: false) }
        let work = SharedClass(KafkaCommands.workClass, self.writer, board, ledger: places) {
            [keys = self.keys, catchUp = self.catchUp, client = self.admin.client] (place) throws(KafkaFailure) in
            try keys?.load(place.number, catchUp, client)
        }
        do throws(KafkaFailure) {
            try KafkaStart(self.configuration, self.admin).makeShares(KafkaCommands.workClass)
            try self.takePart(in: work, sharing)
        } catch {
            throw error.apusError("cannot take part in deciding commands")
        }
        let commands = KafkaCommands(self, work, board)
        self.commands.withLock { $0 = commands }
        return commands
    }

    public func lookForTopics() {
        // What cannot be asked now is asked again later.
        do throws(ApusError) { try self.change { log in log.refresh() } } catch {}
    }
}
