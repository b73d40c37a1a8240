internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import ApusTools

/// Gives answers to an invocation that waits for them, and says so once its state shows it.
struct InvocationAnswering: Sendable {
    let server: Server
    let lookup: InvocationLookup
    let answers: [JSONMember]

    /// - Parameters:
    ///   - found: the invocation as it is.
    ///   - completion: called once, from any thread. With nil also for answers that nothing waits for.
    func run(
        _ found: Result<InvocationRow, ApusError>, _ completion: @escaping @Sendable (ApusError?) -> Void
    ) {
        do throws(ApusError) {
            let row = try found.get()
            let asked = try row.asked(self.server.log)
            let answers = self.answers.filter { asked.contains($0.name) }
            guard !answers.isEmpty else { return completion(nil) }
            self.server.invocations.answer(row.id, answers) { result in
                switch result {
                case .failure(let error): completion(error)
                case .success: self.show(row.place, completion)
                }
            }
        } catch { completion(error) }
    }

    /// Whoever asks next is not asked what it has answered.
    private func show(_ before: RecordPlace, _ completion: @escaping @Sendable (ApusError?) -> Void) {
        let watch = InvocationWatch()
        var lookup = self.lookup
        lookup.until = self.server.clock.now + .seconds(Limits.ToolEndpoint.answerSeconds)
        lookup.follow(watch) { state in
            if case .success(let row) = state, row.place == before { return }
            // The answers are kept, whatever is seen of them.
            guard !watch.isOver else { return }
            watch.end()
            completion(nil)
        }
    }
}
