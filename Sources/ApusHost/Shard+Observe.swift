public import ApusCore
internal import ApusEngine
internal import ApusTelemetry

/// What people and machines are told of the work of a shard. On the path of an event it counts, and looks whether anybody
/// wants to know more.
extension Shard {
    /// What the function did, made with its first worker.
    func activity(of function: FunctionID, named name: ResourceName) -> FunctionActivity {
        if let activity = self.activities[function] { return activity }
        let activity = FunctionActivity(name)
        self.activities[function] = activity
        return activity
    }

    @inline(__always)
    func timing(of attempt: Attempt, on channel: WorkerChannel, now: Timestamp) -> AttemptTiming {
        var timing = self.spans(of: attempt, on: channel, now: now)
        timing.isolation = channel.isolation
        if let extras = attempt.extras { timing.denials = extras.denials }
        return timing
    }

    /// Where its time went, without what it ran behind.
    @inline(__always)
    private func spans(of attempt: Attempt, on channel: WorkerChannel, now: Timestamp) -> AttemptTiming {
        AttemptTiming(
            arrived: attempt.arrivedAt, dispatched: attempt.dispatchedAt, ended: now, started: channel.startedAt,
            ready: channel.readyAt, isWoken: channel.wokenAt == attempt.dispatchedAt)
    }

    /// An attempt succeeded, and the engine said what that means. On the path of every event: it counts, and nearly always
    /// nobody wants to know more.
    /// - Returns: what a caller is answered; of a delivery without what it ran behind.
    @inline(__always)
    func concluded(_ attempt: Attempt, on channel: WorkerChannel, _ verdict: Verdict, now: Timestamp)
        -> AttemptTiming
    {
        let spans = self.spans(of: attempt, on: channel, now: now)
        if case .tableRecord = attempt.work { return spans }
        channel.activity.finished(spans, isFirst: attempt.number <= 1, hasFailed: false, now: now)
        let isTold = self.notes.takesSuccess(spans, now: now) || self.notes.hasOpen || attempt.hasExtras
        if !isTold, case .publish = verdict { return spans }
        let timing = self.timing(of: attempt, on: channel, now: now)
        if isTold {
            self.tell(attempt, on: channel, timing, verdict, nil, now: now)
        } else if case .ignore = verdict {
            self.tell(attempt, on: channel, timing, verdict, nil, now: now)
        }
        return timing
    }

    /// An attempt failed, and the engine said what that means.
    func concluded(
        _ attempt: Attempt, on channel: WorkerChannel, _ verdict: Verdict, failure: Failure, now: Timestamp
    ) -> AttemptTiming {
        let timing = self.timing(of: attempt, on: channel, now: now)
        if case .tableRecord = attempt.work { return timing }
        channel.activity.finished(timing, isFirst: attempt.number <= 1, hasFailed: true, now: now)
        self.tell(attempt, on: channel, timing, verdict, failure, now: now)
        return timing
    }

    /// Notes and traces what somebody may want to know of an attempt.
    @inline(never)
    private func tell(
        _ attempt: Attempt, on channel: WorkerChannel, _ timing: AttemptTiming, _ verdict: Verdict,
        _ failure: Failure?, now: Timestamp
    ) {
        let note = self.note(attempt, on: channel, timing, verdict, failure, now: now)
        if let trace = attempt.extras?.trace {
            self.trace(trace, of: attempt, on: channel, timing, failure, now: now)
        }
        switch verdict {
        case .publish(let delivery, _):
            let trace = self.openTraces.isEmpty ? nil : self.openTraces.removeValue(forKey: delivery)
            self.settlements.append(
                Settlement(group: self.group(of: delivery), outcomeAt: now, trace: trace, note: note))
        // Its trace ends with its dead letter.
        case .deadLetter(let delivery, _):
            self.settlements.append(
                Settlement(group: self.group(of: delivery), outcomeAt: now, trace: nil, note: note))
        case .drop(let delivery, _): self.finishTrace(of: delivery, failure, at: now)
        default: break
        }
    }

    // MARK: recent deliveries

