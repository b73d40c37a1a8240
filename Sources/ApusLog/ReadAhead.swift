public import ApusCore
internal import Synchronization

/// The reader thread: reads ahead of the loops, so that pages that are not in memory fault here and not there.
///
/// A loop asks it for summaries of the records it will dispatch later; once they come, the records' pages are in
/// memory. What was appended a moment ago is there anyway and needs none of this.
public final class ReadAhead: Sendable {
    private struct Queue {
        var works: Deque<@Sendable () -> Void> = Deque()
        var isClosing = false
    }

    /// What a prefetch found.
    public struct Page<Summary: Sendable>: Sendable {
        public var summaries: [Summary]
        /// Where the next one goes on.
        public var next: Offset

        public init(summaries: [Summary], next: Offset) {
            self.summaries = summaries
            self.next = next
        }
    }

    private let log: any EventLog
    private let waitingMax: Int
    private let queue = Monitor(Queue())
    private let thread: Mutex<LogThread?>

    /// - Parameter waitingMax: reads that may wait for the thread.
    /// - Throws: `log_failed` when the system gives no thread.
    public init(_ log: any EventLog, waitingMax: Int = Limits.Log.readAheadWaiting) throws(ApusError) {
        self.log = log
        self.waitingMax = waitingMax
        let queue = self.queue
        self.thread = Mutex(try LogThread { ReadAhead.run(queue) })
    }

    deinit { self.close() }

    /// Reads records of a partition on the reader thread and summarises each.
    ///
    /// - Parameters:
    ///   - summarise: gets the offset and the ``EventBlock``, whose bytes are gone after it returns. Nil leaves the
    ///     record out.
    ///   - completion: called once, on the reader thread.
    /// - Throws: `overloaded` when too many reads wait, `shutting_down` after ``close()``; then `completion` is not
    ///   called.
    public func prefetch<Summary: Sendable>(
        _ partition: TopicPartition,
        from start: Offset,
        maxRecords: Int,
        maxBytes: Int,
        summarise: @escaping @Sendable (Offset, UnsafeRawBufferPointer) -> Summary?,
        completion: @escaping @Sendable (Result<Page<Summary>, ApusError>) -> Void
    ) throws(ApusError) {
        try self.run { log in
            do throws(ApusError) {
                var summaries: [Summary] = []
                let next = try log.read(partition, from: start, maxRecords: maxRecords, maxBytes: maxBytes) {
                    offset, bytes in
                    ReadAhead.touch(bytes)
                    if let summary = summarise(offset, bytes) { summaries.append(summary) }
                    return true
                }
                completion(.success(Page(summaries: summaries, next: next)))
            } catch {
                completion(.failure(error))
            }
        }
    }

    /// Runs `work` with the log on the reader thread, after what was asked for before.
    /// - Throws: `overloaded` when too many reads wait, `shutting_down` after ``close()``; then `work` is not run.
    public func run(_ work: @escaping @Sendable (any EventLog) -> Void) throws(ApusError) {
        let log = self.log
        let waitingMax = self.waitingMax
        let refusal = self.queue.withLock { queue -> ErrorCode? in
            if queue.isClosing { return .shuttingDown }
            if queue.works.count >= waitingMax { return .overloaded }
            queue.works.append { work(log) }
            return nil
        }
        if let refusal {
            throw ApusError(refusal, "the reader of the event log takes no more work now: ask again after a moment")
        }
        self.queue.signal()
    }

    /// Finishes what waits, then ends the thread. Not from the thread itself. Close this before the log.
    public func close() {
        self.queue.withLock { $0.isClosing = true }
        self.queue.signal()
        self.thread.join()
    }

    private static func run(_ queue: Monitor<Queue>) {
        while true {
            let work = queue.take(within: nil) { queue -> (@Sendable () -> Void)?? in
                if let work = queue.works.popFirst() { return .some(work) }
                return queue.isClosing ? .some(nil) : nil
            }
            guard case .some(.some(let work)) = work else { return }
            work()
        }
    }

    /// Reads a byte of each page, so that none of them faults later.
    private static func touch(_ bytes: UnsafeRawBufferPointer) {
        var sum: UInt8 = 0
        for offset in stride(from: 0, to: bytes.count, by: 4_096) { sum &+= bytes[offset] }
        withExtendedLifetime(sum) {}
    }
}
