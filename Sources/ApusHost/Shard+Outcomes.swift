internal import ApusCore
internal import ApusEngine

/// A delivery that was given up and waits for its dead letter to be written.
struct LostDelivery {
    var delivery: Delivery
    var attempts: Int
    var failure: Failure
}

extension Shard {
    /// An attempt brought a whole result.
    func succeeded(
        _ channel: WorkerChannel, at index: Int, _ block: UnsafeRawBufferPointer, _ layout: EventLayout, now: Timestamp
    ) throws(FrameError) {
        if channel.attempts[index].extras?.override != nil { return self.finishRefused(channel, at: index, now: now) }
        var outputs = channel.attempts[index].extras?.emits ?? []
        // Mostly all there is: it needs no array of its own.
        var reply: LogBatch.Append?
        if case .delivery(let delivery) = channel.attempts[index].work, let trigger = channel.attempts[index].trigger {
            if trigger.invocations == nil, let reply = ReplyStatus(of: layout, in: block, now: now), !reply.isSuccess {
                return self.finish(channel, at: index, reply.outcome, reply.failure, now: now)
            }
            let source = channel.attempts[index].source
            let writesOutputs = trigger.replay?.writesOutputs ?? true
            if !writesOutputs { outputs = [] }
            if let topic = trigger.trigger.replyTo, writesOutputs, !OutputRecord.isNothing(layout) {
                if block.count > Limits.eventBytes, self.claims(block, channel, index, for: topic) { return }
                do {
                    let record = try OutputRecord.reply(
                        block, layout: layout, template: trigger.template, partition: delivery.partition,
                        offset: delivery.offset, source: source)
                    reply = LogBatch.Append(topic: topic, block: record, outputs: trigger.trigger.outputs)
                    self.statistics.replies += 1
                } catch {
                    self.refuse(channel, index, self.replyTooLarge(try error.tooLargeBytes()))
                    return self.finishRefused(channel, at: index, now: now)
                }
            }
            if trigger.invocations != nil {
                guard
                    let record = try self.succeededRecord(
                        delivery, trigger, channel.attempts[index], on: channel, block, now: now)
                else {
                    self.refuse(channel, index, self.resultTooLarge(block.count))
                    return self.finishRefused(channel, at: index, now: now)
                }
                if let first = reply.take() { outputs.append(first) }
                outputs.append(record)
            }
            if reply != nil || !outputs.isEmpty, let source, source.hops >= Limits.hops {
                self.refuse(
                    channel, index,
                    Failure(
                        .hopsExceeded,
                        "the event has passed through \(source.hops) functions; at most \(Limits.hops) are allowed"))
                return self.finishRefused(channel, at: index, now: now)
            }
        }
        let attempt = self.close(channel, at: index, now: now)
        let verdict = self.engine.outcome(StreamID(rawValue: attempt.stream), .succeeded, now: now)
        self.statistics.succeeded += 1
        let timing = self.concluded(attempt, on: channel, verdict, now: now)
        switch verdict {
        case .publish(let delivery, _):
            if let reply, outputs.isEmpty {
                self.publish(delivery, CollectionOfOne(reply), now: now)
            } else {
                if let reply { outputs.append(reply) }
                self.publish(delivery, outputs, now: now)
            }
        case .answer(let request):
            self.answer(request, block, emits: outputs, timing)
        default:
            self.perform(verdict, failure: nil)
        }
    }

