internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop

/// Gives every invocation that a deleted function left open its terminal state, then deletes the function's queue.
///
/// Each step writes states and the ledger in one transaction, so that it can end anywhere and be begun again. Nobody else may
/// write of the queue meanwhile.
struct QueueClosing {
    let log: any EventLog
    let function: ResourceName

    private static let failure = Failure(
        .functionNotFound, "the function was deleted before the invocation was over")

    func run() throws(ApusError) {
        let place = TopicPartition(.invoke(self.function), 0)
        // Of whichever class the function was: a share's number, and with it its part of the ledger, is the same for all.
        let share = Share.of(place.topic, partition: 0, .cpu)
        try self.log.sharing?.readEntries(share.number)
        let entries = try self.log.ledger(prefix: self.prefix)
        if let (trigger, state) = try self.newest(entries) { try self.finish(trigger, state, entries, place) }
        // The topic first: without it the entries mean nothing, and without them nobody could tell what was settled.
        try self.log.deleteTopic(place.topic)
        let gone = entries.map { LogBatch.LedgerWrite(key: $0.key, value: nil, share: share) }
        if !gone.isEmpty { try self.log.write(LogBatch(urgency: .settlement, ledger: gone)) }
    }

    /// What all of the queue's entries in the ledger begin with.
    private var prefix: [UInt8] { InvocationTrigger.prefix(of: self.function) }

    /// The queue as the ledger knows it; nil for one that nothing was appended to.
    private func newest(_ entries: [(key: [UInt8], value: [UInt8])]) throws(ApusError) -> (
        InvocationTrigger, LedgerState
    )? {
        var newest: (InvocationTrigger, LedgerState)?
        for (key, value) in entries {
            let rest = String(decoding: key[self.prefix.count...], as: UTF8.self)
            guard let origin = rest.split(separator: "/").first.flatMap({ UInt64($0) }) else { continue }
            let trigger = InvocationTrigger(self.function, origin: origin, logIdentity: self.log.identity)
            let isOpening = key == trigger.openedKey && newest?.0.origin != origin
            guard key == trigger.ledgerKey || isOpening, origin >= newest?.0.origin ?? 0 else { continue }
            newest = (trigger, try LedgerKey.decode(value))
        }
        return newest
    }

    private func finish(
        _ trigger: InvocationTrigger, _ state: LedgerState, _ entries: [(key: [UInt8], value: [UInt8])],
        _ place: TopicPartition
    ) throws(ApusError) {
        let bounds = try self.log.bounds(of: place)
        let marks = Dictionary(
            grouping: entries.compactMap { InvocationMark(key: $0.key, prefix: trigger.ledgerPrefix) }, by: \.offset)
        var next = max(state.watermark, bounds.start)
        while next < bounds.end {
            var appends: [LogBatch.Append] = []
            let now = SystemClock().now
            next = try self.log.read(
                place, from: next, maxRecords: Limits.Invocations.finishedPerStep, maxBytes: Limits.Server.bytesPerRead
            ) { offset, block in
                guard !state.settled.contains(where: { $0.contains(offset) }) else { return true }
                let attempts = state.pending.first { $0.offset == offset }?.attempts ?? 0
                let id = trigger.invocation(offset)
                appends.append(
                    InvocationReport(
                        unfinished: block, id: id, function: self.function, attempts: attempts,
                        failure: Self.failure, now: now
                    ).append)
                for mark in marks[offset] ?? [] {
                    switch mark {
                    case .cancel: appends.append(InvocationReport.cancelRequest(id, principal: nil))
                    case .answer(_, let question) where self.log.sharing != nil:
                        appends.append(InvocationReport.answerRequest(id, question: question, nil))
                    case .asked, .answer: break
                    }
                }
                return true
            }
            if let settled = state.settled.first(where: { $0.contains(next) }) { next = settled.upperBound }
            let left = LedgerState(
                watermark: next, settled: state.settled.filter { $0.lowerBound > next },
                pending: state.pending.filter { $0.offset >= next })
            try self.log.write(
                LogBatch(
                    urgency: .settlement, appends: appends,
                    ledger: [trigger.entry(left.encode())]))
        }
    }
}

extension EventLog {
    /// Writes and waits for it: from a thread that may block, never from a loop.
    @discardableResult
    func write(_ batch: LogBatch) throws(ApusError) -> LogReceipt {
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        self.submit(batch) { slot.fill($0) }
        return try slot.take().get()
    }
}
