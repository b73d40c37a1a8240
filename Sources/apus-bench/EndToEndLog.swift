internal import ApusCore
internal import Glibc
internal import Synchronization

/// A log whose input topic seems empty until it is opened, so that a worker can be ready before the first record is read, and that
/// counts the replies that became durable.
final class EndToEndLog: ForwardingLog {
    private struct State {
        var isOpen = false
        var growths: [@Sendable (Int, Offset) -> Void] = []
        var replies = 0
        var target = 0
        var end = 0.0
    }

    let forwarded: any EventLog
    private let input: TopicName
    private let output: TopicName
    private let state = Mutex(State())
    private let arrived = BenchSignal()
    /// What the last reply held, for who sends one event at a time.
    private let last = Mutex<[UInt8]>([])

    init(_ base: any EventLog, input: TopicName, output: TopicName) {
        self.forwarded = base
        self.input = input
        self.output = output
    }

    /// Lets the records of the input be seen.
    /// - Returns: when that was.
    func open() throws(ApusError) -> Double {
        let growths = self.state.withLock { state in
            state.isOpen = true
            return state.growths
        }
        let partitions = self.forwarded.topic(self.input)?.partitions ?? 0
        var ends: [Offset] = []
        for partition in 0..<partitions {
            ends.append(try self.forwarded.bounds(of: TopicPartition(self.input, partition)).end)
        }
        let start = seconds()
        for growth in growths { for partition in ends.indices { growth(partition, ends[partition]) } }
        return start
    }

    /// Waits until so many more replies are durable.
    /// - Returns: when the last of them was.
    func wait(for replies: Int) throws -> Double {
        let isThere = self.state.withLock { state in
            state.target += replies
            return state.replies >= state.target
        }
        if !isThere, !self.arrived.wait(seconds: 120) {
            throw BenchFailure(
                "\(self.state.withLock { $0.replies }) replies came of \(self.state.withLock { $0.target })")
        }
        return self.state.withLock { $0.end }
    }

    var lastReply: [UInt8] { self.last.withLock { $0 } }

    private func noted(_ replies: Int, _ last: [UInt8]?) {
        if let last { self.last.withLock { $0 = last } }
        let isLast = self.state.withLock { state in
            let before = state.replies
            state.replies += replies
            state.end = seconds()
            return before < state.target && state.replies >= state.target
        }
        if isLast { self.arrived.raise() }
    }

    func submit(_ batch: LogBatch, _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void) {
        let output = self.output
        let replies = batch.appends.reduce(0) { $0 + ($1.topic == output ? 1 : 0) }
        let last = replies == 1 ? batch.appends.last?.block : nil
        self.forwarded.submit(batch) { result in
            if replies > 0, case .success = result { self.noted(replies, last) }
            completion(result)
        }
    }

    func bounds(of partition: TopicPartition) throws(ApusError) -> OffsetBounds {
        let bounds = try self.forwarded.bounds(of: partition)
        guard partition.topic == self.input, !self.state.withLock({ $0.isOpen }) else { return bounds }
        return OffsetBounds(start: bounds.start, end: bounds.start)
    }

    func follow(_ topic: TopicName, _ growth: @escaping @Sendable (Int, Offset) -> Void) -> FollowToken {
        guard topic == self.input else { return self.forwarded.follow(topic, growth) }
        self.state.withLock { $0.growths.append(growth) }
        return self.forwarded.follow(topic) { partition, end in
            if self.state.withLock({ $0.isOpen }) { growth(partition, end) }
        }
    }
}