    private func note(
        _ attempt: Attempt, on channel: WorkerChannel, _ timing: AttemptTiming, _ verdict: Verdict,
        _ failure: Failure?, now: Timestamp
    ) -> UInt64? {
        let last = Self.note(attempt, on: channel, timing, failure?.code, now: now)
        let state: DeliveryState
        switch verdict {
        case .publish: state = .succeeded
        case .answer: state = failure == nil ? .succeeded : .failed
        case .deadLetter: state = attempt.trigger?.invocations == nil ? .deadLettered : .failed
        case .drop: state = .dropped
        case .retry:
            if let failure { self.notes.failed(attempt.work, self.note(of: attempt, on: channel), last, failure) }
            return nil
        case .ignore:
            // Past its deadline when it answered: it counts as failed, and what comes of it the engine says next.
            guard case .delivery(let delivery) = attempt.work, self.triggers[delivery.trigger] != nil else {
                return nil
            }
            var late = last
            late.code = .deadlineExceeded
            let failure = Failure(.deadlineExceeded, "the handler answered after its deadline")
            self.notes.failed(attempt.work, self.note(of: attempt, on: channel), late, failure)
            return nil
        case .fed: return nil
        }
        var note = self.notes.take(attempt.work) ?? self.note(of: attempt, on: channel)
        note.state = state
        note.settledAt = now
        note.add(last)
        if let failure { note.fail(failure) }
        return self.notes.append(note)
    }

    private func note(of attempt: Attempt, on channel: WorkerChannel) -> DeliveryNote {
        var note = DeliveryNote(
            function: channel.function, trigger: attempt.trigger, invocation: self.invocation(of: attempt))
        if case .delivery(let delivery) = attempt.work {
            note.partition = delivery.partition
            note.offset = delivery.offset
        }
        note.arrivedAt = attempt.arrivedAt
        note.trace = attempt.extras?.trace?.context.trace
        // Those before it were forgotten, or ran before a restart.
        note.attempts = max(0, attempt.number - 1)
        return note
    }

    private static func note(
        _ attempt: Attempt, on channel: WorkerChannel, _ timing: AttemptTiming, _ code: ErrorCode?, now: Timestamp
    ) -> AttemptNote {
        var note = AttemptNote()
        note.number = attempt.number
        note.worker = channel.worker
        note.dispatchedAt = attempt.dispatchedAt
        note.endedAt = now
        note.timing = timing
        note.code = code
        return note
    }

    /// An attempt ended with its worker, without an outcome; what comes of it the engine says next.
    func lost(_ attempt: Attempt, on channel: WorkerChannel, _ failure: Failure, now: Timestamp) {
        if case .tableRecord = attempt.work { return }
        if case .request(let id) = attempt.work, self.requests[id] == nil { return }
        let timing = self.timing(of: attempt, on: channel, now: now)
        channel.activity.finished(timing, isFirst: attempt.number <= 1, hasFailed: true, now: now)
        let last = Self.note(attempt, on: channel, timing, failure.code, now: now)
        self.notes.failed(attempt.work, self.note(of: attempt, on: channel), last, failure)
        if let trace = attempt.extras?.trace {
            self.trace(trace, of: attempt, on: channel, timing, failure, now: now)
        }
    }

    /// A delivery was given up without an outcome of its last attempt.
    func noteGivenUp(_ delivery: Delivery, attempts: Int, _ failure: Failure, _ state: DeliveryState, now: Timestamp) {
        let known = self.notes.take(.delivery(delivery))
        guard let trigger = self.triggers[delivery.trigger], let function = self.functions[trigger.function] else {
            return
        }
        var note =
            known
            ?? DeliveryNote(
                function: function, trigger: trigger,
                invocation: trigger.invocation(partition: delivery.partition, offset: delivery.offset))
        note.partition = delivery.partition
        note.offset = delivery.offset
        note.state = trigger.invocations != nil && state == .deadLettered ? .failed : state
        note.settledAt = now
        note.attempts = max(note.attempts, attempts)
        note.fail(failure)
        let sequence = self.notes.append(note)
        guard state == .deadLettered else { return }
        self.settlements.append(
            Settlement(group: self.group(of: delivery), outcomeAt: now, trace: nil, note: sequence))
    }

