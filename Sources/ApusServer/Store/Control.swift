internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusManifest
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Decides and performs every write to `apus.control`, one at a time, on a thread of its own: topics are made, records written in
/// one transaction, the catalogue follows, the shards hear of it, the caller is answered.
///
/// Where several nodes share a log, a write goes as a command to the node that decides it; see ``SharedControl``.
final class Control: Sendable {
    typealias Answer = Result<Done, ApusError>

    /// A command that took effect.
    struct Done: Sendable {
        var outcomes: [ControlDecision.Outcome]
        /// The record of `apus.control` after which queries show it; nil when nothing was asked to change.
        var position: RecordPlace?
    }

    let log: any EventLog
    let clock = SystemClock()
    let journal: Log
    let thread = WorkThread()
    // SAFETY: touched on `thread` only, and by `replay` before anything was given to it.
    nonisolated(unsafe) var queue: ControlQueue
    // SAFETY: as `queue`.
    nonisolated(unsafe) private var nextCommand: ControlQueue.CommandID = 1
    // SAFETY: as `queue`.
    nonisolated(unsafe) var following = ControlFollowing()
    // SAFETY: as `queue`. What several nodes on one log need.
    nonisolated(unsafe) var nodes = SharedControl()
    /// Nil where this server alone writes to the log.
    let ownership: (any CommandOwnership)?
    /// Growth of topics that is queued for the thread already.
    let growth = Mutex<Set<TopicPartition>>([])
    /// Of `apus.commands/0`, while this node decides.
    let deciding = Mutex<OwnedCommands?>(nil)
    /// The partitions on which this node decides writes with idempotency keys.
    let keyedTerms = Mutex<[Int: OwnedCommands]>([:])
    let counters = SharedControl.Counters()
    let commandDeadline: TimeSpan
    private let snapshot = Mutex(Catalogue())
    let isStopping = Atomic(false)
    /// Called on `thread` with what a write changed, before its caller is answered; gives what kept a change from taking effect.
    let onChanges: @Sendable ([Catalogue.Change], Catalogue) -> ApusError?
    /// Called on `thread` when this node begins to decide, with what is deployed, and with nil when it no longer does. It decides nothing
    /// before that succeeded.
    let onDeciding = Mutex<(@Sendable (Catalogue?) throws(ApusError) -> Void)?>(nil)
    /// Called on `thread` when the catalogue holds more records than before.
    let onFollowed = Mutex<(@Sendable () -> Void)?>(nil)
    /// The catalogue holds every record of `apus.control` before it. From any thread.
    let followed = Atomic<Int64>(0)
    private let fateOf: FateOf

    /// What was decided about a dead letter, once every record up to the place has been seen. Blocks, within a bound.
    typealias FateOf = @Sendable (DeadLetterID, RecordPlace?) throws(ApusError) -> ControlRecord.DeadLetterFate?

    init(
        log: any EventLog, journal: Log, revisionsPerFunction: Int = Limits.Control.revisionsPerFunction,
        ownership: (any CommandOwnership)? = nil, commandDeadline: TimeSpan = Limits.ControlCommands.deadline,
        fateOf: @escaping FateOf,
        onChanges: @escaping @Sendable ([Catalogue.Change], Catalogue) -> ApusError?
    ) {
        self.log = log
        self.journal = journal
        self.queue = ControlQueue(revisionsPerFunction: revisionsPerFunction)
        self.ownership = ownership
        self.commandDeadline = commandDeadline
        self.fateOf = fateOf
        self.onChanges = onChanges
    }

    /// What is deployed. From any thread.
    var catalogue: Catalogue { self.snapshot.withLock { $0 } }

    func show(_ catalogue: Catalogue) { self.snapshot.withLock { $0 = catalogue } }

    /// Reads `apus.control` from its first record. Before anything else is asked of this object.
    /// - Throws: what the log says; a record that cannot be understood is passed over with an error line.
    func replay() throws(ApusError) {
        let place = TopicPartition(.control, 0)
        let end =
            if let ownership = self.ownership { try ownership.end(of: place) } else {
                try self.log.bounds(of: place).end
            }
        try self.readControl(to: end) { _, _ in }
        self.show(self.queue.catalogue)
        self.followed.store(self.following.next, ordering: .releasing)
    }

