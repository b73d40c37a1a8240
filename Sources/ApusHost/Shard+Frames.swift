internal import ApusCore
internal import ApusEngine

extension Shard {
    /// The loop says that a worker wrote.
    func readable(_ channel: WorkerChannel) {
        let now = self.now
        self.turnTime = now
        do {
            switch try channel.receive(now: now) {
            case .open: break
            case .closed: self.hungUp(channel)
            }
        } catch {
            self.violated(channel, error)
        }
    }

    /// Handles one frame of a worker.
    /// - Throws: when the frame breaks the protocol; the worker then dies of it.
    func received(
        _ header: FrameHeader, _ payload: UnsafeRawBufferPointer, from channel: WorkerChannel, now: Timestamp
    ) throws(FrameError) {
        self.statistics.bytesFromWorkers += UInt64(FrameHeader.byteCount + payload.count)
        switch try channel.machine.receive(header, payload.bytes, inFlight: channel.attempts.count) {
        case .work:
            try self.receivedWork(header, payload, from: channel, now: now)
        case .nothing:
            break
        case .initialize:
            channel.greetedAt = now
            if let instance = channel.instance {
                channel.isHeld = true
                self.configuration.pool?(.report(instance, .forked))
            } else {
                self.initialize(channel)
            }
        case .slept: self.slept(channel, now: now)
        case .woken: self.woken(channel, now: now)
        case .ready(let canSleep):
            self.pooledReady(channel, canSleep: canSleep)
            self.gatherDenials(of: channel, now: now)
            channel.hasBeenReady = true
            channel.readyAt = now
            channel.activity.started(in: now - channel.startedAt)
            self.noteReady(channel, now: now)
            self.statistics.launching.record(channel.greetedAt - channel.startedAt)
            self.statistics.loading.record(now - channel.greetedAt)
            channel.becameIdle(now: now)
            self.engine.workerReady(channel.worker, now: now)
            if self.isCurrent(channel) {
                self.configuration.onReady(channel.function.function.name, now - channel.startedAt)
            }
        case .credit(let count):
            self.engine.credit(channel.worker, count, now: now)
        case .loadFailed(let error):
            self.end(
                channel,
                Failure(
                    .startFailed, channel.masks.apply(clipped(error.message, to: Limits.Host.messageBytes)),
                    detail: channel.masks.apply(clipped(error.detail, to: Limits.Host.detailBytes))))
        case .left:
            channel.stateSince = now
        }
    }

    func initialize(_ channel: WorkerChannel) {
        self.sendSecrets(to: channel)
        channel.send(.initialize, payload: channel.function.function.initialization)
        self.mustFlush(channel)
    }

    private func receivedWork(
        _ header: FrameHeader, _ payload: UnsafeRawBufferPointer, from channel: WorkerChannel, now: Timestamp
    ) throws(FrameError) {
        if header.type == .log {
            let log = try LogPayload(parsing: payload.bytes)
            let index = channel.attempts.index(of: header.stream)
            if let index, log.level == .stderr { channel.extras(at: index).hasLoggedErrors = true }
            let attempt = index.map { channel.attempts[$0] }
            self.logged(Array(log.text.utf8), isCut: false, level: log.level, by: channel, attempt, now: now)
            if case .request(let request) = attempt?.work, log.level != .stdout, log.level != .stderr {
                self.requests[request]?.sink.onLog(
                    log.level, String(decoding: channel.masks.apply(Array(log.text.utf8)), as: UTF8.self))
            }
            return
        }
        guard let index = channel.attempts.index(of: header.stream) else { throw .unexpected(header.type) }
        // Before any outcome is made of the frame.
        self.gatherDenials(of: channel, now: now)
        switch header.type {
        case .result:
            guard !channel.attempts[index].isItem else { throw .unexpected(.result) }
            try self.receivedResult(header, payload, from: channel, at: index, now: now)
        case .itemResult:
            guard channel.attempts[index].isItem else { throw .unexpected(.itemResult) }
            if header.flags.contains(.failed) {
                try self.receivedError(payload, from: channel, at: index, now: now)
            } else {
                try self.receivedResult(header, payload, from: channel, at: index, now: now)
            }
        case .error:
            guard !channel.attempts[index].isItem else { throw .unexpected(.error) }
            try self.receivedError(payload, from: channel, at: index, now: now)
        case .data:
            try self.receivedData(header, payload, from: channel, at: index, now: now)
        case .emit:
            try self.receivedEmit(header, payload, from: channel, at: index)
        case .progress:
            var progress = try ProgressPayload(parsing: payload.bytes)
            progress.message = channel.masks.apply(progress.message)
            switch channel.attempts[index].work {
            case .request(let request): self.requests[request]?.sink.onProgress(progress)
            case .delivery(let delivery):
                channel.attempts[index].trigger?.invocations?.progressed(delivery.offset, progress)
            case .tableRecord: break
            }
        case .call: try self.called(channel, at: index, payload)
        case .inputRequest:
            let open = channel.attempts[index].extras?.open ?? AttemptExtras.Open.none
            guard !channel.attempts[index].isItem, open == AttemptExtras.Open.none,
                channel.attempts[index].extras?.openEmit == nil
            else { throw .unexpected(.inputRequest) }
            self.asked(channel, at: index, payload, now: now)
        default:
            throw .unexpected(header.type)
        }
    }