    /// An attempt ends with questions: its handler is invoked anew once they are answered. What it emitted so far it emits again then.
    func asked(_ channel: WorkerChannel, at index: Int, _ questions: UnsafeRawBufferPointer, now: Timestamp) {
        if channel.attempts[index].extras?.override != nil { return self.finishRefused(channel, at: index, now: now) }
        // Before they are kept anywhere, as lines are.
        guard let questions = channel.masks.apply(json: Array(questions)) else {
            let failure = Failure(.functionFailed, "The question holds a secret of its function and is not asked.")
            return self.finish(channel, at: index, .rejected(failure), failure, now: now)
        }
        guard case .request(let request) = channel.attempts[index].work else {
            return self.askedOfInvocation(channel, at: index, questions, now: now)
        }
        let attempt = self.close(channel, at: index, now: now)
        let verdict = self.engine.outcome(StreamID(rawValue: attempt.stream), .succeeded, now: now)
        self.statistics.succeeded += 1
        let timing = self.concluded(attempt, on: channel, verdict, now: now)
        guard case .answer = verdict else { return self.perform(verdict, failure: nil) }
        guard let pending = self.requests.removeValue(forKey: request) else { return }
        pending.sink.onTiming(timing)
        questions.withUnsafeBytes { pending.sink.onQuestions($0) }
    }

    private func replyTooLarge(_ bytes: Int) -> Failure {
        Failure(
            .resultTooLarge,
            "the result has \(bytes) bytes; an event on a topic has at most \(Limits.eventBytes): "
                + "store it elsewhere and return its address"
        )
    }

    private func resultTooLarge(_ bytes: Int) -> Failure {
        Failure(
            .resultTooLarge,
            "the result has \(bytes) bytes; of an asynchronous invocation at most \(Limits.eventBytes) are kept: "
                + "store it elsewhere and return its address"
        )
    }

    /// The last part of a streamed answer came.
    func streamEnded(_ channel: WorkerChannel, at index: Int, now: Timestamp) {
        let attempt = self.close(channel, at: index, now: now)
        let verdict = self.engine.outcome(StreamID(rawValue: attempt.stream), .succeeded, now: now)
        self.statistics.succeeded += 1
        _ = self.concluded(attempt, on: channel, verdict, now: now)
        guard case .answer(let request) = verdict else { return self.perform(verdict, failure: nil) }
        self.answerEnd(request, emits: attempt.extras?.emits ?? [])
    }

    /// The attempt is over, and what was noted against it is its outcome.
    func finishRefused(_ channel: WorkerChannel, at index: Int, now: Timestamp) {
        let failure =
            channel.attempts[index].extras?.override ?? Failure(.internal, "an attempt was refused without a reason")
        self.finish(channel, at: index, .rejected(failure), failure, now: now)
    }

    func receivedError(
        _ payload: UnsafeRawBufferPointer, from channel: WorkerChannel, at index: Int, now: Timestamp
    ) throws(FrameError) {
        let error = try ErrorPayload(parsing: payload.bytes)
        guard channel.attempts[index].extras?.openEmit == nil else { throw .unexpected(.error) }
        if channel.attempts[index].extras?.override != nil { return self.finishRefused(channel, at: index, now: now) }
        let failure = Failure(
            Self.code(of: error), channel.masks.apply(clipped(error.message, to: Limits.Host.messageBytes)),
            detail: channel.masks.apply(clipped(error.detail, to: Limits.Host.detailBytes)))
        let blame: Blame = error.isOfBatch && channel.attempts[index].isItem ? .batch : .event
        switch error.kind {
        case .retryable:
            self.finish(
                channel, at: index, .failed(failure, retryAfter: error.retryAfter), failure, blame: blame, now: now)
        case .permanent, .poison:
            self.finish(channel, at: index, .rejected(failure), failure, blame: blame, now: now)
        }
    }

    /// What a worker may say of its own attempt; any other code of its is the function's failure.
    private static func code(of error: ErrorPayload) -> ErrorCode {
        switch ErrorCode(rawValue: error.code) {
        case .some(let code)
        where [
            .functionFailed, .functionRejected, .resultTooLarge, .invalidEvent, .invalidJSON, .cancelled,
            .notYetSupported,
            .emitRefused, .eventTooLarge,
        ].contains(code):
            code
        default: error.kind == .permanent ? .functionRejected : .functionFailed
        }
    }

