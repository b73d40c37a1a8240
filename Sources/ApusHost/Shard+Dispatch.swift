internal import ApusCore
internal import ApusEngine

/// An attempt that waits for the turn's one read of the log.
struct QueuedDispatch {
    var dispatch: Dispatch
    // SAFETY: the shard keeps workers and triggers that go away until the end of the turn, and no entry outlives one;
    // counting references for each event would cost more than all else here.
    unowned(unsafe) var channel: WorkerChannel
    /// Nil for a direct invocation, whose bytes the shard holds.
    unowned(unsafe) var trigger: TriggerState?
    var partition: Int
    var offset: Offset
}

extension Shard {
    func queue(_ dispatch: Dispatch) {
        guard let queued = self.resolve(dispatch) else { return }
        self.queuedDispatches.append(queued)
    }

    /// What a dispatch names. Nil when its worker or its trigger is gone: the engine hears of both in their own way.
    func resolve(_ dispatch: Dispatch) -> QueuedDispatch? {
        guard let channel = self.channel(dispatch.worker), channel.machine.takesWork, channel.fatal == nil else {
            return nil
        }
        switch dispatch.work {
        case .delivery(let delivery), .tableRecord(let delivery):
            guard let trigger = self.trigger(delivery.trigger) else { return nil }
            return QueuedDispatch(
                dispatch: dispatch, channel: channel, trigger: trigger, partition: delivery.partition,
                offset: delivery.offset)
        case .request:
            return QueuedDispatch(dispatch: dispatch, channel: channel, trigger: nil, partition: 0, offset: -1)
        }
    }

    /// Dispatches mostly follow others of the same worker and the same trigger, so the last ones found are asked first.
    private func channel(_ worker: WorkerID) -> WorkerChannel? {
        if let last = self.lastChannel, last.worker == worker { return last }
        self.lastChannel = self.channels[worker]
        return self.lastChannel
    }

    private func trigger(_ id: TriggerID) -> TriggerState? {
        if let last = self.lastTrigger, last.trigger.id == id { return last }
        self.lastTrigger = self.triggers[id]
        return self.lastTrigger
    }

    /// Copies the events of this turn's dispatches from the log's memory into their workers' buffers: one read
    /// transaction.
    func flushDispatches(now: Timestamp) {
        guard !self.queuedDispatches.isEmpty else { return }
        var queued: [QueuedDispatch] = []
        swap(&queued, &self.queuedDispatches)
        self.places.removeAll(keepingCapacity: true)
        for item in queued {
            if let trigger = item.trigger {
                self.places.append(trigger.place(item.partition, item.offset))
            } else {
                self.dispatchRequest(item, now: now)
            }
        }
        if self.places.count < queued.count { queued.removeAll { $0.trigger == nil } }
        if !queued.isEmpty { self.dispatchRecords(queued, now: now) }
        queued.removeAll(keepingCapacity: true)
        swap(&queued, &self.queuedDispatches)
    }

    private func dispatchRecords(_ queued: [QueuedDispatch], now: Timestamp) {
        var gone: [QueuedDispatch] = []
        var refused: [(QueuedDispatch, Failure)] = []
        do {
            try self.log.records(at: self.places) { index, block in
                let item = queued[index]
                guard let block else {
                    gone.append(item)
                    return
                }
                if let failure = self.refusal(of: item, block, now: now) {
                    refused.append((item, failure))
                } else if !self.bringsData(item, block, isItem: false) {
                    self.writeInvoke(item, block, arrivedAt: Self.appendedAt(block), now: now)
                }
            }
        } catch {
            self.failUnread(queued, error, now: now)
        }
        for item in gone { self.reportGone(item, now: now) }
        for (item, failure) in refused { self.engine.refuse(item.dispatch.stream, failure, now: now) }
        self.bringClaimed()
    }

    /// Why an accepted invocation shall not run after all.
    private func refusal(of item: QueuedDispatch, _ block: UnsafeRawBufferPointer, now: Timestamp) -> Failure? {
        item.trigger?.invocations?.refusal(item.offset, block, now: now)
    }

    /// Items that were not written before the log failed are failed attempts.
    private func failUnread(_ queued: [QueuedDispatch], _ error: ApusError, now: Timestamp) {
        for item in queued
        where item.channel.attempts.index(of: item.dispatch.stream.rawValue) == nil {
            let failure = Failure(.logFailed, "the event could not be read from the log: \(error.message)")
            let outcome = AttemptOutcome.failed(failure, retryAfter: nil)
            self.perform(self.engine.outcome(item.dispatch.stream, outcome, now: now), failure: failure)
        }
    }

