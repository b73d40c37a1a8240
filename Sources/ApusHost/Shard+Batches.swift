internal import ApusCore
internal import ApusEngine

/// A batch on its way to its worker.
struct BatchDispatch {
    fileprivate var frame: BatchFrame
    fileprivate var settling = DispatchSettling()
    /// What the frame had no room for.
    fileprivate var unfit: [QueuedDispatch] = []

    init(_ channel: WorkerChannel) { self.frame = BatchFrame(channel: channel) }
}

extension Shard {
    func dispatchBatch(_ items: [Dispatch], now: Timestamp) {
        let queued = items.compactMap { self.resolve($0, now: now) }
        guard let channel = queued.first?.channel else { return }
        var batch = BatchDispatch(channel)
        let records = queued.filter { $0.trigger != nil }
        do {
            let places = records.compactMap { item in item.trigger?.place(item.partition, item.offset) }
            let missing = try self.log.recordsAtHand(places) { index, block in
                self.add(records[index], block, to: &batch, now: now)
            }
            // A batch goes whole, or waits whole.
            if !missing.isEmpty { return self.fetchFirst(queued.map(\.dispatch), isBatch: true, now: now) }
        } catch {
            self.failUnread(records, error, now: now)
        }
        self.finish(&batch, queued, on: channel, now: now)
    }

    /// The same with records that were fetched for it.
    func dispatchBatch(_ items: [Dispatch], _ blocks: [[UInt8]?], now: Timestamp) {
        var queued: [QueuedDispatch] = []
        var batch: BatchDispatch?
        for (index, dispatch) in items.enumerated() {
            guard let item = self.resolve(dispatch, now: now) else { continue }
            var filling = batch ?? BatchDispatch(item.channel)
            if item.trigger != nil {
                lend(blocks[index]) { self.add(item, $0, to: &filling, now: now) }
            }
            batch = filling
            queued.append(item)
        }
        guard var batch, let channel = queued.first?.channel else { return }
        self.finish(&batch, queued, on: channel, now: now)
    }

    private func add(
        _ item: QueuedDispatch, _ block: UnsafeRawBufferPointer?, to batch: inout BatchDispatch, now: Timestamp
    ) {
        guard let block, !self.isUnfit(item, block) else { return batch.settling.gone.append(item) }
        if let failure = self.refusal(of: item, block, now: now) {
            batch.settling.refused.append((item, failure))
        } else if !self.bringsData(item, block, isItem: true) {
            self.add(item, block, arrivedAt: Self.appendedAt(block), to: &batch, now: now)
        }
    }

    private func add(
        _ item: QueuedDispatch, _ block: UnsafeRawBufferPointer, arrivedAt: Timestamp, to batch: inout BatchDispatch,
        now: Timestamp
    ) {
        guard batch.frame.fits(block) else { return batch.unfit.append(item) }
        self.begin(item, block, isItem: true, arrivedAt: arrivedAt, now: now)
        self.statistics.bytesToWorkers += UInt64(block.count)
        let deadline = item.dispatch.deadline
        guard EventBlock.isSampled(block) else {
            return batch.frame.append(item.dispatch.stream, self.head(of: item), block, deadline: deadline)
        }
        self.traced(item, block, now: now).withUnsafeBytes {
            batch.frame.append(item.dispatch.stream, self.head(of: item), $0, deadline: deadline)
        }
    }

    private func finish(
        _ batch: inout BatchDispatch, _ queued: [QueuedDispatch], on channel: WorkerChannel, now: Timestamp
    ) {
        for item in queued {
            guard case .request(let id) = item.dispatch.work, let request = self.requests[id] else { continue }
            request.block.withUnsafeBytes {
                self.add(item, $0, arrivedAt: request.arrivedAt, to: &batch, now: now)
            }
        }
        batch.frame.finish()
        self.mustFlush(channel)
        self.linkBatch(queued, on: channel)
        self.settle(batch.settling, now: now)
        for item in batch.unfit {
            let failure = Failure(.internal, "the event did not fit the batch it was put in")
            self.perform(
                self.engine.outcome(item.dispatch.stream, .failed(failure, retryAfter: .zero), now: now),
                failure: failure)
        }
    }
}

/// Lends bytes that may not be there.
func lend<Result>(_ bytes: [UInt8]?, _ body: (UnsafeRawBufferPointer?) -> Result) -> Result {
    guard let bytes else { return body(nil) }
    return bytes.withUnsafeBytes { body($0) }
}