    func finish(
        _ channel: WorkerChannel, at index: Int, _ outcome: AttemptOutcome, _ failure: Failure, blame: Blame = .event,
        now: Timestamp
    ) {
        channel.gatherOutput()
        self.log(failure, of: channel.attempts[index], by: channel, now: now)
        let attempt = self.close(channel, at: index, now: now)
        self.statistics.failed += 1
        let verdict = self.engine.outcome(StreamID(rawValue: attempt.stream), outcome, blame: blame, now: now)
        let timing = self.concluded(attempt, on: channel, verdict, failure: failure, now: now)
        if case .answer(let request) = verdict { self.requests[request]?.sink.onTiming(timing) }
        self.perform(verdict, failure: failure)
    }

    func close(_ channel: WorkerChannel, at index: Int, now: Timestamp) -> Attempt {
        channel.gatherOutput()
        let attempt = channel.attempts.remove(at: index)
        self.paused(attempt, on: channel, now: now)
        if channel.attempts.isEmpty { channel.becameIdle(now: now) }
        // Its result is here as a whole, though not where it goes: what the worker says next is of other work.
        self.readAgain(channel, now: now)
        channel.budget.beginAttempt()
        return attempt
    }

    /// An attempt of an accepted invocation is over, whatever follows.
    func paused(_ attempt: Attempt, on channel: WorkerChannel, now: Timestamp) {
        guard let trigger = attempt.trigger, let lane = trigger.invocations, case .delivery(let delivery) = attempt.work
        else { return }
        let timing = self.timing(of: attempt, on: channel, now: now)
        if let begun = lane.begun[delivery.offset], begun.isRunning {
            self.configuration.onInvocationAttempt(trigger.functionName, begun.envelope.principal, timing.running)
        }
        lane.paused(delivery.offset, timing)
    }

    /// Acts on a verdict that needs no result.
    func perform(_ verdict: Verdict, failure: Failure?) {
        switch verdict {
        case .publish(let delivery, _):
            self.publish(delivery, [], now: self.now)
        case .answer(let request):
            let failure = failure ?? Failure(.internal, "an attempt without a result was to be answered")
            self.requests.removeValue(forKey: request)?.sink.onFailure(failure)
        case .retry(_, _, _):
            self.statistics.retried += 1
        case .deadLetter(let delivery, let attempts):
            let failure = failure ?? Failure(.internal, "a delivery was given up without a reason")
            self.lostDeliveries.append(LostDelivery(delivery: delivery, attempts: attempts, failure: failure))
        case .drop(_, _):
            self.statistics.dropped += 1
        case .fed, .ignore:
            break
        }
    }

    /// Outputs of a delivery join the next write. While the log is short of room they wait, and settling goes on
    /// without them.
    private func publish(_ delivery: Delivery, _ outputs: some Collection<LogBatch.Append>, now: Timestamp) {
        let group = self.group(of: delivery)
        if outputs.isEmpty {
            self.engine.written(delivery)
        } else if !self.refusals.isEmpty, self.refuses(delivery, Array(outputs), now: now) {
            return
        } else if self.commits.isShort || self.commits.isFull(group) {
            self.commits[group].hold(delivery, Array(outputs))
            return
        } else {
            self.append(outputs, of: delivery, now: now)
            self.engine.written(delivery)
        }
        self.commits[group].noteOutcome(now: now)
    }

    /// The outputs of a delivery join the next write. Of an accepted invocation they are its terminal state with what it emitted.
    func append(_ outputs: some Collection<LogBatch.Append>, of delivery: Delivery, now: Timestamp) {
        guard let trigger = self.trigger(delivery.trigger), let lane = trigger.invocations else {
            return self.commits[self.group(of: delivery)].append(outputs, of: delivery, now: now)
        }
        self.commits[self.group(of: delivery)].append(
            outputs, now: now, owner: delivery.trigger, endsInvocation: true)
        self.endInvocation(delivery.offset, trigger, lane, now: now)
    }

    // MARK: dead letters