    /// Whatever the attempt still says, this is its outcome.
    func refuse(_ channel: WorkerChannel, _ index: Int, _ failure: Failure) {
        let extras = channel.extras(at: index)
        if extras.override == nil { extras.override = failure }
    }

    // MARK: results

    private func receivedResult(
        _ header: FrameHeader, _ payload: UnsafeRawBufferPointer, from channel: WorkerChannel, at index: Int,
        now: Timestamp
    ) throws(FrameError) {
        let open = channel.attempts[index].extras?.open ?? .none
        guard open == .none, channel.attempts[index].extras?.openEmit == nil else { throw .unexpected(header.type) }
        if header.flags.isEmpty {
            let layout = try EventLayout(parsing: payload.bytes)
            guard layout.data.count == layout.dataCount else { throw .truncated }
            try self.succeeded(channel, at: index, payload, layout, now: now)
            return
        }
        guard payload.count >= EventBlock.headBytes else { throw .truncated }
        let extras = channel.extras(at: index)
        if header.flags.contains(.stream) {
            try self.beginStream(payload, channel, index, extras)
            extras.open = .parts
            if !header.flags.contains(.more) { try self.endStream(channel, at: index, extras, now: now) }
            return
        }
        let announced = Int(payload.bytes.littleEndian(at: 16, as: UInt32.self))
        if header.type == .result, try self.beganLarge(payload, announced, channel, index, extras) { return }
        try self.gather(payload, announced, channel, index, extras)
    }

    /// A result that is put together here, from a block whose data goes on.
    func gather(
        _ payload: UnsafeRawBufferPointer, _ announced: Int, _ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras
    ) throws(FrameError) {
        if announced > Limits.resultBytes {
            self.refuse(channel, index, self.tooLarge(announced))
            extras.open = .refused
            return
        }
        let layout = try EventLayout(parsing: payload.bytes)
        extras.expectedBytes = layout.data.lowerBound + layout.dataCount
        extras.result = Array(payload)
        extras.open = .result
    }

    private func tooLarge(_ bytes: Int) -> Failure {
        Failure(
            .resultTooLarge,
            "the result has \(bytes) bytes; at most \(Limits.resultBytes) are allowed: "
                + "store it elsewhere and return its address"
        )
    }

    private func beginStream(
        _ payload: UnsafeRawBufferPointer, _ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras
    ) throws(FrameError) {
        let layout = try EventLayout(parsing: payload.bytes)
        guard layout.data.count == layout.dataCount, layout.dataCount == 0, !layout.isNull else { throw .malformed }
        if case .request(let request) = channel.attempts[index].work {
            if let sink = self.requests[request]?.sink {
                sink.onTiming(self.timing(of: channel.attempts[index], on: channel, now: self.turnTime ?? self.now))
                if sink.takesParts != nil {
                    let flow = self.flow(from: channel)
                    extras.flow = flow
                    sink.onFlow(flow)
                }
                sink.onStart(payload)
            }
        } else {
            extras.result = Array(payload)
            extras.isLines = channel.attempts[index].trigger?.invocations != nil && Self.isJSON(payload)
        }
    }

    /// Whether a result says that it is JSON.
    private static func isJSON(_ block: UnsafeRawBufferPointer) -> Bool {
        guard let type = (try? EventBlock.decode(block.bytes))?["datacontenttype"] else { return false }
        let name = (type.split(separator: ";").first ?? "").filter { $0 != " " }.lowercased()
        return name == "application/json" || name.hasSuffix("+json")
    }

