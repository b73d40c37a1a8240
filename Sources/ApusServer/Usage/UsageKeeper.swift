internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusStore
internal import ApusTelemetry
internal import Synchronization

/// Counts what is used and writes it to `apus.usage`: parts of functions and devices once a minute, what principals call and
/// what becomes of instances every 250 ms while there is news.
///
/// Its state lives on the first shard's loop. One record is written at a time; one that could not be is written again under the
/// same number, so that it counts once whatever became of the first.
final class UsageKeeper: @unchecked Sendable {
    // SAFETY: what changes is touched on `loop` only, or locked.

    let loop: EventLoop
    private let log: any EventLog
    private let clock = SystemClock()
    private let journal: Log
    private let node: String
    private let run: String
    private var shards: [ShardRuntime] = []
    private var accounts = DeviceAccounts()
    private var timer: LoopTimer?
    /// Since when shards and devices were not asked.
    private var since: Timestamp
    private var sequence: UInt64 = 0
    private var isGathering = false
    private var waiting = Deque<UsageRecord>()
    private var isWriting = false
    /// Records and changes that found no place. On the loop.
    private(set) var dropped: UInt64 = 0
    /// Who waits for what was used until now to be on the log.
    private var flushes: [@Sendable (RecordPlace?) -> Void] = []
    /// Those whose turn has been gathered.
    private var flushing: [@Sendable (RecordPlace?) -> Void] = []
    private var lastPlace: RecordPlace?
    private var stopping: ResultSlot<Bool>?
    private var bound: LoopTimer?
    /// Changes of instances that the loop has not looked at.
    private let changes = Mutex<[InstanceChange]>([])
    private var transitions: [UsageTransition] = []

    init(log: any EventLog, loop: EventLoop, node: String, journal: Log) {
        self.log = log
        self.loop = loop
        self.node = node
        self.journal = journal
        self.run = hexadecimal(UInt64.random(in: 1 ... .max))
        self.since = self.clock.now
    }

    /// From any thread, once.
    func start(_ shards: [ShardRuntime]) {
        self.loop.runAndWait {
            self.shards = shards
            let timer = LoopTimer(self.loop) { self.tick() }
            timer.start(
                milliseconds: Limits.Server.usageMilliseconds, repeating: Limits.Server.usageMilliseconds)
            self.timer = timer
        }
    }

    /// The inventory, before anything runs on it. From any thread.
    func add(_ devices: [DeviceDescription]) {
        self.loop.runAndWait {
            let now = self.clock.now
            for device in devices { self.accounts.add(device, now: now) }
        }
    }

    /// What became of instances, in order. From any thread.
    func record(_ changes: [InstanceChange]) { self.changes.withLock { $0 += changes } }

    /// Each device's parts since the start. On the loop.
    func deviceTotals() -> [(device: DeviceDescription, usage: DeviceUsage)] {
        self.takeUp()
        return Array(zip(self.accounts.descriptions, self.accounts.totals))
    }

    /// Writes what was used until now.
    /// - Parameter completion: called once, on the loop, with the place of the last record; nil when there is none.
    func flush(_ completion: @escaping @Sendable (RecordPlace?) -> Void) {
        self.loop.post {
            guard self.timer != nil, self.flushes.count < Limits.Server.usageFlushes else { return completion(nil) }
            self.flushes.append(completion)
            self.gather()
        }
    }

    /// Writes the rest, within a bound. From another thread, once no shard works any more and before loops and log end.
    func stop() {
        let done = ResultSlot<Bool>()
        self.loop.post {
            self.stopping = done
            let bound = LoopTimer(self.loop) { self.stopped() }
            bound.start(milliseconds: Limits.Server.usageCloseMilliseconds)
            self.bound = bound
        }
        self.flush { _ in self.stopped() }
        _ = done.take()
        self.loop.runAndWait {
            self.bound?.close()
            self.bound = nil
            self.timer?.close()
            self.timer = nil
            self.shards = []
        }
    }

    private func stopped() {
        self.stopping?.fill(true)
        self.stopping = nil
    }

    // MARK: gathering

    private func tick() {
        self.takeUp()
        self.write()
        let isOver = self.clock.now.microseconds / 60_000_000 != self.since.microseconds / 60_000_000
        if isOver || !self.flushes.isEmpty { return self.gather() }
        let hasCallers = self.shards.contains { $0.callers.hasNews.load(ordering: .relaxed) }
        guard hasCallers || !self.transitions.isEmpty, !self.isGathering, self.waiting.isEmpty else { return }
        self.gather(isWhole: false)
    }

    private func takeUp() {
        let changes = self.changes.withLock { changes in
            defer { changes.removeAll(keepingCapacity: true) }
            return changes
        }
        for change in changes {
            self.accounts.changed(change)
            guard change.transition.device != nil, Self.isTold(change.transition) else { continue }
            guard self.transitions.count < Limits.Server.usageTransitions else {
                self.dropped += 1
                continue
            }
            self.transitions.append(UsageTransition(change))
        }
    }

    /// Each use would be a record a call; how long there was none is counted.
    private static func isTold(_ transition: InstanceTransition) -> Bool {
        switch (transition.from, transition.to) {
        case (.ready, .busy), (.busy, .busy), (.busy, .ready): false
        default: true
        }
    }

