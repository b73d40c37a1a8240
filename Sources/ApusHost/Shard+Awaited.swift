internal import ApusCore
internal import ApusEngine
internal import ApusLoop

/// Records that have to be fetched before they can be lent: the reader's thread waits for them, never the loop.
extension Shard {
    /// Dispatches once their records have come. Meanwhile the attempts are under way as far as the engine knows.
    /// - Parameter isBatch: they go to their worker together.
    func fetchFirst(_ dispatches: [Dispatch], isBatch: Bool, now: Timestamp) {
        let resolved = dispatches.compactMap { dispatch in self.resolve(dispatch, now: now).map { (dispatch, $0) } }
        let dispatches = resolved.map(\.0)
        let places = resolved.map { _, item in item.trigger?.place(item.partition, item.offset) }
        for dispatch in dispatches { self.awaited.insert(dispatch.stream) }
        self.statistics.recordsAwaited += UInt64(dispatches.count)
        self.bring(places) { (shard, answer) in
            shard.arrived(dispatches, answer, isBatch: isBatch)
            shard.requestTurn()
        }
    }

    /// Gives up a dispatch that waits for its record: its worker never saw it.
    /// - Returns: whether it did wait.
    func giveUpAwaited(_ stream: StreamID) -> Bool {
        guard self.awaited.remove(stream) != nil else { return false }
        let failure = Failure(.cancelled, "it was given up before its event had been read")
        let outcome = AttemptOutcome.failed(failure, retryAfter: nil)
        self.perform(self.engine.outcome(stream, outcome, now: self.now), failure: failure)
        return true
    }

    private func arrived(_ dispatches: [Dispatch], _ answer: Result<[[UInt8]?], ApusError>, isBatch: Bool) {
        let now = self.now
        // Others were given up meanwhile.
        let wanted = dispatches.indices.filter { self.awaited.remove(dispatches[$0].stream) != nil }
        switch answer {
        case .failure(let error):
            self.failUnread(wanted.compactMap { self.resolve(dispatches[$0], now: now) }, error, now: now)
        case .success(let blocks):
            if isBatch {
                return self.dispatchBatch(wanted.map { dispatches[$0] }, wanted.map { blocks[$0] }, now: now)
            }
            var settling = DispatchSettling()
            for index in wanted {
                guard let item = self.resolve(dispatches[index], now: now) else { continue }
                lend(blocks[index]) { self.dispatch(item, $0, &settling, now: now) }
            }
            self.settle(settling, now: now)
        }
    }

    /// Copies records on the reader's thread, and comes back with them.
    /// - Parameter completion: called once, on the loop; not when the shard has closed meanwhile.
    func bring(
        _ places: [RecordPlace?], _ completion: @escaping (Shard, Result<[[UInt8]?], ApusError>) -> Void
    ) {
        let reading = RecordReading(log: self.log, places: places)
        guard let readAhead = self.configuration.readAhead else { return completion(self, reading.run()) }
        let completion = OnLoop(run: completion)
        let isTaken = readAhead { [loop = self.loop, weak self] in
            let answer = reading.run()
            loop.post { [weak self] in
                guard let self, !self.isClosed else { return }
                completion.run(self, answer)
            }
        }
        guard !isTaken else { return }
        let refusal = ApusError(.overloaded, "too many reads of the event log wait: try again after a moment")
        completion.run(self, .failure(refusal))
    }

    private struct OnLoop: @unchecked Sendable {
        // SAFETY: made and run on the loop's thread; another one only carries it there.
        let run: (Shard, Result<[[UInt8]?], ApusError>) -> Void
    }
}

/// One read of single records, runnable on any thread.
private struct RecordReading: Sendable {
    let log: any EventLog
    /// Nil where nothing is asked for.
    let places: [RecordPlace?]

    func run() -> Result<[[UInt8]?], ApusError> {
        var blocks: [[UInt8]?] = Array(repeating: nil, count: self.places.count)
        let asked = self.places.indices.filter { self.places[$0] != nil }
        do throws(ApusError) {
            try self.log.records(at: self.places.compactMap { $0 }) { index, block in
                blocks[asked[index]] = block.map { Array($0) }
            }
            return .success(blocks)
        } catch {
            return .failure(error)
        }
    }
}
