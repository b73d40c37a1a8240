internal import ApusCore
internal import ApusLoop
internal import ApusStore
internal import Synchronization

/// The bundles of a log that servers share: whole on `apus.bundles`, of which the `bundles/` of each is a cache.
///
/// Everything that blocks happens on a thread of its own, one thing after the other, so that nothing is fetched twice at once and at
/// most one archive is in memory.
final class BundleTopic: Sendable {
    private let log: any EventLog
    private let bundles: BundleStore
    private let clock: @Sendable () -> Timestamp
    private let thread = WorkThread(queueMax: Limits.Server.waitingBundles)
    // SAFETY: touched on `thread` only, and by `takeOff` while that waits.
    nonisolated(unsafe) private var index = BundleIndex()
    private let isStopping = Atomic(false)

    init(log: any EventLog, bundles: BundleStore, clock: @escaping @Sendable () -> Timestamp) {
        self.log = log
        self.bundles = bundles
        self.clock = clock
    }

    // MARK: writing

    /// Writes what was uploaded, unless it is there. Blocks; not from a loop.
    func publish(_ archive: [UInt8], hash: String) throws(ApusError) {
        try self.perform { (topic) throws(ApusError) in
            try topic.follow(hash)
            if try !topic.renew(hash) { try topic.write(archive, hash) }
        }
    }

    /// Sees to it that a bundle of this server's is on the log and will stay there for a while: before a record names it, and after,
    /// since a sweep elsewhere may not have known of it. Blocks; not from a loop.
    /// - Throws: `bundle_not_found` when it is not there and what is left of it here makes other bytes.
    func keep(_ hash: String) throws(ApusError) {
        try self.perform { (topic) throws(ApusError) in
            try topic.follow(hash)
            if try topic.renew(hash) { return }
            let archive = try topic.bundles.archive(hash)
            guard BundleHash.of(archive) == hash else {
                throw ApusError(
                    .bundleNotFound,
                    "the bundle \(hash) is not on the log, and its folder makes another archive than the one that was sent: deploy "
                        + "its source again")
            }
            try topic.write(archive, hash)
        }
    }

    /// - Returns: false when it is not there. One that was written long ago is made young, so that no sweep takes it.
    private func renew(_ hash: String) throws(ApusError) -> Bool {
        guard let places = self.index.places(of: hash), let newest = self.index.newest(of: hash) else { return false }
        guard self.clock() - newest > .seconds(Limits.Server.bundleRenewSeconds) else { return true }
        let place = RecordPlace(TopicPartition(.bundles, BundleChunk.partition(of: hash)), places[0])
        var block: [UInt8]?
        try self.log.records(at: [place]) { _, found in block = found.map { Array($0) } }
        guard let block else { return false }
        try self.append([block], of: hash)
        return true
    }

    private func write(_ archive: [UInt8], _ hash: String) throws(ApusError) {
        guard !self.index.isFull else {
            throw ApusError(
                .limitReached,
                "there are \(self.index.count) bundles on the log: delete functions that are not needed, or keep fewer revisions"
            )
        }
        var blocks: [[UInt8]] = []
        let count = BundleChunk.count(of: archive)
        for number in 0..<count {
            blocks.append(EventBlock.encode(BundleChunk(number, of: archive, hash: hash).event))
            guard blocks.count == Limits.Server.bundleChunksPerBatch || number == count - 1 else { continue }
            try self.append(blocks, of: hash)
            blocks = []
        }
    }

    private func append(_ blocks: [[UInt8]], of hash: String) throws(ApusError) {
        try self.checkRunning()
        let partition = BundleChunk.partition(of: hash)
        let appends = blocks.map { LogBatch.Append(topic: .bundles, partition: partition, block: $0) }
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        self.log.submit(LogBatch(urgency: .producer, appends: appends)) { slot.fill($0) }
        let receipt = try slot.take().get()
        for (place, block) in zip(receipt.places, blocks) {
            block.withUnsafeBytes { self.index.note($0, at: place.offset, time: receipt.timestamp) }
            // What others wrote in between is still to be read.
            guard place.offset == self.index.next(of: partition) else { continue }
            self.index.passed(partition, to: place.offset + 1)
        }
    }

    // MARK: reading

    /// Fetches a bundle into the cache, unless it is there.
    /// - Parameter completion: called once, on a thread of this object's or the caller's, with what went wrong.
    func bring(_ hash: String, _ completion: @escaping @Sendable (ApusError?) -> Void) {
        let isQueued = self.thread.run {
            do throws(ApusError) {
                try self.fetch(hash)
                completion(nil)
            } catch { completion(error) }
        }
        if !isQueued { completion(self.refusal) }
    }

