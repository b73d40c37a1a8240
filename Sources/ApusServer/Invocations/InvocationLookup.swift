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

    /// - Parameter completion: called once, on the store thread or before this method returns: with the state, terminal unless the
    ///   time is over; `invocation_not_found`, `overloaded`, `shutting_down`.
    func run(_ completion: @escaping @Sendable (Result<InvocationRow, ApusError>) -> Void) {
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

    private func look(_ completion: @escaping @Sendable (Result<InvocationRow, ApusError>) -> Void) {
        do throws(ApusError) {
            let row = try self.server.projection.query { (projection) throws(ApusError) in
                try projection.invocation(self.id)
            }
            guard let row, row.namespace == self.namespace.name else { throw self.unknown }
            guard let until = self.until, !row.state.isTerminal, until > self.server.clock.now else {
                return completion(.success(row))
            }
            guard !self.server.projection.waits.isEnding else {
                throw ApusError(.shuttingDown, "the server is stopping; the invocation goes on when it is back")
            }
            try self.server.projection.waits.wait(self.id, until: until) { self.look(completion) }
        } catch { completion(.failure(error)) }
    }

    private var unknown: ApusError {
        ApusError(.invocationNotFound, "there is no invocation \(self.id): see `apus get invocations`")
    }
}
