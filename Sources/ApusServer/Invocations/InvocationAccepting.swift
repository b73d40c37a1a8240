internal import ApusCore
internal import ApusStore

/// Takes invocations that outlive their caller: of `Prefer: respond-async`, of schedules, of tasks.
protocol InvocationAccepting: Sendable {
    /// Appends an invocation to its function's queue, with whatever else must become durable in the same transaction.
    /// - Parameters:
    ///   - event: what the function gets; its id and source are the caller's.
    ///   - principal: who asked, as the state says it.
    ///   - told: headers that Apus itself adds for the function or its shard.
    ///   - along: other records of the same transaction, as the next firing of a schedule.
    ///   - once: lets it be accepted once: a repetition is answered with the first one's id.
    ///   - completion: called once, from any thread, when the log has it or refused it: `function_not_found`, `queue_full`, `log_full`, …
    func accept(
        _ function: ResourceName, _ event: Event, principal: String, told: [Attribute], along: [LogBatch.Append],
        once: LogBatch.Once?, completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
    )
}

extension InvocationAccepting {
    /// The same without headers of Apus.
    func accept(
        _ function: ResourceName, _ event: Event, principal: String, along: [LogBatch.Append], once: LogBatch.Once?,
        completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
    ) {
        self.accept(
            function, event, principal: principal, told: [], along: along, once: once, completion: completion)
    }
}

/// An invocation that is durable and will run.
struct AcceptedInvocation: Sendable, Equatable {
    var id: InvocationID
    /// Where its state is.
    var position: RecordPlace
    /// It had been accepted before.
    var isRepeated = false
}
