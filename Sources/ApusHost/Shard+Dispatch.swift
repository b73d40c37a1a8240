internal import ApusCore
internal import ApusEngine

/// An attempt that waits for the turn's one read of the log.
struct QueuedDispatch {
    var dispatch: Dispatch
    // Counted once for each event: what is asked of them on its way then counts no more.
    let channel: WorkerChannel
    /// Nil for a direct invocation, whose bytes the shard holds.
    let trigger: TriggerState?
    var partition: Int
    var offset: Offset
}

/// Dispatches that came to nothing: told once nothing of the log is lent any more.
struct DispatchSettling {
    var gone: [QueuedDispatch] = []
    var refused: [(QueuedDispatch, Failure)] = []
}

extension Shard {
    func queue(_ dispatch: Dispatch, now: Timestamp) {
        guard let queued = self.resolve(dispatch, now: now) else { return }
        self.queuedDispatches.append(queued)
    }

    /// What a dispatch names. Nil when its worker or its trigger is gone: then nothing was begun, and the engine is told.
    func resolve(_ dispatch: Dispatch, now: Timestamp) -> QueuedDispatch? {
        guard let channel = self.channel(dispatch.worker), channel.machine.takesWork, channel.fatal == nil else {
            self.statistics.unsent += 1
            self.engine.unsent(dispatch.stream, now: now)
            return nil
        }
        switch dispatch.work {
        case .delivery(let delivery), .tableRecord(let delivery):
            guard let trigger = self.trigger(delivery.trigger) else {
                self.engine.refuse(dispatch.stream, Failure(.cancelled, "the trigger was removed"), now: now)
                return nil
            }
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

    func trigger(_ id: TriggerID) -> TriggerState? {
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
        var settling = DispatchSettling()
        do {
            let missing = try self.log.recordsAtHand(self.places) { index, block in
                self.dispatch(queued[index], block, &settling, now: now)
            }
            if !missing.isEmpty { self.dispatchWithout(Set(missing), queued, now: now) }
        } catch {
            self.failUnread(queued, error, now: now)
        }
        self.settle(settling, now: now)
    }

    /// Dispatches what is in memory; the rest is fetched, and dispatched then.
    private func dispatchWithout(_ missing: Set<Int>, _ queued: [QueuedDispatch], now: Timestamp) {
        self.fetchFirst(missing.sorted().map { queued[$0].dispatch }, isBatch: false, now: now)
        let rest = queued.indices.filter { !missing.contains($0) }.map { queued[$0] }
        guard !rest.isEmpty else { return }
        self.places = rest.compactMap { item in item.trigger?.place(item.partition, item.offset) }
        self.dispatchRecords(rest, now: now)
    }

    /// Writes one event to its worker, or notes why it is not written.
    func dispatch(
        _ item: QueuedDispatch, _ block: UnsafeRawBufferPointer?, _ settling: inout DispatchSettling, now: Timestamp
    ) {
        guard let block, !self.isUnfit(item, block) else { return settling.gone.append(item) }
        if let failure = self.refusal(of: item, block, now: now) {
            settling.refused.append((item, failure))
        } else if !self.bringsData(item, block, isItem: false) {
            self.writeInvoke(item, block, arrivedAt: Self.appendedAt(block), now: now)
        }
    }

    func settle(_ settling: DispatchSettling, now: Timestamp) {
        for item in settling.gone { self.reportGone(item, now: now) }
        for (item, failure) in settling.refused { self.engine.refuse(item.dispatch.stream, failure, now: now) }
        self.bringClaimed()
    }

    /// A record that is no valid event has no place in a table either.
    func isUnfit(_ item: QueuedDispatch, _ block: UnsafeRawBufferPointer) -> Bool {
        EventBlock.isInvalid(block) && item.trigger?.isTable == true
    }

    /// Why an event shall not run: it is none, or an invocation that was taken back.
    func refusal(of item: QueuedDispatch, _ block: UnsafeRawBufferPointer, now: Timestamp) -> Failure? {
        if EventBlock.isInvalid(block) { return InvalidEvent.failure(block) }
        return item.trigger?.invocations?.refusal(
            item.offset, block, revision: item.channel.function.function.revision, now: now)
    }

    /// Items that were not written before the log failed are failed attempts.
    func failUnread(_ queued: [QueuedDispatch], _ error: ApusError, now: Timestamp) {
        for item in queued
        where item.channel.attempts.index(of: item.dispatch.stream.rawValue) == nil {
            let failure = Failure(.logFailed, "the event could not be read from the log: \(error.message)")
            let outcome = AttemptOutcome.failed(failure, retryAfter: nil)
            self.perform(self.engine.outcome(item.dispatch.stream, outcome, now: now), failure: failure)
        }
    }

    func reportGone(_ item: QueuedDispatch, now: Timestamp) {
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
        // Before their invocation, so that the handler finds them there.
        if !request.answers.isEmpty {
            item.channel.send(.input, stream: item.dispatch.stream.rawValue, payload: request.answers)
        }
        request.block.withUnsafeBytes { self.writeInvoke(item, $0, arrivedAt: request.arrivedAt, now: now) }
    }

    /// The worker was gone before any byte of these attempts reached it.
    private func takeBack(_ streams: [UInt64], from channel: WorkerChannel) {
        let now = self.now
        for stream in streams {
            guard let index = channel.attempts.index(of: stream) else { continue }
            let attempt = channel.attempts.remove(at: index)
            self.paused(attempt, on: channel, now: now)
            self.statistics.unsent += 1
            self.engine.unsent(StreamID(rawValue: stream), now: now)
        }
        self.requestTurn()
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
        // Before their invocation, so that the handler finds them there.
        if let answers = item.trigger?.invocations?.answers(of: item.offset) {
            channel.send(.input, stream: item.dispatch.stream.rawValue, payload: answers)
        }
        let header = FrameHeader(
            .invoke, flags: isTable ? .table : [], stream: item.dispatch.stream.rawValue,
            deadline: item.dispatch.deadline)
        channel.writeInvoke(header, self.head(of: item), block)
        self.mustFlush(channel)
        channel.writeAhead()
        self.statistics.bytesToWorkers += UInt64(block.count)
    }

    /// When the log took a record.
    static func appendedAt(_ block: UnsafeRawBufferPointer) -> Timestamp {
        guard block.count >= EventBlock.headBytes else { return .zero }
        return Timestamp(microseconds: block.bytes.littleEndian(at: 0, as: Int64.self))
    }

    /// Notes an attempt as under way.
    func begin(
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

    func head(of item: QueuedDispatch) -> InvokeHead {
        if let trigger = item.trigger, trigger.invocations != nil {
            return InvokeHead(
                attempt: UInt32(clamping: item.dispatch.attempt), trigger: InvokeHead.direct, partition: 0, offset: -1,
                invocation: trigger.invocation(partition: item.partition, offset: item.offset))
        }
        if let trigger = item.trigger {
            return InvokeHead(
                attempt: UInt32(clamping: item.dispatch.attempt),
                trigger: item.channel.function.place(of: trigger.trigger),
                partition: UInt32(item.partition), offset: item.offset,
                invocation: trigger.invocation(partition: item.partition, offset: item.offset),
                flags: trigger.replay == nil ? [] : .replay)
        }
        return InvokeHead(
            attempt: UInt32(clamping: item.dispatch.attempt), trigger: InvokeHead.direct, partition: 0, offset: -1,
            invocation: self.invocation(of: item.dispatch.work))
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
        let keepsUp = channel.flush()
        if !channel.neverSent.isEmpty { self.takeBack(channel.takeNeverSent(), from: channel) }
        guard !keepsUp else { return }
        self.end(
            channel,
            Failure(
                .protocolError, "the worker does not read: more than \(Limits.Host.outputBufferBytes) bytes wait for it"
            ))
    }
}
