internal import ApusCore
internal import Synchronization

/// The partitions of one group's topic, as far as this node owns them: the group's member, a machine per partition, and a thread with
/// a transactional id for each that is owned.
final class OwnedPartitions: @unchecked Sendable {
    // SAFETY: `machines` is touched on the group's thread only; the rest is constant or behind a mutex.

    let count: Int
    private let clock: @Sendable () -> Timestamp
    private var machines: [Ownership]
    private let shown: Mutex<[Ownership.State]>
    /// Since when each is assigned to this node.
    private let assigned: Mutex<[Timestamp]>
    private let begun = Atomic<UInt64>(0)
    private let owner: any PartitionOwner
    private var threads: [OwnerThread] = []
    private let groupSlot = Mutex<KafkaGroup?>(nil)
    private let observer: KafkaObserver
    private let name: String

    /// - Parameters:
    ///   - membership: the group, its topic, this node's name.
    ///   - partitions: how many the topic has.
    ///   - id: the transactional id of a partition.
    init(
        _ configuration: KafkaLogConfiguration, _ membership: KafkaGroup.Membership, partitions: Int,
        owner: any PartitionOwner, clock: @escaping @Sendable () -> Timestamp, id: (Int) -> String
    ) throws(KafkaFailure) {
        self.count = partitions
        self.clock = clock
        self.owner = owner
        self.observer = configuration.observer
        self.name = membership.group
        self.machines = Array(repeating: Ownership(), count: partitions)
        self.shown = Mutex(Array(repeating: .notOwned, count: partitions))
        self.assigned = Mutex(Array(repeating: .zero, count: partitions))
        self.threads = (0..<partitions).map { partition in
            OwnerThread(partition, KafkaTransactions(configuration, id: id(partition)), owner) { [weak self] event in
                self?.post(event, partition)
            }
        }
        let group = try KafkaGroup(
            configuration, membership,
            KafkaGroup.Callbacks(
                assigned: { [weak self] in self?.event(.assigned, $0) },
                revoked: { [weak self] in self?.revoke($0) },
                lost: { [weak self] in self?.event(.lost, $0) },
                tick: { [weak self] in self?.tick() }))
        self.groupSlot.withLock { $0 = group }
    }

    func start() throws(ApusError) { try self.group?.start() }

    /// Ends what this node owns, without leaving the group.
    func close() {
        let group = self.groupSlot.withLock { group in
            defer { group = nil }
            return group
        }
        self.flush()
        group?.close()
        // All at once: a producer takes a while to end.
        for thread in self.threads { thread.end() }
        for thread in self.threads { thread.join() }
    }

    /// While they are this node's still, what waits to be written of them is.
    private func flush() {
        let owned = self.states.indices.filter { self.mayWork($0) }
        let left = Monitor(owned.count)
        for partition in owned {
            self.flush(partition) {
                left.withLock { $0 -= 1 }
                left.signal()
            }
        }
        _ = left.take(within: Limits.Kafka.flushMilliseconds) { $0 == 0 ? true : nil }
    }

    // MARK: from every thread

    /// Has what waits to be written of a partition written, if it can be; `completion` is called in any case.
    func flush(_ partition: Int, _ completion: @escaping @Sendable () -> Void) {
        do throws(ApusError) { try self.threads[partition].order(.flush(completion)) } catch {
            self.observer.log(3, self.name, "partition \(partition): \(error)")
            completion()
        }
    }

    /// There is something to do for an owned partition.
    func wake(_ partition: Int) { self.threads[partition].wake() }

    /// Nothing of a partition that drains runs here any more, and what ended is committed.
    func drained(_ partition: Int) {
        self.post(.drained, partition)
    }

    private func post(_ event: Ownership.Event, _ partition: Int) {
        self.group?.post { [weak self] in self?.event(event, [partition]) }
    }

    /// Whether something may be decided for it here and now.
    func mayWork(_ partition: Int) -> Bool { self.threads[partition].isPermitted }

    func since(_ partition: Int) -> Timestamp { self.assigned.withLock { $0[partition] } }
    /// How often one of them began to be worked.
    var terms: UInt64 { self.begun.load(ordering: .relaxed) }

    var states: [Ownership.State] { self.shown.withLock { $0 } }

    private var group: KafkaGroup? { self.groupSlot.withLock { $0 } }

    // MARK: on the group's thread

    private func revoke(_ partitions: [Int]) {
        self.event(.revoked, partitions)
        self.group?.pump {
            self.tick()
            return !partitions.contains { self.machines[$0].isAssigned }
        }
    }

    private func tick() {
        let now = self.clock()
        for partition in self.machines.indices {
            guard let due = self.machines[partition].nextDue, due <= now else { continue }
            self.event(.tick, [partition])
        }
    }

    private func event(_ event: Ownership.Event, _ partitions: [Int]) {
        let now = self.clock()
        for partition in partitions where self.machines.indices.contains(partition) {
            if case .assigned = event { self.assigned.withLock { $0[partition] = now } }
            let actions = self.machines[partition].event(event, now: now)
            let state = self.machines[partition].state
            if !actions.isEmpty { self.observer.log(7, self.name, "partition \(partition): \(state)") }
            self.shown.withLock { $0[partition] = state }
            for action in actions { self.perform(action, partition) }
        }
    }

    private func perform(_ action: Ownership.Action, _ partition: Int) {
        let thread = self.threads[partition]
        do throws(ApusError) {
            switch action {
            case .initialise(let term): try thread.order(.initialise(term: term))
            case .read(let term): try thread.order(.read(term: term))
            case .release: try thread.order(.release)
            case .announceWorking(let term):
                self.begun.add(1, ordering: .relaxed)
                thread.permit(term)
                self.owner.working(partition, term: term)
            case .announceDraining(let until): self.owner.draining(partition, until: until)
            case .announceStopped:
                thread.permit(0)
                self.owner.stopped(partition)
            }
        } catch {
            self.observer.log(3, self.name, "partition \(partition): \(error)")
        }
    }
}
