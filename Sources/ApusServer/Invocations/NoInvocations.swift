internal import ApusCore

/// Takes none: until lasting invocations are there.
struct NoInvocations: InvocationAccepting {
    func accept(
        _ function: ResourceName, _ event: Event, principal: String, along: [LogBatch.Append],
        completion: @escaping @Sendable (Result<AcceptedInvocation, ApusError>) -> Void
    ) {
        completion(.failure(ApusError(.notYetSupported, "lasting invocations are not yet supported")))
    }
}
