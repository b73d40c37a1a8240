internal import ApusCore
internal import ApusLoop
internal import ApusStore

/// Finds the state of one invocation, once the projection has seen that it was accepted, and waits for its end when asked to.
struct InvocationLookup: Sendable {
    let server: Server
    let id: InvocationID
    let namespace: Namespace
    /// Until when to wait for the end; nil takes the state as it is.
    var until: Timestamp?
    /// Some server of this cluster has given the id: it is looked for thoroughly before it is unknown.
    var isGiven = false

    /// - Parameter completion: called once, on the store thread or before this method returns: with the state, terminal unless the
    ///   time is over; `invocation_not_found`, `overloaded`, `shutting_down`.
    func run(_ completion: @escaping @Sendable (Result<InvocationRow, ApusError>) -> Void) {
        guard self.isGiven, self.server.invocations.isShared, self.server.invocations.place(of: self.id) == nil else {
            return self.find(completion)
        }
        // The queue may be one that another server made a moment ago.
        let (server, lookup) = (self.server, self)
        let isQueued = server.control.enqueue { catalogue in
            if let catalogue {
                server.log.lookForTopics()
                server.invocations.takeUpShared(catalogue, server.journal)
            }
            lookup.find(completion)
        }
        if !isQueued { self.find(completion) }
    }

    /// The state behind all that any server has said of it by now. One that another server runs may have asked a moment ago what this one
    /// has not heard of, though its caller has.
    /// - Parameter completion: as of ``run(_:)``; `unavailable` too where the log does not say how far it goes.
    func runCaughtUp(_ completion: @escaping @Sendable (Result<InvocationRow, ApusError>) -> Void) {
        let (server, lookup) = (self.server, self)
        guard let ownership = server.control.ownership else { return self.run(completion) }
        let place = TopicPartition(.invocations, self.id.partition(among: Limits.Invocations.partitions))
        let isQueued = server.control.enqueue { _ in
            do throws(ApusError) {
                let end = try ownership.end(of: place)
                guard end > 0 else { return lookup.run(completion) }
                server.projection.whenPassed(RecordPlace(place, end - 1)) { error in
                    if let error { completion(.failure(error)) } else { lookup.run(completion) }
                }
            } catch { completion(.failure(error)) }
        }
        if !isQueued { completion(.failure(ApusError(.overloaded, "too much waits to be written: try again in a moment"))) }
    }

    private func find(_ completion: @escaping @Sendable (Result<InvocationRow, ApusError>) -> Void) {
        guard let place = self.server.invocations.place(of: self.id) else {
            let isQueued = self.server.store.run { self.look(completion) }
            if !isQueued {
                completion(.failure(ApusError(.overloaded, "too many queries wait: try again in a moment")))
            }
            return
        }
        // An id holds its place: who was told of it is told what became of it.
        self.server.projection.whenPassed(place) { error in
            if let error {
                return completion(.failure(error.code == .offsetOutOfRange ? self.unknown : error))
            }
            self.look(completion)
        }
    }

    /// Shows each state from now on, until the last, until nobody wants more, or until the time is over.
    /// - Parameters:
    ///   - watch: ends it, a little later.
    ///   - onState: called on the store thread, or before this method returns, one call after the other. After a
    ///     failure nothing follows: `invocation_not_found`, `overloaded`, `shutting_down`, and `deadline_exceeded` for
    ///     one that is not over in time.
    func follow(_ watch: InvocationWatch, _ onState: @escaping @Sendable (Result<InvocationRow, ApusError>) -> Void) {
        guard let place = self.server.invocations.place(of: self.id) else {
            let isQueued = self.server.store.run { self.show(watch, onState) }
            if !isQueued {
                onState(.failure(ApusError(.overloaded, "too many queries wait: try again in a moment")))
            }
            return
        }
        self.server.projection.whenPassed(place) { error in
            if let error {
                onState(.failure(error.code == .offsetOutOfRange ? self.unknown : error))
            } else {
                self.show(watch, onState)
            }
        }
    }

    private func show(_ watch: InvocationWatch, _ onState: @escaping @Sendable (Result<InvocationRow, ApusError>) -> Void) {
        do throws(ApusError) {
            let row = try self.row()
            guard !watch.isOver else { return }
            onState(.success(row))
            guard !row.state.isTerminal else { return }
            guard let until = self.until, until > self.server.clock.now else {
                throw ApusError(.deadlineExceeded, "the invocation \(self.id) is not over in time; it goes on")
            }
            guard !self.server.projection.waits.isEnding else { throw Self.stopping }
            try self.server.projection.waits.wait(self.id, until: until, wantsNews: true, watch: watch) {
                self.show(watch, onState)
            }
        } catch { onState(.failure(error)) }
    }

    private static let stopping = ApusError(
        .shuttingDown, "the server is stopping; the invocation goes on when it is back")

    private func row() throws(ApusError) -> InvocationRow {
        let row = try self.server.projection.query { (projection) throws(ApusError) in
            try projection.invocation(self.id)
        }
        guard let row, row.namespace == self.namespace.name else { throw self.unknown }
        return row
    }

    private func look(_ completion: @escaping @Sendable (Result<InvocationRow, ApusError>) -> Void) {
        do throws(ApusError) {
            let row = try self.row()
            guard let until = self.until, !row.state.isTerminal, until > self.server.clock.now else {
                return completion(.success(row))
            }
            guard !self.server.projection.waits.isEnding else { throw Self.stopping }
            try self.server.projection.waits.wait(self.id, until: until) { self.look(completion) }
        } catch { completion(.failure(error)) }
    }

    private var unknown: ApusError {
        ApusError(.invocationNotFound, "there is no invocation \(self.id): see `apus get invocations`")
    }
}