    /// Performs a command and calls `completion` on the control thread.
    /// - Parameters:
    ///   - appends: further records for the same transaction.
    ///   - who: asks; said in the command where there is one.
    func perform(
        _ command: ControlCommand, appends: [LogBatch.Append] = [], by who: String = "server",
        _ completion: @escaping @Sendable (Answer) -> Void
    ) {
        if self.ownership != nil, !command.isDryRun { return self.ask(command, appends, who, completion) }
        let deadline = self.clock.now + .seconds(Limits.Server.controlSeconds)
        let isQueued = self.thread.run { completion(self.run(command, appends, deadline)) }
        guard !isQueued else { return }
        completion(.failure(self.isStopping.load(ordering: .acquiring) ? Self.stopping : Self.overloaded))
    }

    static let overloaded = ApusError(.overloaded, "too many deployments and deletions wait: try again later")
    static let stopping = ApusError(.shuttingDown, "the server is stopping: try again when it is back")

    /// Performs a command and waits for it: from a thread that may block, never from a loop.
    func perform(_ command: ControlCommand, appends: [LogBatch.Append] = []) -> Answer {
        let slot = ResultSlot<Answer>()
        self.perform(command, appends: appends) { slot.fill($0) }
        return slot.take()
    }

    /// Runs `body` between two writes with what is deployed then: nothing is decided or written meanwhile. Short, and never waits
    /// for another command. From a thread that may block, never from a loop.
    /// - Throws: `overloaded` when too much waits, `shutting_down`.
    func exclusively<Value: Sendable>(
        _ body: @escaping @Sendable (Catalogue) throws(ApusError) -> Value
    ) throws(ApusError) -> Value {
        let slot = ResultSlot<Result<Value, ApusError>>()
        let isQueued = self.thread.run {
            let result: Result<Value, ApusError>
            do throws(ApusError) { result = .success(try body(self.queue.catalogue)) } catch {
                result = .failure(error)
            }
            slot.fill(result)
        }
        guard isQueued else { throw self.isStopping.load(ordering: .acquiring) ? Self.stopping : Self.overloaded }
        return try slot.take().get()
    }

    /// Runs something between two writes, with what is deployed then; with nil when the server stops.
    /// - Returns: false when too much waits; `work` is not called then.
    func enqueue(_ work: @escaping @Sendable (Catalogue?) -> Void) -> Bool {
        self.thread.run { work(self.isStopping.load(ordering: .acquiring) ? nil : self.queue.catalogue) }
    }

    private func run(_ command: ControlCommand, _ appends: [LogBatch.Append], _ deadline: Timestamp) -> Answer {
        guard !self.isStopping.load(ordering: .acquiring) else { return .failure(Self.stopping) }
        let id = self.nextCommand
        self.nextCommand += 1
        do throws(ApusError) {
            switch command {
            case .decideFate(let id, _, _): try self.checkOpen(id)
            case .decideFates(let ids, _, _): for id in ids { try self.checkOpen(id) }
            case .endReplay(let name, let id, .finished): try self.checkBehind(id, of: name)
            default: break
            }
            try self.queue.submit(command, id: id, deadline: deadline)
        } catch {
            return .failure(error)
        }
        let action = self.queue.next(now: self.clock.now) { (place, position) throws(ApusError) in
            try self.resolve(place, position)
        }
        switch action {
        case .answer(_, let answer): return self.result(answer, command)
        case .write(_, let decision): return self.write(decision, appends)
        case nil: return .failure(ApusError(.internal, "a control command was lost"))
        }
    }

    /// Nothing is written between this and the decision, so that each dead letter is decided once.
    func checkOpen(_ id: DeadLetterID) throws(ApusError) {
        let last =
            self.ownership == nil
            ? try self.log.bounds(of: TopicPartition(.control, 0)).end - 1 : self.following.lastRecord
        let place = last < 0 ? nil : RecordPlace(TopicPartition(.control, 0), last)
        guard let fate = try self.fateOf(id, place) else { return }
        throw ApusError(.conflict, "the dead letter '\(id)' was \(fate.rawValue) already")
    }

