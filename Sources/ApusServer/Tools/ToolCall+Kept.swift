internal import ApusCore
internal import ApusEngine
internal import ApusHost
internal import ApusLoop
internal import ApusStore
internal import ApusTools
internal import Synchronization

/// Calls that last: asynchronous invocations, which are waited for.
///
/// A caller that leaves gives up nothing: whoever comes again with the key finds the call as far as it has come.
extension ToolCall {
    /// - Parameter deadline: until when this caller waits.
    func runKept(_ key: IdempotencyKey?, until deadline: Timestamp) {
        let (server, loop) = (self.endpoint.server, self.runtime.loop)
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let call = self
        server.invocations.accept(
            self.target.function, self.event.event(self.data), principal: self.request.caller.name,
            told: self.event.told, along: [], once: key?.once(now: self.runtime.now)
        ) { result in
            loop.post { call.accepted(result, until: deadline) }
        }
    }

    private func accepted(_ result: Result<AcceptedInvocation, ApusError>, until deadline: Timestamp) {
        guard !self.isOver else { return }
        switch result {
        case .failure(let error) where error.code == .conflict && self.key != nil:
            self.over()
            self.reply.fail(.invalidParams(error.message))
        case .failure(let error): self.failed(Failure(error.code, error.message))
        case .success(let accepted):
            self.keptID = accepted.id
            self.reply.audit?.answered(by: accepted.id.description, accepted.isRepeated ? .repeated : nil)
            self.follow(accepted.id, until: deadline)
        }
    }

    private func follow(_ id: InvocationID, until deadline: Timestamp) {
        let (server, loop) = (self.endpoint.server, self.runtime.loop)
        let watch = CallWatch()
        self.watch = watch
        // SAFETY: used on its loop only, inside `post`.
        nonisolated(unsafe) let call = self
        InvocationLookup(server: server, id: id, namespace: self.target.function.namespace, until: deadline).follow {
            state in
            guard !watch.isOver else { return false }
            let news = KeptNews(state, server.log)
            loop.post { call.heard(news) }
            return true
        }
    }

    private func heard(_ news: KeptNews) {
        guard !self.isOver else { return }
        switch news {
        case .running(let progress): if let progress { self.onProgress(progress) }
        case .returned(let block): block.withUnsafeBytes { self.onResult($0) }
        case .failed(let failure): self.failed(failure)
        case .late:
            self.over()
            self.tellFailure(
                "The call is not over yet, and goes on. "
                    + (self.key == nil ? "" : "Call again with the same key to learn what comes of it."))
        }
    }

    /// Its client does not want it any more, and says so.
    func cancelKept() {
        guard let id = self.keptID, !self.isOver else { return }
        // What comes of it is in its state; nobody waits here any more.
        self.endpoint.server.invocations.cancel(id, principal: self.request.caller.name) { _ in }
    }
}

/// Tells the store thread that nobody waits for an invocation any more.
final class CallWatch: Sendable {
    private let over = Atomic(false)

    var isOver: Bool { self.over.load(ordering: .relaxed) }
    func end() { self.over.store(true, ordering: .relaxed) }
}

/// What becomes of a call that lasts.
private enum KeptNews: Sendable {
    case running(ProgressPayload?)
    /// As its worker said it.
    case returned([UInt8])
    case failed(Failure)
    /// Its caller has waited long enough.
    case late

    /// On the store thread.
    init(_ state: Result<InvocationRow, ApusError>, _ log: any EventLog) {
        do throws(ApusError) {
            let row = try state.get()
            self = row.state.isTerminal ? .returned(try row.returned(log)) : .running(row.lastProgress)
        } catch {
            self = .failed(Failure(error.code, error.message))
            if case .failure(let error) = state, error.code == .deadlineExceeded { self = .late }
        }
    }
}

extension InvocationRow {
    /// What its handler said last of how far it is.
    var lastProgress: ProgressPayload? {
        guard let parts = self.progress?.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false),
            parts.count == 3, let done = UInt64(parts[0]), let total = UInt64(parts[1])
        else { return nil }
        return ProgressPayload(done: done, total: total, message: String(parts[2]))
    }
}