    private func receivedData(
        _ header: FrameHeader, _ payload: UnsafeRawBufferPointer, from channel: WorkerChannel, at index: Int,
        now: Timestamp
    ) throws(FrameError) {
        guard let extras = channel.attempts[index].extras else { throw .unexpected(.data) }
        let isLast = !header.flags.contains(.more)
        if extras.openEmit != nil {
            try self.continueEmit(payload, isLast: isLast, channel, index, extras)
            return
        }
        try self.receivedData(payload, isLast: isLast, from: channel, at: index, extras, now: now)
    }

    func receivedData(
        _ payload: UnsafeRawBufferPointer, isLast: Bool, from channel: WorkerChannel, at index: Int, _ extras: AttemptExtras,
        now: Timestamp
    ) throws(FrameError) {
        switch extras.open {
        case .none, .claiming, .claimed:
            throw .unexpected(.data)
        case .refused:
            if isLast { self.finishRefused(channel, at: index, now: now) }
        case .result:
            guard extras.result.count + payload.count <= extras.expectedBytes else { throw .malformed }
            extras.result.append(contentsOf: payload)
            guard isLast else { return }
            guard extras.result.count == extras.expectedBytes else { throw .truncated }
            try self.finishGathered(channel, at: index, extras.result, now: now)
        case .large:
            try self.continueLarge(payload, isLast: isLast, channel, index, extras, now: now)
        case .parts:
            try self.receivedPart(payload, isLast: isLast, channel, index, extras, now: now)
        }
    }

    private func receivedPart(
        _ payload: UnsafeRawBufferPointer, isLast: Bool, _ channel: WorkerChannel, _ index: Int,
        _ extras: AttemptExtras,
        now: Timestamp
    ) throws(FrameError) {
        extras.partBytes += payload.count
        if extras.partBytes > (extras.flow == nil ? Limits.resultBytes : Limits.largeResultBytes) {
            // Nobody wants the rest: a stream without an end stops here instead of at its timeout.
            if extras.override == nil, !isLast {
                channel.send(.cancel, stream: channel.attempts[index].stream)
                self.mustFlush(channel)
            }
            self.refuse(channel, index, self.tooLarge(extras.partBytes))
        } else if case .request(let request) = channel.attempts[index].work {
            if !payload.isEmpty, let sink = self.requests[request]?.sink {
                if let flow = extras.flow { self.pass(payload, to: sink, flow, channel) } else { sink.onPart(payload) }
            }
        } else {
            extras.result.append(contentsOf: payload)
            if extras.isLines, !payload.isEmpty {
                extras.result.append(0x0A)
                extras.partBytes += 1
            }
        }
        if isLast { try self.endStream(channel, at: index, extras, now: now) }
    }

    func endStream(_ channel: WorkerChannel, at index: Int, _ extras: AttemptExtras, now: Timestamp)
        throws(FrameError)
    {
        if extras.override != nil { return self.finishRefused(channel, at: index, now: now) }
        if case .request = channel.attempts[index].work { return self.streamEnded(channel, at: index, now: now) }
        let count = UInt32(extras.partBytes).littleEndian
        extras.result.withUnsafeMutableBytes { $0.storeBytes(of: count, toByteOffset: 16, as: UInt32.self) }
        try self.finishGathered(channel, at: index, extras.result, now: now)
    }

    private func finishGathered(_ channel: WorkerChannel, at index: Int, _ block: [UInt8], now: Timestamp)
        throws(FrameError)
    {
        let layout = try EventLayout(parsing: block.span.bytes)
        try lend(block) { bytes throws(FrameError) in
            try self.succeeded(channel, at: index, bytes, layout, now: now)
        }
    }

    // MARK: emits