    /// A replay has ended once its ledger says so durably, wherever each of its partitions is run.
    private func checkBehind(_ id: ReplayID, of name: ResourceName) throws(ApusError) {
        let replay = try self.queue.catalogue.replay(id, of: name)
        let prefix = replay.ledgerPrefix(of: name)
        let workClass = self.queue.catalogue.functions[name]?.manifest.resources.workClass ?? .cpu
        if let sharing = self.log.sharing {
            for partition in replay.starts.indices where replay.starts[partition] < replay.ends[partition] {
                try sharing.read(Share.of(replay.topic, partition: partition, workClass))
            }
        }
        var positions = replay.starts
        for entry in try self.log.ledger(prefix: prefix) {
            guard let partition = LedgerKey.partition(of: entry.key, prefix: prefix),
                positions.indices.contains(partition)
            else { continue }
            positions[partition] = try LedgerKey.decode(entry.value).watermark
        }
        guard zip(positions, replay.ends).allSatisfy({ $0 >= $1 }) else {
            throw ApusError(.conflict, "the replay '\(id)' of '\(name)' goes on")
        }
    }

    /// What an order would come to now. From a thread that may wait for pages.
    func preview(_ name: ResourceName, _ order: ReplayOrder) throws(ApusError) -> ReplayDeployment {
        try self.catalogue.replay(order, of: name, now: self.clock.now) { (place, position) throws(ApusError) in
            try self.resolve(place, position)
        }
    }

    private func write(_ decision: ControlDecision, _ appends: [LogBatch.Append]) -> Answer {
        var created: [TopicName] = []
        let place: RecordPlace
        do throws(ApusError) {
            try self.change(decision.topicChanges, created: &created)
            let records = decision.records.map {
                LogBatch.Append(topic: .control, partition: 0, block: EventBlock.encode($0.event))
            }
            let slot = ResultSlot<Result<LogReceipt, ApusError>>()
            self.log.submit(LogBatch(urgency: .settlement, appends: records + appends)) { slot.fill($0) }
            let receipt = try slot.take().get()
            place = RecordPlace(TopicPartition(.control, 0), receipt.places[records.count - 1].offset)
        } catch {
            _ = self.queue.failed(error)
            // All or nothing: a topic that no record names would be found by nobody.
            for topic in created { self.delete(topic, because: "its deployment failed") }
            return .failure(error)
        }
        guard let commit = self.queue.committed() else {
            return .failure(ApusError(.internal, "a control write was lost"))
        }
        let catalogue = self.queue.catalogue
        self.show(catalogue)
        let failure = self.onChanges(commit.changes, catalogue)
        for topic in commit.topicsToDelete { self.delete(topic, because: "it is no longer deployed") }
        if let failure { return .failure(failure) }
        return .success(Done(outcomes: commit.outcomes, position: place))
    }

    func delete(_ topic: TopicName, because reason: String) {
        do throws(ApusError) { try self.log.deleteTopic(topic) } catch {
            self.journal.error("the topic '\(topic)' could not be deleted although \(reason): \(error)")
        }
    }

    /// - Parameter created: gets the topics that were not there before.
    func change(_ topics: [ControlDecision.TopicChange], created: inout [TopicName]) throws(ApusError) {
        for topic in topics {
            switch topic {
            case .create(let name, let configuration):
                let isNew = self.log.topic(name) == nil
                try self.log.createTopic(name, configuration)
                if isNew { created.append(name) }
            case .alter(let name, let configuration): try self.log.alterTopic(name, configuration)
            case .delete: break
            }
        }
    }

    func resolve(_ place: TopicPartition, _ position: StartPosition) throws(ApusError) -> Offset {
        switch position {
        case .earliest: try self.log.bounds(of: place).start
        case .latest: try self.log.bounds(of: place).end
        case .timestamp(let time): try self.log.offset(of: place, at: time)
        }
    }

    /// What was decided without a write. What is there already may have been written a moment ago: its reader must see it too.
    private func result(_ answer: ControlQueue.Answer, _ command: ControlCommand) -> Answer {
        switch answer {
        case .failed(let code, let message): return .failure(ApusError(code, message))
        case .done(let outcomes):
            if case .deploy(_, _, isDryRun: true, _) = command { return .success(Done(outcomes: outcomes)) }
            let control = TopicPartition(.control, 0)
            do throws(ApusError) {
                let last = try self.log.bounds(of: control).end - 1
                return .success(Done(outcomes: outcomes, position: last < 0 ? nil : RecordPlace(control, last)))
            } catch { return .failure(error) }
        }
    }

    /// Finishes the command under way, answers what waits with `shutting_down`, ends.
    func stop() {
        self.isStopping.store(true, ordering: .releasing)
        self.ownership?.stop()
        self.thread.run { self.endSharing() }
        self.thread.stop()
    }
}
