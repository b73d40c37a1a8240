internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// An event whose data is brought before its worker gets it.
struct ClaimedDispatch: Sendable {
    var dispatch: Dispatch
    /// As the log has it: without the data.
    var block: [UInt8]
    var reference: BlobReference
    /// Where the data was written for.
    var topic: TopicName
    /// One of a batch.
    var isItem: Bool
}

/// Data on its way from the log to workers, within a bound.
struct ClaimedDispatches {
    private(set) var waiting = Deque<ClaimedDispatch>()
    /// Of what is being brought.
    private(set) var bytes = 0

    mutating func add(_ claimed: ClaimedDispatch) { self.waiting.append(claimed) }

    /// The next one to bring; nil while what is under way takes all the room. One comes always, however large.
    mutating func next() -> ClaimedDispatch? {
        guard let first = self.waiting.first,
            self.bytes == 0 || self.bytes + first.reference.size <= Limits.Host.claimedBytes
        else { return nil }
        self.bytes += first.reference.size
        return self.waiting.popFirst()
    }

    mutating func brought(_ claimed: ClaimedDispatch) { self.bytes -= claimed.reference.size }
}

extension Shard {
    // MARK: from the log to a worker

    /// Has the data of an event brought that its record only refers to.
    /// - Returns: false for an event whose data is in its record.
    func bringsData(_ item: QueuedDispatch, _ block: UnsafeRawBufferPointer, isItem: Bool) -> Bool {
        guard let trigger = item.trigger, trigger.invocations == nil, self.configuration.blobs != nil,
            let reference = BlobReference(block)
        else { return false }
        self.claimed.add(
            ClaimedDispatch(
                dispatch: item.dispatch, block: Array(block), reference: reference,
                topic: Self.origin(block) ?? trigger.trigger.topic, isItem: isItem))
        return true
    }

    /// A dead letter's data lies where its event came from.
    private static func origin(_ block: UnsafeRawBufferPointer) -> TopicName? {
        guard let event = try? EventBlock.decode(block.bytes) else { return nil }
        let header = event.attributes.first { $0.kind == .header && $0.name == DeadLetterHeader.topic }
        return header.flatMap { TopicName(onLog: String(decoding: $0.value, as: UTF8.self)) }
    }

    func bringClaimed() {
        while let blobs = self.configuration.blobs, let next = self.claimed.next() {
            let work = { @Sendable () -> Result<[UInt8], ApusError> in
                do throws(ApusError) { return .success(try blobs.data(next.reference, of: next.topic)) } catch {
                    return .failure(error)
                }
            }
            guard let readAhead = self.configuration.readAhead else {
                self.brought(next, work())
                continue
            }
            let isTaken = readAhead { [loop = self.loop, weak self] in
                let result = work()
                loop.post { [weak self] in
                    guard let self, !self.isClosed else { return }
                    self.brought(next, result)
                    self.bringClaimed()
                    self.requestTurn()
                }
            }
            if !isTaken {
                self.brought(next, .failure(ApusError(.overloaded, "too many reads of the log wait")))
            }
        }
    }

    private func brought(_ claimed: ClaimedDispatch, _ result: Result<[UInt8], ApusError>) {
        self.claimed.brought(claimed)
        let now = self.now
        // Its worker may be gone: the event goes to another.
        guard let item = self.resolve(claimed.dispatch, now: now) else { return }
        do throws(ApusError) {
            let data = try result.get()
            guard let event = try? EventBlock.decode(claimed.block.span.bytes) else {
                throw ApusError(.logDamaged, "a record that refers to its data cannot be read")
            }
            EventBlock.encode(BlobReference.whole(event, data)).withUnsafeBytes {
                self.dispatchWhole(item, $0, isItem: claimed.isItem, now: now)
            }
        } catch {
            let failure = Failure(error.code, "the event's data could not be read from the log: \(error.message)")
            let outcome =
                error.code == .recordExpired
                ? AttemptOutcome.rejected(failure) : AttemptOutcome.failed(failure, retryAfter: nil)
            self.perform(self.engine.outcome(claimed.dispatch.stream, outcome, now: now), failure: failure)
        }
    }

    // MARK: from a worker to the log

    /// Writes the data of a reply that is too large for a record before the reply, which then refers to it.
    /// - Returns: false when the reply cannot refer to it: to a compacted topic, which may keep a record for ever.
    func claims(_ block: UnsafeRawBufferPointer, _ channel: WorkerChannel, _ index: Int, for topic: TopicName) -> Bool {
        guard let blobs = self.configuration.blobs, let readAhead = self.configuration.readAhead,
            self.log.topic(topic)?.isCompacted == false
        else { return false }
        let extras = channel.extras(at: index)
        guard extras.open != .claimed else { return false }
        extras.open = .claiming
        let (bytes, worker, stream) = (Array(block), channel.worker, channel.attempts[index].stream)
        let work = { @Sendable [loop = self.loop, weak self] in
            blobs.claim(bytes, for: topic) { [weak self] result in
                loop.post { [weak self] in
                    guard let self, !self.isClosed else { return }
                    self.claimed(worker, stream, result)
                    self.requestTurn()
                }
            }
        }
        // Hashing here is better than a reply that is lost because the reader has much to do.
        if !readAhead(work) { work() }
        return true
    }

    private func claimed(_ worker: WorkerID, _ stream: UInt64, _ result: Result<[UInt8], ApusError>) {
        // The worker may be gone, and its attempts with it.
        guard let channel = self.channels[worker], let index = channel.attempts.index(of: stream),
            channel.extras(at: index).open == .claiming
        else { return }
        channel.extras(at: index).open = .claimed
        let now = self.now
        switch result {
        case .failure(let error):
            self.refuse(channel, index, Failure(error.code, "the result could not be kept: \(error.message)"))
            self.finishRefused(channel, at: index, now: now)
        case .success(let block):
            do throws(FrameError) {
                let layout = try EventLayout(parsing: block.span.bytes)
                try lend(block) { bytes throws(FrameError) in
                    try self.succeeded(channel, at: index, bytes, layout, now: now)
                }
            } catch { self.violated(channel, error) }
        }
    }
}
