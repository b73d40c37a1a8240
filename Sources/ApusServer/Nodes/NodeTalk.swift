internal import ApusCore
internal import ApusCrypto
internal import ApusTelemetry
internal import Synchronization

/// Lets the servers that share a log talk to each other, on `apus.nodes`: every one hears what every other says. From any thread.
final class NodeTalk: Sendable {
    /// Of this life of the server: what it said itself it does not hear.
    let run = Hex.encode(Random.bytes(8))
    private let log: any EventLog
    private let journal: Log
    private let waiting = Atomic<Int>(0)
    private let isStopping = Atomic(false)
    private let tail: TopicTail
    private let listener: Listener

    private final class Listener: Sendable {
        let onMessage = Mutex<(@Sendable (NodeMessage) -> Void)?>(nil)
    }

    init(_ log: any EventLog, _ journal: Log) {
        self.log = log
        self.journal = journal
        let listener = Listener()
        self.listener = listener
        self.tail = TopicTail(log, .nodes, journal) { [run = self.run] event in
            guard let (from, message) = NodeMessage.read(event), from != run else { return }
            listener.onMessage.withLock { $0 }?(message)
        }
    }

    /// - Parameter onMessage: called with what others say from now on, one message after the other, on a thread of its own.
    func start(_ onMessage: @escaping @Sendable (NodeMessage) -> Void) throws(ApusError) {
        self.listener.onMessage.withLock { $0 = onMessage }
        try self.tail.start(skipsOld: true)
    }

    /// What the log does not take is dropped: whoever waits for it asks again, or has a bound.
    func tell(_ messages: [NodeMessage]) {
        guard !self.isStopping.load(ordering: .acquiring) else { return }
        guard self.waiting.add(messages.count, ordering: .relaxed).newValue <= Limits.Nodes.waiting else {
            _ = self.waiting.subtract(messages.count, ordering: .relaxed)
            return self.journal.warning("the log is behind with what servers tell each other: some of it is dropped")
        }
        let appends = messages.map {
            LogBatch.Append(topic: .nodes, partition: 0, block: EventBlock.encode($0.event(of: self.run)))
        }
        self.log.submit(LogBatch(urgency: .settlement, appends: appends)) { result in
            _ = self.waiting.subtract(messages.count, ordering: .relaxed)
            guard case .failure(let error) = result else { return }
            self.journal.warning("the other servers were not told: \(error.message)", ["code": error.code.rawValue])
        }
    }

    func tell(_ message: NodeMessage) { self.tell([message]) }

    /// Looks for what was said; see ``TopicTail/look()``.
    func look() { self.tail.look() }

    func stop() {
        self.isStopping.store(true, ordering: .releasing)
        self.tail.stop()
        self.listener.onMessage.withLock { $0 = nil }
    }
}