    private func reportGone(_ item: QueuedDispatch, now: Timestamp) {
        self.statistics.recordsGone += 1
        let isSuperseded = self.isSuperseded(item)
        if isSuperseded, case .delivery(let delivery) = item.dispatch.work {
            // It settles as skipped: what its earlier attempts left is over.
            _ = self.notes.take(item.dispatch.work)
            self.finishTrace(of: delivery, nil, at: now)
        }
        self.engine.recordGone(item.dispatch.stream, isSuperseded: isSuperseded, now: now)
    }

    /// Compaction took a record that still lies within the partition; retention takes them from its start.
    private func isSuperseded(_ item: QueuedDispatch) -> Bool {
        guard let trigger = item.trigger, trigger.isCompacted else { return false }
        let place = TopicPartition(trigger.trigger.topic, item.partition)
        guard let bounds = try? self.log.bounds(of: place) else { return true }
        return item.offset >= bounds.start
    }

    private func dispatchRequest(_ item: QueuedDispatch, now: Timestamp) {
        guard case .request(let id) = item.dispatch.work, let request = self.requests[id] else {
            // The caller left in this very turn; the engine has heard, and the attempt must still end.
            let failure = Failure(.cancelled, "the caller left")
            self.perform(
                self.engine.outcome(item.dispatch.stream, .rejected(failure), now: now), failure: failure)
            return
        }
        request.block.withUnsafeBytes { self.writeInvoke(item, $0, arrivedAt: request.arrivedAt, now: now) }
    }

    // MARK: one event

    private func writeInvoke(
        _ item: QueuedDispatch, _ block: UnsafeRawBufferPointer, arrivedAt: Timestamp, now: Timestamp
    ) {
        self.begin(item, block, isItem: false, arrivedAt: arrivedAt, now: now)
        guard EventBlock.isSampled(block) else { return self.writeBegun(item, block) }
        self.traced(item, block, now: now).withUnsafeBytes { self.writeBegun(item, $0) }
    }

    private func writeBegun(_ item: QueuedDispatch, _ block: UnsafeRawBufferPointer) {
        let channel = item.channel
        let isTable = item.trigger?.isTable ?? false
        let header = FrameHeader(
            .invoke, flags: isTable ? .table : [], stream: item.dispatch.stream.rawValue,
            deadline: item.dispatch.deadline)
        channel.writeInvoke(header, self.head(of: item), block)
        self.mustFlush(channel)
        self.statistics.bytesToWorkers += UInt64(block.count)
    }

    /// When the log took a record.
    static func appendedAt(_ block: UnsafeRawBufferPointer) -> Timestamp {
        guard block.count >= EventBlock.headBytes else { return .zero }
        return Timestamp(microseconds: block.bytes.littleEndian(at: 0, as: Int64.self))
    }

    /// Notes an attempt as under way.
    private func begin(
        _ item: QueuedDispatch, _ block: UnsafeRawBufferPointer, isItem: Bool, arrivedAt: Timestamp, now: Timestamp
    ) {
        let channel = item.channel
        if channel.machine.wake() {
            channel.send(.wake)
            channel.wokenAt = now
        }
        // What came before is not this one's.
        self.gatherDenials(of: channel, now: now)
        if channel.attempts.isEmpty { channel.becameBusy(now: now) }
        // What a later attempt waited before is the trigger's backoff; the start of a worker that has done nothing yet is not.
        let waitedSince = item.dispatch.attempt <= 1 ? arrivedAt : channel.hasWorked ? now : min(now, channel.startedAt)
        channel.hasWorked = true
        let hasOutputs = item.trigger?.hasOutputs ?? !channel.function.function.emits.isEmpty
        channel.attempts.insert(
            Attempt(
                stream: item.dispatch.stream.rawValue, work: item.dispatch.work, number: item.dispatch.attempt,
                dispatchedAt: now, arrivedAt: waitedSince,
                isItem: isItem, trigger: item.trigger, source: hasOutputs ? SourceContext(block) : nil))
        self.statistics.dispatched += 1
        item.trigger?.invocations?.began(
            item.offset, block, attempt: item.dispatch.attempt, revision: channel.function.function.revision, now: now)
    }

