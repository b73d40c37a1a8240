internal import ApusCore
internal import CLMDB
internal import Glibc
internal import Synchronization

/// The thread that owns the write transaction. It gathers what was submitted during the last commit and commits it in
/// one (group commit); between commits it does retention and deletion in bounded steps.
final class LogWriter: @unchecked Sendable {
    // SAFETY: what changes is the writer thread's alone, or behind a mutex; the rest is constant.

    let environment: Environment
    let tables: LogTables
    let configuration: EmbeddedLogConfiguration
    let directory: TopicDirectory
    let followers = Followers()
    let readers: ReaderPool
    let clock: @Sendable () -> Timestamp
    private let inbox: Monitor<WriterInbox>
    private let shared: Mutex<LogStatus>
    private let thread = Mutex<LogThread?>(nil)

    // SAFETY: what follows is the writer thread's alone once it runs; before, of the thread that opens the log.
    var room = RoomAccount()
    var lastStamp: Int64
    var touched: [Partition] = []
    var lastTopic: Topic?
    var maintenance: MaintenanceState
    /// What a copy under way needs.
    var hold: CopyHold?
    private var nextMeasurement: Int64 = 0
    private var nextTick: Int64 = 0
    var rest = MapRest()

    init(
        environment: Environment, tables: LogTables, opened: OpenedTopics, configuration: EmbeddedLogConfiguration,
        readers: ReaderPool,
        clock: @escaping @Sendable () -> Timestamp
    ) {
        self.environment = environment
        self.tables = tables
        self.configuration = configuration
        self.readers = readers
        self.clock = clock
        self.directory = opened.directory
        self.lastStamp = opened.lastStamp
        self.maintenance = MaintenanceState(opened, stepRecords: configuration.maintenanceStepRecords)
        self.inbox = Monitor(WriterInbox(bytesMax: configuration.queueBytes, batchesMax: configuration.queueBatches))
        self.shared = Mutex(LogStatus())
    }

    func start() throws(ApusError) {
        self.measureRoom()
        let thread = try LogThread { self.run() }
        self.thread.withLock { $0 = thread }
    }

    var isCurrentThread: Bool { self.thread.withLock { $0 }?.isCurrent ?? false }
    var status: LogStatus { self.shared.withLock { $0 } }

    // MARK: from every thread

    func submit(_ submission: Submission, refusal: ApusError?) {
        self.inbox.submit(submission, refusal: refusal)
    }

    /// Waits until the command is durable. Not from the writer's own callbacks, which would wait for themselves.
    func perform(_ command: TopicCommand) throws(ApusError) {
        precondition(!self.isCurrentThread, "topics cannot be changed from a completion of the event log")
        let reply = Monitor<Result<Void, ApusError>?>(nil)
        let isQueued = self.inbox.put { $0.add(command, reply) }
        guard isQueued else { throw ApusError(.shuttingDown, "the event log is closing") }
        // The writer answers every request that it takes, also while closing.
        guard let answer = reply.take(within: nil, { $0 }) else {
            throw ApusError(.shuttingDown, "the event log is closing")
        }
        try answer.get()
    }

    /// Runs `work` on the thread, between two commits.
    /// - Returns: false when the log is closing; `work` will not run then.
    func perform(_ work: @escaping @Sendable (LogWriter) -> Void) -> Bool {
        self.inbox.put { $0.add(work) }
    }

    func discard(_ partition: TopicPartition, before offset: Offset) {
        self.inbox.put { $0.discard(partition, before: offset) }
    }

    /// Waits for what is queued, then ends the thread.
    func close() {
        self.inbox.withLock { $0.isClosing = true }
        self.inbox.signal()
        self.thread.join()
    }

    // MARK: the thread

