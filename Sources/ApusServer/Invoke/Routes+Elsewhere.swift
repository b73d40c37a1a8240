internal import ApusCore
internal import ApusEngine
internal import ApusHTTP
internal import ApusHost
internal import ApusLoop
internal import ApusStore

/// Invocations of functions that only other servers run.
extension Routes {
    /// It becomes an asynchronous one, of the servers that have the function's class, and is waited for here: its caller gets what it would
    /// have got, later by what lasting costs. One that is given up here goes on there.
    func callElsewhere(_ call: InvocationCall, _ event: Event, _ deadline: Timestamp, _ exchange: HTTPExchange) {
        let (server, loop) = (self.server, self.runtime.loop)
        // SAFETY: used on this loop only.
        nonisolated(unsafe) let answer = InvocationAnswer(
            exchange, call, self.runtime.callers, now: self.runtime.shard.now)
        let fail = { @Sendable (error: ApusError) in
            loop.post { answer.onFailure(Failure(error.code, error.message)) }
        }
        server.invocations.accept(
            call.function, event, principal: self.principal(of: exchange).name, along: [], once: nil
        ) { accepted in
            guard case .success(let accepted) = accepted else {
                if case .failure(let error) = accepted { fail(error) }
                return
            }
            let lookup = InvocationLookup(
                server: server, id: accepted.id, namespace: call.function.namespace, until: deadline)
            lookup.run { found in
                do throws(ApusError) {
                    let row = try found.get()
                    guard row.state.isTerminal else {
                        throw ApusError(
                            .deadlineExceeded,
                            "the invocation \(row.id) is not over in time; servers of the function's class go on with it: see `apus get invocation \(row.id)`"
                        )
                    }
                    let block = try row.returned(server.log)
                    loop.post { block.withUnsafeBytes { answer.onResult($0) } }
                } catch { fail(error) }
            }
        }
    }
}
