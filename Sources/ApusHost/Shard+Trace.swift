internal import ApusCore
internal import ApusEngine
internal import ApusTelemetry

/// Spans of traces that are recorded: delivery, attempts, the start of a worker, commit.
extension Shard {
    /// Places an attempt in its event's trace. Only for events that are marked as sampled.
    /// - Returns: the event as its worker gets it.
    func traced(_ item: QueuedDispatch, _ block: UnsafeRawBufferPointer, now: Timestamp) -> [UInt8] {
        guard self.configuration.tracer != nil, !(item.trigger?.isTable ?? false), let event = EventTrace(block),
            event.context.isSampled, let parent = self.parent(of: item, event, Self.appendedAt(block), now: now),
            let index = item.channel.attempts.index(of: item.dispatch.stream.rawValue)
        else { return EventTrace.rewritten(block, nil, isMarked: false) }
        let context = TraceContext(trace: event.context.trace, span: .random(), isSampled: true)
        item.channel.extras(at: index).trace = AttemptTrace(context: context, parent: parent, state: event.state)
        item.channel.attempts[index].source?.hop(context.bytes)
        return EventTrace.rewritten(block, context, isMarked: false)
    }

    /// A delivery has a span of its own above its attempts; a direct invocation's is its caller's.
    private func parent(of item: QueuedDispatch, _ event: EventTrace, _ arrivedAt: Timestamp, now: Timestamp) -> SpanID?
    {
        guard case .delivery(let delivery) = item.dispatch.work, let trigger = item.trigger else {
            return event.context.span
        }
        if let known = self.openTraces[delivery] {
            self.openTraces[delivery]?.attempts += 1
            return known.span
        }
        guard self.openTraces.count < Limits.Host.openTraces else {
            self.statistics.tracesDropped += 1
            return nil
        }
        let span = DeliveryTrace.span(of: trigger.invocation(partition: item.partition, offset: item.offset))
        self.openTraces[delivery] = DeliveryTrace(
            trigger: trigger, delivery: delivery, trace: event.context.trace, parent: event.context.span, span: span,
            state: event.state, arrivedAt: arrivedAt,
            firstDispatchAt: now, attempts: 1)
        return span
    }

    /// The attempts of one batch are shown together: all but the first link to it.
    func linkBatch(_ items: [QueuedDispatch], on channel: WorkerChannel) {
        guard self.configuration.tracer != nil else { return }
        var first: TraceContext?
        for item in items {
            guard let index = channel.attempts.index(of: item.dispatch.stream.rawValue),
                let trace = channel.attempts[index].extras?.trace
            else { continue }
            let context = first ?? trace.context
            first = context
            trace.batch = (context, items.count)
        }
    }

    // MARK: spans

    /// The span of an attempt that is over, and that of the start it waited for.
    func trace(
        _ trace: AttemptTrace, of attempt: Attempt, on channel: WorkerChannel, _ timing: AttemptTiming,
        _ failure: Failure?, now: Timestamp
    ) {
        guard let tracer = self.configuration.tracer else { return }
        let function = channel.function.function
        if case .delivery(let delivery) = attempt.work, failure != nil { self.openTraces[delivery]?.failure = failure }
        if timing.startTier == .cold, !channel.isStartTraced {
            channel.isStartTraced = true
            tracer.record(self.start(of: channel, trace))
        }
        var span = Span(
            "attempt \(function.name.name)", .client, trace.context, parent: trace.parent, state: trace.state,
            start: attempt.dispatchedAt, end: now,
            attributes: Self.attributes(of: function) + [
                Span.Attribute("faas.invocation_id", self.invocation(of: attempt).description),
                Span.Attribute("faas.coldstart", timing.startTier == .cold),
                Span.Attribute("faas.trigger", attempt.trigger == nil ? "http" : "pubsub"),
                Span.Attribute("apus.attempt", max(1, attempt.number)),
                Span.Attribute("apus.worker", Int(truncatingIfNeeded: channel.worker.rawValue)),
                Span.Attribute("apus.start_tier", timing.startTier.rawValue),
                Span.Attribute("apus.queued_us", Int(timing.queued.microseconds)),
                Span.Attribute("apus.starting_us", Int(timing.starting.microseconds)),
            ])
        if let batch = trace.batch {
            span.attributes.append(Span.Attribute("messaging.batch.message_count", batch.count))
            if batch.first != trace.context { span.links = [batch.first] }
        }
        if let failure { span.fail(failure) }
        tracer.record(span)
    }

