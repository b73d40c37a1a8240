internal import ApusCore
internal import Synchronization

/// The thread of one owned partition, with its transactional producer. It starts with the first order.
final class OwnerThread: @unchecked Sendable {
    // SAFETY: `transactions` is the thread's alone; the rest is constant, atomic or behind a monitor.

    enum Order {
        case initialise(term: UInt64)
        case read(term: UInt64)
        case release
        /// Writes what waits, and says so, whether it could or not.
        case flush(@Sendable () -> Void)
    }

    private struct Inbox {
        var orders: Deque<Order> = Deque()
        var hasWork = false
        var isClosing = false
    }

    private let partition: Int
    private let transactions: KafkaTransactions
    private let owner: any PartitionOwner
    private let tell: @Sendable (Ownership.Event) -> Void
    private let inbox = Monitor(Inbox())
    private let thread = Mutex<LogThread?>(nil)
    /// The term in which it may be worked; 0 for none.
    private let permitted = Atomic<UInt64>(0)

    init(
        _ partition: Int, _ transactions: KafkaTransactions, _ owner: any PartitionOwner,
        tell: @escaping @Sendable (Ownership.Event) -> Void
    ) {
        self.partition = partition
        self.transactions = transactions
        self.owner = owner
        self.tell = tell
    }

    // MARK: from every thread

    func order(_ order: Order) throws(ApusError) {
        try self.start()
        self.inbox.withLock { $0.orders.append(order) }
        self.inbox.signal()
    }

    func wake() {
        self.inbox.withLock { $0.hasWork = true }
        self.inbox.signal()
    }

    /// What is under way may end; nothing is begun when it is 0.
    func permit(_ term: UInt64) { self.permitted.store(term, ordering: .sequentiallyConsistent) }
    var isPermitted: Bool { self.permitted.load(ordering: .sequentiallyConsistent) != 0 }

    /// Has the thread end; ``join()`` waits for it.
    func end() {
        self.permit(0)
        self.inbox.withLock { $0.isClosing = true }
        self.inbox.signal()
    }

    func join() { self.thread.join() }

    private func start() throws(ApusError) {
        guard self.thread.withLock({ $0 == nil }) else { return }
        let thread = try LogThread { [unowned self] in self.run() }
        self.thread.withLock { $0 = thread }
    }

    // MARK: the thread

    private enum Turn {
        case order(Order)
        case work
        case end
    }

    private func run() {
        while true {
            let wait = self.isPermitted ? self.owner.wait(self.partition) : Limits.Kafka.ownerTickMilliseconds
            let turn = self.inbox.take(within: min(wait, Limits.Kafka.ownerTickMilliseconds)) { inbox -> Turn? in
                if inbox.isClosing { return .end }
                if let order = inbox.orders.popFirst() { return .order(order) }
                guard inbox.hasWork else { return nil }
                inbox.hasWork = false
                return .work
            }
            self.transactions.producer?.client.serve()
            switch turn {
            case .order(let order): self.perform(order)
            case .work, nil: self.work()
            case .end: return self.transactions.giveUp()
            }
        }
    }

    private func perform(_ order: Order) {
        switch order {
        case .release: self.transactions.giveUp()
        case .flush(let completion):
            if self.isPermitted {
                do throws(KafkaTransactions.Trouble) {
                    try self.owner.flush(self.partition, self.transactions)
                } catch { self.transactions.note("partition \(self.partition): \(error.failure)") }
            }
            completion()
        case .initialise(let term):
            do throws(KafkaTransactions.Trouble) {
                try self.transactions.takeOver()
                self.tell(.initialised(term: term))
            } catch {
                self.failed(term, error.failure)
            }
        case .read(let term):
            do throws(KafkaFailure) {
                try self.owner.load(self.partition, self.transactions)
                self.tell(.ledgerRead(term: term))
            } catch {
                self.failed(term, error)
            }
        }
    }

    private func work() {
        let term = self.permitted.load(ordering: .sequentiallyConsistent)
        guard term != 0 else { return }
        do throws(KafkaTransactions.Trouble) { try self.owner.work(self.partition, self.transactions) } catch {
            self.permitted.store(0, ordering: .sequentiallyConsistent)
            self.failed(term, error.failure)
        }
    }

    private func failed(_ term: UInt64, _ failure: KafkaFailure) {
        self.transactions.note("partition \(self.partition) begins anew: \(failure)")
        self.tell(.failed(term: term))
    }
}