    /// Reads the events of deliveries that were given up and adds them, with the reason, to the next write.
    func appendDeadLetters(now: Timestamp) {
        guard !self.lostDeliveries.isEmpty else { return }
        var lost: [LostDelivery] = []
        swap(&lost, &self.lostDeliveries)
        // What one write cannot hold waits for its end, with its event on the log.
        let waiting = lost.filter { self.commits.isFull(self.group(of: $0.delivery)) }
        if !waiting.isEmpty {
            lost.removeAll { self.commits.isFull(self.group(of: $0.delivery)) }
            self.lostDeliveries = waiting
        }
        if lost.count > Limits.Host.deadLettersPerTurn {
            self.lostDeliveries += lost[Limits.Host.deadLettersPerTurn...]
            lost.removeSubrange(Limits.Host.deadLettersPerTurn...)
            self.requestTurn()
        }
        let known = lost.filter { self.triggers[$0.delivery.trigger] != nil }
        for item in lost where self.triggers[item.delivery.trigger] == nil { self.engine.written(item.delivery) }
        let places = known.compactMap { item in
            self.triggers[item.delivery.trigger]?.place(item.delivery.partition, item.delivery.offset)
        }
        var written = Set<Int>()
        do {
            let missing = try self.log.recordsAtHand(places) { index, block in
                written.insert(index)
                self.appendDeadLetter(known[index], block, now: now)
            }
            if !missing.isEmpty { self.appendAwaited(known, places) }
        } catch {
            self.keep(known.enumerated().filter { !written.contains($0.offset) }.map(\.element), now: now)
        }
    }

    /// The same once the events have been fetched.
    private func appendAwaited(_ lost: [LostDelivery], _ places: [RecordPlace]) {
        self.lostAwaited += lost.count
        self.bring(places) { shard, answer in
            let now = shard.now
            shard.lostAwaited -= lost.count
            switch answer {
            case .failure: shard.keep(lost, now: now)
            case .success(let blocks):
                for (item, block) in zip(lost, blocks) {
                    lend(block) { shard.appendDeadLetter(item, $0, now: now) }
                }
            }
            shard.requestTurn()
        }
    }

    /// The log cannot be read now: nothing is given up without its bytes, so these wait for the next look.
    private func keep(_ lost: [LostDelivery], now: Timestamp) {
        guard !lost.isEmpty else { return }
        self.lostDeliveries += lost
        for group in Set(lost.map { self.group(of: $0.delivery) }) { self.commits[group].retryLater(now: now) }
    }

    private func appendDeadLetter(
        _ lost: LostDelivery, _ block: UnsafeRawBufferPointer?, now: Timestamp
    ) {
        // Its trigger may have gone while the event was fetched.
        guard let trigger = self.triggers[lost.delivery.trigger] else { return self.engine.written(lost.delivery) }
        if let lane = trigger.invocations {
            return self.appendFailedInvocation(lost, trigger, lane, block, now: now)
        }
        // What the log found wrong with it says more than that something was.
        let failure = block.map { EventBlock.isInvalid($0) ? InvalidEvent.failure($0) : lost.failure } ?? lost.failure
        let reason = DeadLetterReason(
            topic: trigger.trigger.topic, partition: lost.delivery.partition, offset: lost.delivery.offset,
            attempts: lost.attempts,
            failure: failure, function: trigger.functionName, trigger: trigger.trigger.name, time: now,
            revision: trigger.revision)
        let record = DeadLetterRecord.build(block, reason: reason)
        // There once, and its event is settled with it.
        let letter = LogBatch.Append(topic: trigger.trigger.deadLetter, block: record)
        self.commits[self.group(of: lost.delivery)].append([letter], of: lost.delivery, now: now)
        self.statistics.deadLettered += 1
        self.unwrittenDeadLetters.insert(trigger.trigger.id)
        self.activities[trigger.function]?.deadLettered()
        self.engine.written(lost.delivery)
        if !self.openTraces.isEmpty, var trace = self.openTraces.removeValue(forKey: lost.delivery) {
            trace.failure = lost.failure
            self.settlements.append(
                Settlement(group: self.group(of: lost.delivery), outcomeAt: now, trace: trace, note: nil))
        }
    }
}
