internal import ApusCore
internal import CKafkaShims
internal import CRDKafka
internal import CShims
internal import Glibc
internal import Synchronization

/// One node's membership of a consumer group: says which partitions of a topic that stays empty are this node's.
///
/// A static member, on a thread of its own that sleeps until librdkafka or a caller writes to its descriptor. All of `Callbacks` runs on
/// that thread, those of a rebalance inside librdkafka's: the group waits for their return.
final class KafkaGroup: @unchecked Sendable {
    // SAFETY: `client` and `owned` are the thread's alone; the rest is constant or behind a mutex.

    struct Callbacks: Sendable {
        var assigned: @Sendable ([Int]) -> Void
        /// Returns when they may go to another node; may wait with ``KafkaGroup/pump(until:_:)``.
        var revoked: @Sendable ([Int]) -> Void
        /// Another node has them already.
        var lost: @Sendable ([Int]) -> Void
        /// At least every ``Limits/Kafka/groupTickMilliseconds``.
        var tick: @Sendable () -> Void
    }

    struct Membership: Sendable {
        /// Without the prefix of the cluster's topics.
        var group: String
        /// As it is called on the cluster.
        var topic: String
        /// This node's name: `group.instance.id`.
        var node: String
        var sessionMilliseconds: Int
    }

    private struct Inbox {
        var works: Deque<() -> Void> = Deque()
        var isClosing = false
        var isWoken = false
    }

    private let configuration: KafkaLogConfiguration
    private let membership: Membership
    private let callbacks: Callbacks
    private let descriptor: CInt
    private let inbox = Mutex(Inbox())
    private let thread = Mutex<LogThread?>(nil)
    private var member: KafkaMember?
    private var owned: Set<Int> = []
    private var nextClient: Int64 = 0

    init(_ configuration: KafkaLogConfiguration, _ membership: Membership, _ callbacks: Callbacks) throws(KafkaFailure)
    {
        self.configuration = configuration
        self.membership = membership
        self.callbacks = callbacks
        self.descriptor = apus_kafka_event_descriptor()
        guard self.descriptor >= 0 else {
            throw KafkaFailure(RD_KAFKA_RESP_ERR__CRIT_SYS_RESOURCE, "make an event descriptor")
        }
    }

    deinit { Glibc.close(self.descriptor) }

    func start() throws(ApusError) {
        let thread = try LogThread { [unowned self] in self.run() }
        self.thread.withLock { $0 = thread }
    }

    /// Ends without leaving the group: who starts again within the session has its partitions back at once.
    func close() {
        self.inbox.withLock { $0.isClosing = true }
        self.wake()
        self.thread.join()
    }

    /// Runs `work` on the thread, in order, also while a rebalance waits. From every thread.
    func post(_ work: @escaping @Sendable () -> Void) {
        let mustWake = self.inbox.withLock { inbox in
            inbox.works.append(work)
            defer { inbox.isWoken = true }
            return !inbox.isWoken
        }
        if mustWake { self.wake() }
    }

    /// Waits within a callback, running what is posted, until `isDone` or the server closes. `isDone` looks at the clock itself.
    func pump(_ isDone: () -> Bool) {
        while !isDone(), !self.inbox.withLock({ $0.isClosing }) {
            self.sleep(milliseconds: Limits.Kafka.drainStepMilliseconds)
            self.performPosted()
        }
    }

    // MARK: the thread

    private func run() {
        while true {
            self.performPosted()
            if self.inbox.withLock({ $0.isClosing }) { break }
            self.join()
            self.callbacks.tick()
            if let member = self.member {
                while member.take() {}
                self.look(member)
            }
            self.sleep(milliseconds: Limits.Kafka.groupTickMilliseconds)
        }
        self.leave()
    }

    private func sleep(milliseconds: CInt) {
        var interest = pollfd(fd: self.descriptor, events: Int16(POLLIN), revents: 0)
        poll(&interest, 1, milliseconds)
        var count: UInt64 = 0
        if interest.revents != 0 { _ = Glibc.read(self.descriptor, &count, 8) }
    }

    private func wake() {
        var one: UInt64 = 1
        _ = Glibc.write(self.descriptor, &one, 8)
    }

    private func performPosted() {
        while let work = self.inbox.withLock({ inbox -> (() -> Void)? in
            inbox.isWoken = false
            return inbox.works.popFirst()
        }) { work() }
    }

    // MARK: being a member

    private func join() {
        guard self.member == nil, LogWriter.monotonicMilliseconds() >= self.nextClient else { return }
        guard !ParkedMembers.isFull else {
            self.nextClient = .max
            self.configuration.observer.log(
                3, self.membership.group,
                "\(Limits.Kafka.parkedMembers) members of it could not be ended: this node takes no part until it is started again"
            )
            return
        }
        do throws(KafkaFailure) {
            let member = try KafkaMember(self.configuration, self.membership) { [unowned self] client, code, list in
                self.rebalance(client, code, list)
            }
            member.wake(self.descriptor)
            self.member = member
        } catch {
            self.nextClient = LogWriter.monotonicMilliseconds() + Limits.Kafka.rejoinMilliseconds
            self.configuration.observer.log(3, self.membership.group, "\(error)")
        }
    }

    /// A member that failed for good, because another server has its name, begins again a while later.
    private func look(_ member: KafkaMember) {
        guard let fatal = member.client.fatal else { return }
        self.configuration.observer.log(
            3, member.client.context.name,
            "is no member any more: \(fatal); another server may have this node's name, '\(self.membership.node)'")
        self.leave()
        self.nextClient = LogWriter.monotonicMilliseconds() + Limits.Kafka.rejoinMilliseconds
    }

    private func leave() {
        let owned = self.owned.sorted()
        self.owned = []
        if !owned.isEmpty { self.callbacks.lost(owned) }
        self.member?.end()
        self.member = nil
    }

    private func rebalance(
        _ client: OpaquePointer, _ code: rd_kafka_resp_err_t,
        _ list: UnsafeMutablePointer<rd_kafka_topic_partition_list_t>
    ) {
        let partitions = (0..<Int(list.pointee.cnt)).map { Int(list.pointee.elems[$0].partition) }
        let isCooperative =
            rd_kafka_rebalance_protocol(client).map { String(cString: $0) == "COOPERATIVE" } ?? false
        switch code {
        case RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS:
            if isCooperative {
                self.note(rd_kafka_incremental_assign(client, list))
            } else {
                self.note(rd_kafka_assign(client, list))
            }
            // Nothing is ever read of them.
            rd_kafka_pause_partitions(client, list)
            self.owned.formUnion(partitions)
            self.callbacks.assigned(partitions)
        default:
            self.owned.subtract(partitions)
            if rd_kafka_assignment_lost(client) != 0 {
                self.callbacks.lost(partitions)
            } else {
                self.callbacks.revoked(partitions)
            }
            if isCooperative {
                self.note(rd_kafka_incremental_unassign(client, list))
            } else {
                self.note(rd_kafka_assign(client, nil))
            }
        }
    }

    private func note(_ error: OpaquePointer?) {
        do throws(KafkaFailure) { try verify(error, "change what is assigned") } catch {
            self.configuration.observer.log(3, self.membership.group, "\(error)")
        }
    }

    private func note(_ code: rd_kafka_resp_err_t) {
        guard code != RD_KAFKA_RESP_ERR_NO_ERROR else { return }
        self.configuration.observer.log(
            3, self.membership.group, "\(KafkaFailure(code, "change what is assigned"))")
    }
}
