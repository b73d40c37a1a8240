internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// What a node of several keeps of the way of control writes: a write goes as a command to `apus.commands`, one node decides it and
/// writes records and answer in one transaction, every node follows both. On the control thread.
struct SharedControl {
    struct Asked {
        var completion: @Sendable (Control.Answer) -> Void
        /// What kept the write from taking effect on this node.
        var failure: ApusError?
        /// Of a write with an idempotency key: takes what became of it in place of `completion`.
        var keyed: (@Sendable (CommandWaits.Result) -> Void)?
    }

    /// A partition of `apus.commands` that this node decides.
    struct Owned {
        var term: OwnedCommands
        var decider = CommandDecider()
        var isRestored = false
        /// Of writes with idempotency keys, on every partition but the first.
        let keyed = Control.KeyedProgress()
        var keyedPosition: Offset = 0
    }

    final class Counters: Sendable {
        /// Commands that this node decided, refusals counted.
        let decided = Atomic<Int64>(0)
        /// Of those that this node asked: without an answer by their deadline.
        let unanswered = Atomic<Int64>(0)
        /// Records that did not raise their key's generation.
        let outdated = Atomic<Int64>(0)
        /// Records that were written again, or sealed anew.
        let repaired = Atomic<Int64>(0)
    }

    var waits = CommandWaits()
    var asked: [CommandID: Asked] = [:]
    var owned: [Int: Owned] = [:]
    /// Where following the answers goes on, by partition.
    var answers: [Int: Offset] = [:]
    var tokens: [FollowToken] = []
    /// Keys whose newest record on the log does not count.
    var doubtful: Set<[UInt8]> = []
    var nextRepair = Timestamp.zero

    mutating func note(_ key: [UInt8]?) {
        guard let key, self.doubtful.count < Limits.ControlCommands.repairs else { return }
        self.doubtful.insert(key)
    }
}

/// The caller's side: asking, and following what was decided.
extension Control {
    /// Takes part in deciding and follows what others decide. Once, after ``replay()``.
    func share() throws(ApusError) {
        guard let ownership = self.ownership else { return }
        for partition in 0..<Limits.ControlCommands.partitions {
            self.nodes.answers[partition] = try ownership.end(of: TopicPartition(.answers, partition))
        }
        for topic in [TopicName.control, .commands, .answers] {
            self.nodes.tokens.append(
                self.log.follow(topic) { [weak self] partition, _ in self?.grew(TopicPartition(topic, partition)) })
        }
        try ownership.start { [weak self] change in
            guard let control = self else { return }
            control.thread.run { control.owns(change) }
        }
    }

    /// Looks at deadlines, and at what could not be done before. About every ``Limits/ControlCommands/stepMilliseconds``, from any thread.
    func tick() {
        guard self.ownership != nil else { return }
        self.thread.run { self.look() }
    }

    private func grew(_ place: TopicPartition) {
        let isNew = self.growth.withLock { $0.insert(place).inserted }
        guard isNew else { return }
        let isQueued = self.thread.run {
            _ = self.growth.withLock { $0.remove(place) }
            self.hear(place)
        }
        // A full queue loses nothing: the next tick looks at all of them.
        if !isQueued { _ = self.growth.withLock { $0.remove(place) } }
    }

    func hearCommands(_ partition: Int) { self.hear(TopicPartition(.commands, partition)) }

    private func hear(_ place: TopicPartition) {
        do throws(ApusError) {
            switch place.topic {
            case .control: try self.follow(to: self.log.bounds(of: place).end)
            case .answers: try self.hearAnswers(place)
            default: try self.decideWaiting(place.partition)
            }
        } catch { self.journal.error("\(place) cannot be followed: \(error.message)") }
    }

    private func look() {
        guard !self.isStopping.load(ordering: .acquiring) else { return }
        self.hear(TopicPartition(.control, 0))
        for partition in self.nodes.owned.keys.sorted() { self.hear(TopicPartition(.commands, partition)) }
        if self.nodes.waits.count > 0 {
            for partition in 0..<Limits.ControlCommands.partitions { self.hear(TopicPartition(.answers, partition)) }
        }
        self.finish(self.nodes.waits.expire(now: self.clock.now))
        self.repairIfDue()
    }

    // MARK: asking

    /// Sends a command and calls `completion` on the control thread once its answer came and this node's catalogue has what it wrote.
    func ask(
        _ command: ControlCommand, _ appends: [LogBatch.Append], _ who: String,
        _ completion: @escaping @Sendable (Answer) -> Void
    ) {
        let isQueued = self.thread.run {
            guard !self.isStopping.load(ordering: .acquiring) else { return completion(.failure(Self.stopping)) }
            let id = CommandID.random()
            let deadline = self.clock.now + self.commandDeadline
            do throws(ApusError) {
                let event = try Command(
                    id: id, deadline: deadline, kind: .control, who: who, payload: command.json.encoded(),
                    appends: appends
                ).event()
                try self.nodes.waits.ask(id, deadline: deadline)
                self.nodes.asked[id] = SharedControl.Asked(completion: completion)
                self.send(id, event)
            } catch { completion(.failure(error)) }
        }
        guard !isQueued else { return }
        completion(.failure(self.isStopping.load(ordering: .acquiring) ? Self.stopping : Self.overloaded))
    }