    /// - Parameter isWhole: of functions and devices too, not only of principals.
    private func gather(isWhole: Bool = true) {
        guard !self.isGathering, !self.shards.isEmpty else { return }
        self.isGathering = true
        if isWhole {
            self.flushing += self.flushes
            self.flushes = []
        }
        let gathering = Gathering(self.shards.count) { (parts: [Part]) in
            self.loop.post { self.gathered(parts, isWhole: isWhole) }
        }
        for runtime in self.shards {
            runtime.loop.post {
                gathering.add(
                    Part(functions: isWhole ? runtime.shard.takeUsage() : [], callers: runtime.callers.take()))
            }
        }
    }

    private struct Part: Sendable {
        var functions: [FunctionUsage]
        var callers: [UsageRecord.Caller]
    }

    private func gathered(_ parts: [Part], isWhole: Bool) {
        self.isGathering = false
        self.takeUp()
        let now = self.clock.now
        var record = self.record(from: self.since, to: now)
        if isWhole {
            self.since = now
            self.addDevices(to: &record, now: now)
        }
        record.functions = parts.flatMap(\.functions).map { UsageRecord.Function($0) }
        record.callers = parts.flatMap(\.callers)
        record.transitions = self.transitions
        self.transitions = []
        for piece in record.pieces(of: Limits.Server.usageRows) where !piece.isEmpty { self.append(piece) }
        self.write()
        if !self.flushes.isEmpty { self.gather() }
    }

    private func addDevices(to record: inout UsageRecord, now: Timestamp) {
        let taken = self.accounts.take(now: now)
        record.devices = zip(self.accounts.descriptions, taken.devices).map { device, usage in
            UsageRecord.Device(id: device.id, kind: device.kind, isSimulated: device.isSimulated, usage: usage)
        }
        record.shares = taken.rows.map { key, row in
            var share = UsageRecord.Share(key.name, kind: key.kind, isSimulated: key.isSimulated)
            share.share = row.share
            share.portion = row.portion
            share.starts = row.starts
            share.wakes = row.wakes
            share.gaps = row.gaps
            return share
        }
    }

    private func record(from: Timestamp, to: Timestamp) -> UsageRecord {
        UsageRecord(node: self.node, run: self.run, sequence: 0, from: from, to: to)
    }

    // MARK: writing

    private func append(_ record: UsageRecord) {
        if self.waiting.count == Limits.Server.waitingUsage {
            _ = self.waiting.popFirst()
            self.dropped += 1
            self.journal.error(
                "what was used is not written: the log takes none of it, and the oldest record is dropped")
        }
        var record = record
        self.sequence += 1
        record.sequence = self.sequence
        self.waiting.append(record)
    }

    private func write() {
        guard !self.isWriting else { return }
        guard let record = self.waiting.first else { return self.written() }
        self.isWriting = true
        let partition = Array(self.run.utf8).withUnsafeBytes {
            Murmur2.partition(of: $0, among: Limits.Server.usagePartitions)
        }
        let batch = LogBatch(
            urgency: .settlement,
            appends: [
                LogBatch.Append(topic: .usage, partition: partition, block: EventBlock.encode(record.event))
            ])
        self.log.submit(batch) { result in
            self.loop.post {
                self.isWriting = false
                switch result {
                case .success(let receipt):
                    if let place = receipt.places.first {
                        self.lastPlace = RecordPlace(TopicPartition(.usage, place.partition), place.offset)
                    }
                    if self.waiting.first?.sequence == record.sequence { _ = self.waiting.popFirst() }
                    self.write()
                // The next tick tries again.
                case .failure: self.answer(nil)
                }
            }
        }
    }

    /// Nothing waits any more.
    private func written() {
        guard !self.isGathering else { return }
        self.answer(self.lastPlace)
    }

    private func answer(_ place: RecordPlace?) {
        let flushing = self.flushing
        self.flushing = []
        for flush in flushing { flush(place) }
    }
}

extension UsageRecord.Function {
    init(_ usage: FunctionUsage) {
        self.init(usage.function)
        self.calls = usage.totals.succeeded + usage.totals.failed
        self.failed = usage.totals.failed
        self.running = usage.totals.running
        self.workers = usage.workers
        self.starts = IdleGaps.Count(count: usage.totals.starts, span: usage.totals.starting)
        self.gaps = usage.gaps
    }
}

extension UsageRecord {
    /// Records of at most so many rows, which together say the same.
    fileprivate func pieces(of rows: Int) -> [UsageRecord] {
        guard self.rows > rows else { return [self] }
        var empty = self
        (empty.functions, empty.shares, empty.devices, empty.callers, empty.transitions) = ([], [], [], [], [])
        var pieces: [UsageRecord] = []
        func cut<Row>(_ list: [Row], _ add: (inout UsageRecord, [Row]) -> Void) {
            for start in stride(from: 0, to: list.count, by: rows) {
                var piece = empty
                add(&piece, Array(list[start..<min(start + rows, list.count)]))
                pieces.append(piece)
            }
        }
        cut(self.functions) { $0.functions = $1 }
        cut(self.shares) { $0.shares = $1 }
        cut(self.devices) { $0.devices = $1 }
        cut(self.callers) { $0.callers = $1 }
        cut(self.transitions) { $0.transitions = $1 }
        return pieces
    }
}