    private func head(of item: QueuedDispatch) -> InvokeHead {
        if let trigger = item.trigger, trigger.invocations != nil {
            return InvokeHead(
                attempt: UInt32(clamping: item.dispatch.attempt), trigger: InvokeHead.direct, partition: 0, offset: -1,
                invocation: trigger.invocation(partition: item.partition, offset: item.offset))
        }
        if let trigger = item.trigger {
            return InvokeHead(
                attempt: UInt32(clamping: item.dispatch.attempt),
                trigger: item.channel.function.place(of: trigger.trigger.id),
                partition: UInt32(item.partition), offset: item.offset,
                invocation: trigger.invocation(partition: item.partition, offset: item.offset))
        }
        return InvokeHead(
            attempt: UInt32(clamping: item.dispatch.attempt), trigger: InvokeHead.direct, partition: 0, offset: -1,
            invocation: self.invocation(of: item.dispatch.work))
    }

    // MARK: batches

    func dispatchBatch(_ items: [Dispatch], now: Timestamp) {
        let queued = items.compactMap { self.resolve($0) }
        guard let channel = queued.first?.channel else { return }
        var frame = BatchFrame(channel: channel)
        var gone: [QueuedDispatch] = []
        let add = { (item: QueuedDispatch, block: UnsafeRawBufferPointer, arrivedAt: Timestamp) in
            guard frame.fits(block) else {
                gone.append(item)
                return
            }
            self.begin(item, block, isItem: true, arrivedAt: arrivedAt, now: now)
            self.statistics.bytesToWorkers += UInt64(block.count)
            guard EventBlock.isSampled(block) else {
                return frame.append(item.dispatch.stream, self.head(of: item), block, deadline: item.dispatch.deadline)
            }
            self.traced(item, block, now: now).withUnsafeBytes {
                frame.append(item.dispatch.stream, self.head(of: item), $0, deadline: item.dispatch.deadline)
            }
        }
        for item in queued {
            guard case .request(let id) = item.dispatch.work, let request = self.requests[id] else { continue }
            request.block.withUnsafeBytes { add(item, $0, request.arrivedAt) }
        }
        let records = queued.filter { $0.trigger != nil }
        var missing: [QueuedDispatch] = []
        var refused: [(QueuedDispatch, Failure)] = []
        do {
            let places = records.compactMap { item in item.trigger?.place(item.partition, item.offset) }
            try self.log.records(at: places) { index, block in
                guard let block else { return missing.append(records[index]) }
                if let failure = self.refusal(of: records[index], block, now: now) {
                    refused.append((records[index], failure))
                } else if !self.bringsData(records[index], block, isItem: true) {
                    add(records[index], block, Self.appendedAt(block))
                }
            }
        } catch {
            self.failUnread(records, error, now: now)
        }
        frame.finish()
        self.mustFlush(channel)
        self.linkBatch(queued, on: channel)
        for item in missing { self.reportGone(item, now: now) }
        for (item, failure) in refused { self.engine.refuse(item.dispatch.stream, failure, now: now) }
        for item in gone {
            let failure = Failure(.internal, "the event did not fit the batch it was put in")
            self.perform(
                self.engine.outcome(item.dispatch.stream, .failed(failure, retryAfter: .zero), now: now),
                failure: failure)
        }
        self.bringClaimed()
    }

    /// An event whose data was brought; of a batch it is one by itself.
    func dispatchWhole(_ item: QueuedDispatch, _ block: UnsafeRawBufferPointer, isItem: Bool, now: Timestamp) {
        guard isItem else { return self.writeInvoke(item, block, arrivedAt: Self.appendedAt(block), now: now) }
        var frame = BatchFrame(channel: item.channel)
        self.begin(item, block, isItem: true, arrivedAt: Self.appendedAt(block), now: now)
        self.statistics.bytesToWorkers += UInt64(block.count)
        frame.append(item.dispatch.stream, self.head(of: item), block, deadline: item.dispatch.deadline)
        frame.finish()
        self.mustFlush(item.channel)
    }

    // MARK: writing

    func mustFlush(_ channel: WorkerChannel) {
        guard !channel.isQueued else { return }
        channel.isQueued = true
        self.unflushed.append(channel)
    }

    func flushChannels() {
        guard !self.unflushed.isEmpty else { return }
        for channel in self.unflushed {
            channel.isQueued = false
            self.flush(channel)
        }
        self.unflushed.removeAll(keepingCapacity: true)
    }

    func flush(_ channel: WorkerChannel) {
        guard !channel.flush() else { return }
        self.end(
            channel,
            Failure(
                .protocolError, "the worker does not read: more than \(Limits.Host.outputBufferBytes) bytes wait for it"
            ))
    }
}