    /// A caller was answered with a failure that no outcome of an attempt brought, or left.
    func noteUnanswered(
        _ id: RequestID, _ request: PendingRequest, _ failure: Failure, _ state: DeliveryState, now: Timestamp
    ) {
        guard let function = self.functions[request.function] else { return }
        var note =
            self.notes.take(.request(id))
            ?? DeliveryNote(function: function, trigger: nil, invocation: request.invocation)
        note.arrivedAt = request.arrivedAt
        if note.attempts == 0, let (channel, attempt) = self.attempt(of: id) {
            let timing = self.timing(of: attempt, on: channel, now: now)
            note.add(Self.note(attempt, on: channel, timing, failure.code, now: now))
            note.trace = attempt.extras?.trace?.context.trace
            channel.activity.finished(timing, isFirst: true, hasFailed: true, now: now)
        }
        note.state = state
        note.settledAt = now
        note.fail(failure)
        _ = self.notes.append(note)
    }

    /// Where a direct invocation runs. A search, for what is rare.
    private func attempt(of id: RequestID) -> (WorkerChannel, Attempt)? {
        for channel in self.channels.values {
            if let attempt = channel.attempts.all.first(where: { $0.work == .request(id) }) {
                return (channel, attempt)
            }
        }
        return nil
    }

    // MARK: durable

    /// What was settled up to here is in the write that begins.
    func settlementsBegin(_ group: LedgerGroup) {
        guard !self.settlements.isEmpty else { return }
        guard self.held.isShared else {
            self.settling += self.settlements
            self.settlements.removeAll(keepingCapacity: true)
            return
        }
        self.settling += self.settlements.filter { $0.group == group }
        self.settlements.removeAll { $0.group == group }
    }

    /// The group is another node's now.
    func settlementsDrop(_ group: LedgerGroup) {
        self.settlements.removeAll { $0.group == group }
        self.settling.removeAll { $0.group == group }
    }

    /// The write is durable.
    func settlementsEnd(_ group: LedgerGroup, now: Timestamp) {
        guard !self.settling.isEmpty else { return }
        for settlement in self.settling where settlement.group == group {
            if let note = settlement.note { self.notes.committed(note, in: now - settlement.outcomeAt) }
            if let trace = settlement.trace {
                self.recordCommit(trace, from: settlement.outcomeAt, to: now)
                self.record(trace, end: now)
            }
        }
        if self.held.isShared {
            self.settling.removeAll { $0.group == group }
        } else {
            self.settling.removeAll(keepingCapacity: true)
        }
    }

    // MARK: for others

    /// Recent deliveries and direct invocations, the newest first, those under way before all.
    public func deliveries(limit: Int, where isWanted: (DeliverySnapshot) -> Bool) -> [DeliverySnapshot] {
        var found: [DeliverySnapshot] = []
        func add(_ snapshot: DeliverySnapshot) -> Bool {
            if isWanted(snapshot) { found.append(snapshot) }
            return found.count < limit
        }
        for channel in self.channels.values.sorted(by: { $0.worker.rawValue < $1.worker.rawValue }) {
            for attempt in channel.attempts.all {
                guard let snapshot = self.running(attempt, on: channel) else { continue }
                guard add(snapshot) else { return found }
            }
        }
        let under = Set(found.map(\.invocation))
        self.notes.newestFirst { note in under.contains(note.invocation) ? true : add(note.snapshot()) }
        return found
    }

    private func running(_ attempt: Attempt, on channel: WorkerChannel) -> DeliverySnapshot? {
        if case .tableRecord = attempt.work { return nil }
        if case .request(let id) = attempt.work, self.requests[id] == nil { return nil }
        var note = self.notes.open[attempt.work] ?? self.note(of: attempt, on: channel)
        note.state = .running
        let timing = self.timing(of: attempt, on: channel, now: self.now)
        note.add(Self.note(attempt, on: channel, timing, nil, now: .zero))
        return note.snapshot()
    }

    /// What each function did, by its name.
    public func activity() -> [ActivitySnapshot] {
        self.activities.compactMap { id, activity in
            self.functions[id].map {
                var counts = activity.counts
                if let status = self.engine.status(of: id) {
                    (counts.poolHits, counts.poolMisses) = (status.poolHits, status.poolMisses)
                }
                return ActivitySnapshot(function: $0.function.name, counts: counts, seconds: activity.seconds)
            }
        }
    }
}

/// What one function did on one shard.
public struct ActivitySnapshot: Sendable {
    public var function: ResourceName
    public var counts: ActivityCounts
    /// In no order; those of other times hold what their second was.
    public var seconds: [ActivitySecond]

    public init(function: ResourceName, counts: ActivityCounts, seconds: [ActivitySecond]) {
        self.function = function
        self.counts = counts
        self.seconds = seconds
    }
}