    private func receivedEmit(
        _ header: FrameHeader, _ payload: UnsafeRawBufferPointer, from channel: WorkerChannel, at index: Int
    ) throws(FrameError) {
        let extras = channel.extras(at: index)
        guard extras.openEmit == nil, extras.open == .none || extras.open == .parts else { throw .unexpected(.emit) }
        let layout = try EmitLayout(parsing: payload.bytes)
        let block = UnsafeRawBufferPointer(rebasing: payload[layout.block])
        guard block.count >= EventBlock.headBytes else { throw .truncated }
        extras.emitCount += 1
        let name = String(decoding: payload[layout.topic], as: UTF8.self)
        let topic = channel.function.function.emits[name]
        if topic == nil {
            let known = channel.function.function.emits.keys.sorted().joined(separator: ", ")
            self.refuse(
                channel, index,
                Failure(
                    .emitRefused,
                    "the function may not emit to '\(name)'; "
                        + "its manifest's emits allow: \(known.isEmpty ? "none" : known)"
                ))
        } else if extras.emitCount > Limits.Host.emitsPerAttempt {
            self.refuse(
                channel, index,
                Failure(.emitRefused, "one attempt may emit at most \(Limits.Host.emitsPerAttempt) events"))
        }
        if header.flags.contains(.more) {
            let announced = Int(block.bytes.littleEndian(at: 16, as: UInt32.self))
            if announced > Limits.eventBytes {
                self.refuse(
                    channel, index,
                    Failure(
                        .eventTooLarge,
                        "an emitted event has \(announced) bytes; at most \(Limits.eventBytes) are allowed"))
                extras.openEmit = AttemptExtras.OpenEmit(topic: nil, block: [], expectedBytes: 0)
                return
            }
            let event = try EventLayout(parsing: block.bytes)
            extras.openEmit = AttemptExtras.OpenEmit(
                topic: extras.override == nil ? topic : nil, block: Array(block),
                expectedBytes: event.data.lowerBound + event.dataCount)
            return
        }
        if let topic { try self.emit(block, to: topic, channel, index, extras) }
    }

    private func continueEmit(
        _ payload: UnsafeRawBufferPointer, isLast: Bool, _ channel: WorkerChannel, _ index: Int, _ extras: AttemptExtras
    ) throws(FrameError) {
        guard var open = extras.openEmit else { return }
        if open.expectedBytes > 0 {
            guard open.block.count + payload.count <= open.expectedBytes else { throw .malformed }
            extras.openEmit = nil
            open.block.append(contentsOf: payload)
        }
        extras.openEmit = isLast ? nil : open
        guard isLast, let topic = open.topic else { return }
        guard open.block.count == open.expectedBytes else { throw .truncated }
        try lend(open.block) { bytes throws(FrameError) in
            try self.emit(bytes, to: topic, channel, index, extras)
        }
    }

    /// Makes an emitted event a record that waits for its attempt's success.
    private func emit(
        _ block: UnsafeRawBufferPointer, to topic: TopicName, _ channel: WorkerChannel, _ index: Int,
        _ extras: AttemptExtras
    ) throws(FrameError) {
        guard extras.override == nil else { return }
        let attempt = channel.attempts[index]
        let layout = try EventLayout(parsing: block.bytes)
        guard layout.data.count == layout.dataCount else { throw .truncated }
        extras.emitBytes += block.count
        guard extras.emitBytes <= Limits.Host.emitBytesPerAttempt else {
            self.refuse(
                channel, index,
                Failure(.emitRefused, "one attempt may emit at most \(Limits.Host.emitBytesPerAttempt) bytes"))
            return
        }
        let template = attempt.trigger?.template ?? channel.function.template
        do {
            let record = try OutputRecord.build(
                block, layout: layout, template: template,
                id: self.emittedID(attempt, template, count: extras.emitCount), key: nil,
                source: attempt.source)
            extras.emits.append(
                LogBatch.Append(
                    topic: topic, block: record, outputs: attempt.trigger?.trigger.outputs ?? .transaction))
        } catch {
            let bytes = try error.tooLargeBytes()
            self.refuse(
                channel, index,
                Failure(.eventTooLarge, "an emitted event has \(bytes) bytes; at most \(Limits.eventBytes) are allowed")
            )
        }
    }

    /// The place of the source event and a number of its own.
    private func emittedID(_ attempt: Attempt, _ template: OutputTemplate, count: Int) -> [UInt8] {
        var id =
            switch attempt.work {
            case .delivery(let delivery), .tableRecord(let delivery):
                template.id(partition: delivery.partition, offset: delivery.offset)
            case .request: template.id(self.invocation(of: attempt.work))
            }
        id.append(UInt8(ascii: ":"))
        appendDecimal(count, to: &id)
        return id
    }
}

/// Lends an array's bytes to code that throws what frames throw.
func lend(_ bytes: [UInt8], _ body: (UnsafeRawBufferPointer) throws(FrameError) -> Void) throws(FrameError) {
    let result = bytes.withUnsafeBytes { bytes -> Result<Void, FrameError> in
        do throws(FrameError) { return .success(try body(bytes)) } catch { return .failure(error) }
    }
    try result.get()
}

extension WorkerChannel {
    /// What an attempt gathers, made when it is first needed.
    func extras(at index: Int) -> AttemptExtras {
        if let extras = self.attempts[index].extras { return extras }
        let extras = AttemptExtras()
        self.attempts[index].extras = extras
        return extras
    }
}
