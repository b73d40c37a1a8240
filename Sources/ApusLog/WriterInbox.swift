internal import ApusCore

typealias Completion = @Sendable (Result<LogReceipt, ApusError>) -> Void

/// A batch on its way to the writer.
struct Submission: Sendable {
    let batch: LogBatch
    let bytes: Int
    let completion: Completion
}

extension Submission {
    init(_ batch: LogBatch, _ completion: @escaping Completion) {
        var bytes = 0
        for index in batch.appends.indices { bytes += batch.appends[index].block.count }
        for write in batch.ledger { bytes += write.key.count + (write.value?.count ?? 0) }
        self.batch = batch
        self.bytes = bytes
        self.completion = completion
    }

    /// Why no log takes a batch of this size; nil for one within the bounds.
    var refusal: ApusError? {
        let (records, entries) = (self.batch.appends.count, self.batch.ledger.count)
        guard self.bytes > Limits.Log.batchBytes || records + entries > Limits.Log.batchRecords else { return nil }
        return ApusError(
            .limitReached,
            "a batch of \(records) records, \(entries) ledger entries and \(self.bytes) bytes is too large: "
                + "at most \(Limits.Log.batchRecords) of both and \(Limits.Log.batchBytes) bytes")
    }
}

/// What changes topics; each is a transaction of its own, in its place among the batches.
enum TopicCommand: Sendable {
    case create(TopicName, TopicConfiguration)
    case alter(TopicName, TopicConfiguration)
    case delete(TopicName)
}

enum WriterRequest: Sendable {
    case batch(Submission)
    case command(TopicCommand, Monitor<Result<Void, ApusError>?>)
    /// Something else that must not meet a commit half done.
    case work(@Sendable (LogWriter) -> Void)
    /// The records before the offset may go.
    case discard(TopicPartition, Offset)
    /// Refused before the writer; its completion is still called from the writer's thread.
    case refusal(ApusError, Completion)
}

/// What waits for the writer, bounded. Pure; it lives behind the writer's lock.
struct WriterInbox: Sendable {
    private struct Load {
        var bytes = 0
        var batches = 0
    }

    private let bytesMax: Int
    private let batchesMax: Int
    private var producers = Load()
    private var settlements = Load()
    private var refusals = 0
    private(set) var requests: [WriterRequest] = []
    /// One for each partition: the newest counts.
    private var discards: [TopicPartition: Offset] = [:]
    var isClosing = false
    /// The writer sleeps: the next request wakes it.
    var isWriterWaiting = false

    init(bytesMax: Int, batchesMax: Int) {
        self.bytesMax = bytesMax
        self.batchesMax = batchesMax
    }

    enum Admission: Equatable {
        case queued
        /// Nobody will call the completion: the submitter does.
        case refusedHere(ErrorCode)
    }

    /// - Parameter refusal: what is wrong with the batch itself.
    mutating func add(_ submission: Submission, refusal: ApusError?) -> Admission {
        if self.isClosing { return .refusedHere(.shuttingDown) }
        if let refusal { return self.refuse(refusal, submission.completion) }
        let isProducer = submission.batch.urgency == .producer
        let load = isProducer ? self.producers : self.settlements
        // An empty queue takes any batch, so that none waits for ever.
        guard load.batches == 0 || (load.bytes + submission.bytes <= self.bytesMax && load.batches < self.batchesMax)
        else {
            let error = ApusError(
                .overloaded,
                "the event log's queue is full (\(load.batches) batches, \(load.bytes) bytes): send again after a moment"
            )
            return self.refuse(error, submission.completion)
        }
        if isProducer {
            self.producers.bytes += submission.bytes
            self.producers.batches += 1
        } else {
            self.settlements.bytes += submission.bytes
            self.settlements.batches += 1
        }
        self.requests.append(.batch(submission))
        return .queued
    }

    private mutating func refuse(_ error: ApusError, _ completion: @escaping Completion) -> Admission {
        guard self.refusals < Limits.Log.refusalsWaiting else { return .refusedHere(error.code) }
        self.refusals += 1
        self.requests.append(.refusal(error, completion))
        return .queued
    }

    mutating func add(_ command: TopicCommand, _ reply: Monitor<Result<Void, ApusError>?>) -> Bool {
        if self.isClosing { return false }
        self.requests.append(.command(command, reply))
        return true
    }

    mutating func add(_ work: @escaping @Sendable (LogWriter) -> Void) -> Bool {
        if self.isClosing { return false }
        self.requests.append(.work(work))
        return true
    }

    mutating func discard(_ partition: TopicPartition, before offset: Offset) {
        guard !self.isClosing else { return }
        self.discards[partition] = max(offset, self.discards[partition] ?? 0)
    }

    var isEmpty: Bool { self.requests.isEmpty && self.discards.isEmpty }

    /// Hands over everything that waits. Batches count until ``finished(_:)``.
    mutating func takeAll() -> [WriterRequest] {
        self.refusals = 0
        var taken: [WriterRequest] = []
        swap(&taken, &self.requests)
        for (partition, offset) in self.discards { taken.append(.discard(partition, offset)) }
        self.discards = [:]
        return taken
    }

    /// The batches are answered: others may take their place.
    mutating func finished(_ submissions: some Sequence<Submission>) {
        for submission in submissions {
            if submission.batch.urgency == .producer {
                self.producers.bytes -= submission.bytes
                self.producers.batches -= 1
            } else {
                self.settlements.bytes -= submission.bytes
                self.settlements.batches -= 1
            }
        }
    }
}

extension Monitor where State == WriterInbox {
    /// Puts something in, and wakes the writer if it sleeps.
    func put<Answer>(_ body: (inout WriterInbox) -> Answer) -> Answer {
        let (answer, mustWake) = self.withLock { inbox in
            let answer = body(&inbox)
            defer { inbox.isWriterWaiting = false }
            return (answer, inbox.isWriterWaiting)
        }
        if mustWake { self.signal() }
        return answer
    }

    func submit(_ submission: Submission, refusal: ApusError?) {
        guard case .refusedHere(let code) = self.put({ $0.add(submission, refusal: refusal) }) else { return }
        let what =
            code == .shuttingDown
            ? "the event log is closing" : "the event log's queue is full: send again after a moment"
        submission.completion(.failure(ApusError(code, what)))
    }
}