    func send(_ id: CommandID, _ event: Event, to partition: Int = 0) {
        let append = LogBatch.Append(topic: .commands, partition: partition, block: EventBlock.encode(event))
        self.log.submit(LogBatch(urgency: .settlement, appends: [append])) { result in
            guard case .failure(let error) = result else { return }
            // What was on its way when the log failed may be there: its answer, or its deadline, says so.
            guard error.code != .logFailed else { return }
            self.thread.run {
                self.nodes.waits.forget(id)
                self.nodes.asked.removeValue(forKey: id)?.completion(.failure(error))
            }
        }
    }

    private func hearAnswers(_ place: TopicPartition) throws(ApusError) {
        let bounds = try self.log.bounds(of: place)
        var next = max(self.nodes.answers[place.partition] ?? 0, bounds.start)
        while next < bounds.end {
            var answers: [CommandAnswer] = []
            let reached = try self.log.read(
                place, from: next, maxRecords: Limits.Server.recordsPerFollow, maxBytes: Limits.Server.bytesPerRead
            ) { _, block in
                if let event = try? EventBlock.decode(block.bytes), let answer = try? CommandAnswer(event) {
                    answers.append(answer)
                }
                return true
            }
            guard reached > next else { break }
            next = reached
            self.nodes.answers[place.partition] = next
            for answer in answers { self.finish(self.nodes.waits.answered(answer)) }
        }
    }

    // MARK: following

    /// Lets catalogue and shards come along with `apus.control`.
    func follow(to end: Offset) throws(ApusError) {
        guard end > self.following.next else { return }
        try self.readControl(to: end) { records, catalogue in
            self.show(catalogue)
            self.apply(records, catalogue)
            self.followed.store(self.following.next, ordering: .releasing)
            for record in records {
                if let command = record.command { self.nodes.waits.saw(command, at: record.offset) }
            }
            self.onFollowed.withLock { $0 }?()
            self.finish(self.nodes.waits.applied(to: self.following.next))
        }
    }

    /// A command's changes together, so that what keeps one from taking effect is told to whoever asked for it.
    private func apply(_ records: [FollowedRecord], _ catalogue: Catalogue) {
        var rest = records[...]
        while let first = rest.first {
            let same = rest.prefix { $0.command == first.command }
            rest = rest.dropFirst(same.count)
            let changes = same.map(\.change).filter { $0 != .none }
            if changes.isEmpty { continue }
            if changes.contains(where: \.concernsTopics) { self.log.lookForTopics() }
            guard let failure = self.onChanges(changes, catalogue), let command = first.command else { continue }
            self.nodes.asked[command]?.failure = failure
        }
    }

    private func finish(_ ended: [CommandWaits.Ended]) {
        for end in ended {
            guard let asked = self.nodes.asked.removeValue(forKey: end.id) else { continue }
            if let keyed = asked.keyed { keyed(end.result) } else { asked.completion(self.answer(end, asked)) }
        }
    }

    private func answer(_ end: CommandWaits.Ended, _ asked: SharedControl.Asked) -> Answer {
        switch end.result {
        case .refused(let code, let message): return .failure(ApusError(code, message))
        case .unanswered:
            self.counters.unanswered.add(1, ordering: .relaxed)
            return .failure(
                ApusError(
                    .commandUnanswered,
                    "the write \(end.id) got no answer in time and may still be decided: "
                        + "see `GET /v1/commands/\(end.id)` before you repeat it"))
        case .done(let result, let through):
            if let failure = asked.failure { return .failure(failure) }
            do throws(ApusError) {
                let place = through < 0 ? nil : RecordPlace(TopicPartition(.control, 0), through)
                return .success(Done(outcomes: try ControlDecision.Outcome.decode(result), position: place))
            } catch { return .failure(error) }
        }
    }

    /// Everybody who waits is told that the server stops.
    func endSharing() {
        for token in self.nodes.tokens { self.log.unfollow(token) }
        self.nodes.tokens = []
        for id in self.nodes.waits.stop() {
            self.nodes.asked.removeValue(forKey: id)?.completion(.failure(Self.stopping))
        }
        self.deciding.withLock { $0 = nil }
        self.keyedTerms.withLock { $0 = [:] }
    }
}

extension Catalogue.Change {
    fileprivate var concernsTopics: Bool {
        switch self {
        case .topicApplied, .topicRemoved, .functionApplied: true
        case .functionRemoved, .fateDecided, .principalApplied, .secretApplied, .toolServerChanged, .approvalChanged,
            .upstreamChanged, .toolSwitched, .none:
            false
        }
    }
}