    private func start(of channel: WorkerChannel, _ trace: AttemptTrace) -> Span {
        let function = channel.function.function
        var span = Span(
            "start \(function.name.name)", .internal,
            TraceContext(trace: trace.context.trace, span: .random(), isSampled: true),
            parent: trace.parent, state: trace.state, start: channel.startedAt, end: channel.readyAt,
            attributes: Self.attributes(of: function) + [
                Span.Attribute("apus.worker", Int(truncatingIfNeeded: channel.worker.rawValue)),
                Span.Attribute("apus.runtime", channel.machine.runtime),
            ])
        span.moments = [Span.Moment("launched", channel.launchedAt), Span.Moment("greeted", channel.greetedAt)]
        return span
    }

    private static func attributes(of function: HostFunction) -> [Span.Attribute] {
        [
            Span.Attribute("faas.name", function.name.name), Span.Attribute("faas.version", function.revision),
            Span.Attribute("apus.namespace", function.name.namespace.name),
        ]
    }

    /// The delivery was given up, or its event is gone.
    func finishTrace(of delivery: Delivery, _ failure: Failure?, at now: Timestamp) {
        guard !self.openTraces.isEmpty, var trace = self.openTraces.removeValue(forKey: delivery) else { return }
        if let failure { trace.failure = failure }
        self.record(trace, end: now)
    }

    func recordCommit(_ trace: DeliveryTrace, from start: Timestamp, to end: Timestamp) {
        let context = TraceContext(trace: trace.trace, span: .random(), isSampled: true)
        self.configuration.tracer?.record(
            Span("commit", .internal, context, parent: trace.span, state: trace.state, start: start, end: end))
    }

    func record(_ trace: DeliveryTrace, end: Timestamp) {
        let (trigger, function) = (trace.trigger.trigger, trace.trigger.functionName)
        var span = Span(
            "process \(trigger.topic)", .consumer, trace.context, parent: trace.parent, state: trace.state,
            start: trace.arrivedAt, end: end,
            attributes: [
                Span.Attribute("messaging.system", "apus"),
                Span.Attribute("messaging.operation.type", "process"),
                Span.Attribute("messaging.operation.name", "deliver"),
                Span.Attribute("messaging.destination.name", trigger.topic.onLog),
                Span.Attribute("messaging.destination.partition.id", "\(trace.delivery.partition)"),
                Span.Attribute("apus.offset", Int(trace.delivery.offset)),
                Span.Attribute(
                    "messaging.consumer.group.name", "apus.\(function.namespace).\(function.name).\(trigger.name)"),
                Span.Attribute("apus.attempts", trace.attempts),
                Span.Attribute("apus.queued_us", Int((trace.firstDispatchAt - trace.arrivedAt).microseconds)),
            ])
        span.moments = [Span.Moment("dispatched", trace.firstDispatchAt)]
        if let failure = trace.failure { span.fail(failure) }
        self.configuration.tracer?.record(span)
    }

    /// A trigger went away with what it had under way.
    func forgetTraces(of trigger: TriggerID) {
        guard !self.openTraces.isEmpty else { return }
        self.openTraces = self.openTraces.filter { $0.key.trigger != trigger }
    }
}

extension Span {
    mutating func fail(_ failure: Failure) {
        self.failure = clipped(failure.message, to: Limits.Host.noteBytes)
        self.attributes.append(Span.Attribute("error.type", failure.code.rawValue))
    }
}