    private func run() {
        while true {
            let wait = self.hasMaintenance ? 0 : max(0, self.nextTick - Self.monotonicMilliseconds())
            let requests = self.inbox.take(within: Int(clamping: wait)) { inbox -> [WriterRequest]? in
                inbox.isWriterWaiting = inbox.isEmpty && !inbox.isClosing
                return inbox.isWriterWaiting ? nil : inbox.takeAll()
            }
            if let requests {
                if requests.isEmpty { return }
                self.process(requests)
            }
            if Self.monotonicMilliseconds() >= self.nextTick {
                self.nextTick =
                    Self.monotonicMilliseconds() + max(1, self.configuration.maintenanceInterval.milliseconds)
                self.measureRoom()
                if self.rest.look() { self.environment.giveBackPages() }
                self.tick()
            }
            if self.hasMaintenance { self.maintainOnce() }
        }
    }

    /// Forms groups of neighbouring batches, commits each, and performs commands in their place.
    private func process(_ requests: [WriterRequest]) {
        var group: [Submission] = []
        var fill = GroupFill()
        func flush() {
            if group.isEmpty { return }
            self.commit(group)
            self.rest.wrote(Int64(fill.bytes))
            self.inbox.withLock { $0.finished(group) }
            group.removeAll(keepingCapacity: true)
            fill = GroupFill()
        }
        for request in requests {
            switch request {
            case .batch(let submission):
                if !fill.hasRoom(for: submission) { flush() }
                group.append(submission)
                fill.add(submission)
            case .command(let command, let reply):
                flush()
                let answer = self.execute(command)
                reply.withLock { $0 = answer }
                reply.signal()
            case .work(let work):
                flush()
                work(self)
            case .discard(let partition, let offset): self.noteDiscard(partition, before: offset)
            case .refusal(let error, let completion):
                completion(.failure(error))
            }
        }
        flush()
    }

    // MARK: what the parts of the writer share

    /// The time of a commit: never before that of an earlier one.
    func stamp() -> Timestamp {
        self.lastStamp = max(self.lastStamp, self.clock().microseconds)
        return Timestamp(microseconds: self.lastStamp)
    }

    func touch(_ partition: Partition) {
        if partition.isTouched { return }
        partition.isTouched = true
        self.touched.append(partition)
    }

    /// Writes down where the touched partitions now end; part of every transaction that touches one.
    func putStates(_ transaction: borrowing WriteTransaction) throws(LMDBFailure) {
        for partition in self.touched {
            try transaction.put(
                self.tables.states, integer: Int(partition.records.identifier), partition.working.encoded)
        }
    }

    func forgetTouched() {
        for partition in self.touched { partition.forget() }
        self.touched.removeAll(keepingCapacity: true)
    }

    func committed(records: Int) {
        self.shared.withLock { status in
            status.commits += 1
            status.records += UInt64(records)
            status.keys = self.maintenance.keys.count
            status.keysForgotten = self.maintenance.keys.forgottenEarly
            status.failure = nil
        }
        let now = Self.monotonicMilliseconds()
        if self.room.mustBeMeasured || now >= self.nextMeasurement { self.measureRoom() }
    }

    func failed(_ failure: LMDBFailure) -> ApusError {
        let error = failure.apusError(path: self.environment.path, diskAvailable: self.environment.diskAvailable)
        self.shared.withLock { $0.failure = error.description }
        self.measureRoom()
        return error
    }

    /// Sums the free list, which costs microseconds: after each commit near a bound, else ten times a second at most.
    func measureRoom() {
        self.nextMeasurement = Self.monotonicMilliseconds() + 100
        let usedPages = self.environment.usedPages
        do throws(LMDBFailure) {
            let reader = try self.readers.take()
            defer { self.readers.give(reader) }
            self.room = RoomAccount(
                pageBytes: self.environment.pageBytes, mapBytes: self.environment.mapBytes, usedPages: usedPages,
                freePages: try reader.freePages(), diskAvailable: self.environment.diskAvailable,
                diskFloor: self.configuration.diskFloorBytes
            )
        } catch {
            // All readers are in use: the last measurement, less what was spent since, holds until the next.
        }
        if self.room.isShort { self.checkHold() }
        self.shared.withLock { status in
            status.roomBytes = self.room.room
            status.capacityBytes = self.room.capacity
            status.isShort = self.room.isShort
            status.fileBytes = Int64(usedPages) * Int64(self.environment.pageBytes)
        }
    }

    static func monotonicMilliseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }
}
