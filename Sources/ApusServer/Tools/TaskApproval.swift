internal import ApusCore
internal import ApusHost
internal import ApusJSON
internal import ApusStore
internal import ApusTools

/// What a person says to the question whether a task may begin: kept in the audit before anything comes of it.
struct TaskApproval: Sendable {
    let server: Server
    let namespace: Namespace
    let principal: String

    /// On the store thread, or where the store could not be asked.
    /// - Parameter completion: called once, with the answers that the task is to have.
    func note(
        _ found: Result<InvocationRow, ApusError>, _ answers: [JSONMember],
        _ completion: @escaping @Sendable (Result<[JSONMember], ApusError>) -> Void
    ) {
        guard let said = answers.first(where: { $0.name == InvocationHold.question }) else {
            return completion(.success(answers))
        }
        let others = answers.filter { $0.name != InvocationHold.question }
        do throws(ApusError) {
            let row = try found.get()
            // What says neither yes nor no is asked again, and what nobody asked is passed over.
            guard let answer = ApprovalAnswer(said.json), row.state == .waiting,
                let json = try row.record(self.server.log)?.data, InvocationHold(questions: json) == .caller
            else { return completion(.success(others)) }
            self.server.approvals.note(answer == .accepted ? .accepted : .declined, self.entry(row)) { result in
                completion(result.map { answers })
            }
        } catch { completion(.failure(error)) }
    }

    private func entry(_ row: InvocationRow) -> AuditEntry {
        let tool = ResourceName(self.namespace, row.function).flatMap { self.server.tools[self.namespace].tool(of: $0) }
        return AuditEntry(
            .approval, .refused, namespace: self.namespace, principal: self.principal,
            subject: tool?.name.text ?? row.function, digest: tool?.digest, revision: tool?.revision,
            invocation: row.id.description, approval: row.id.description)
    }
}