    private func fetch(_ hash: String) throws(ApusError) {
        guard !self.bundles.contains(hash) else { return }
        try self.follow(hash)
        guard let archive = try self.read(hash) else {
            throw ApusError(
                .bundleNotFound, "the bundle \(hash) is not on the log: deploy the function that needs it again")
        }
        _ = try self.bundles.store(archive, hash: hash)
    }

    private func read(_ hash: String) throws(ApusError) -> [UInt8]? {
        guard let places = self.index.places(of: hash) else { return nil }
        let partition = TopicPartition(.bundles, BundleChunk.partition(of: hash))
        var archive: [UInt8] = []
        for offset in places {
            try self.checkRunning()
            var isThere = false
            try self.log.records(at: [RecordPlace(partition, offset)]) { _, block in
                guard let block, let layout = try? EventLayout(parsing: block.bytes) else { return }
                isThere = archive.count + layout.data.count <= Limits.Bundle.archiveBytes
                if isThere { archive.append(contentsOf: block[layout.data]) }
            }
            guard isThere else { return nil }
        }
        return archive
    }

    /// Reads the partition of a bundle to its end.
    private func follow(_ hash: String) throws(ApusError) { try self.follow(BundleChunk.partition(of: hash)) }

    private func follow(_ partition: Int) throws(ApusError) {
        let place = TopicPartition(.bundles, partition)
        let bounds = try self.log.bounds(of: place)
        var next = max(bounds.start, self.index.next(of: partition))
        while next < bounds.end {
            try self.checkRunning()
            next = try self.log.read(
                place, from: next, maxRecords: Limits.Server.recordsPerFollow, maxBytes: Limits.Server.bytesPerRead
            ) { offset, block in
                self.index.note(block, at: offset)
                return true
            }
            self.index.passed(partition, to: next)
        }
    }

    // MARK: retention

    /// Takes bundles off the log that nothing names and that were written before `cutoff`; puts those back that this server has and
    /// the log has lost.
    /// - Parameter isNeeded: of a bundle that no record names yet.
    func sweep(
        _ control: Control, before cutoff: Timestamp, isDryRun: Bool, _ isNeeded: @escaping @Sendable (String) -> Bool
    ) throws(ApusError) -> SweepStep {
        try self.perform { (topic) throws(ApusError) in
            // What takes its time comes before.
            for partition in 0..<Limits.Bundle.partitions { try topic.follow(partition) }
            if !isDryRun { try topic.mend(control.catalogue.bundlesInUse) }
            return try control.exclusively { (catalogue) throws(ApusError) in
                let used = catalogue.bundlesInUse
                return try topic.takeOff(before: cutoff, isDryRun) { used.contains($0) || isNeeded($0) }
            }
        }
    }

    /// Between two control writes, while the thread of this object waits.
    private func takeOff(before cutoff: Timestamp, _ isDryRun: Bool, _ isUsed: (String) -> Bool) throws(ApusError)
        -> SweepStep
    {
        let unused = self.index.unused(before: cutoff, max: Limits.Server.sweepFolders, isUsed)
        var step = SweepStep(removed: unused.count, hasMore: unused.count == Limits.Server.sweepFolders)
        step.kept = self.index.count - (isDryRun ? 0 : unused.count)
        if isDryRun { return step }
        for (hash, count) in unused {
            try self.append((0..<count).map { EventBlock.encode(BundleChunk.tombstone(hash, $0)) }, of: hash)
        }
        return step
    }

    private func mend(_ used: Set<String>) throws(ApusError) {
        var left = Limits.Server.sweepFolders
        for hash in used where self.index.places(of: hash) == nil && self.bundles.contains(hash) && left > 0 {
            left -= 1
            let archive = try self.bundles.archive(hash)
            if BundleHash.of(archive) == hash { try self.write(archive, hash) }
        }
    }

    // MARK: the thread

    private func perform<Value: Sendable>(
        _ body: @escaping @Sendable (BundleTopic) throws(ApusError) -> Value
    ) throws(ApusError) -> Value {
        let slot = ResultSlot<Result<Value, ApusError>>()
        let isQueued = self.thread.run {
            do throws(ApusError) { slot.fill(.success(try body(self))) } catch { slot.fill(.failure(error)) }
        }
        guard isQueued else { throw self.refusal }
        return try slot.take().get()
    }

    private var refusal: ApusError {
        self.isStopping.load(ordering: .acquiring)
            ? Self.stopping : ApusError(.overloaded, "too many bundles wait for the log: try again in a moment")
    }

    private static let stopping = ApusError(.shuttingDown, "the server is stopping: try again when it is back")

    private func checkRunning() throws(ApusError) {
        if self.isStopping.load(ordering: .acquiring) { throw Self.stopping }
    }

    /// Gives up what is under way and ends. Nothing is asked of this object any more.
    func stop() {
        self.isStopping.store(true, ordering: .releasing)
        self.thread.stop()
    }
}
