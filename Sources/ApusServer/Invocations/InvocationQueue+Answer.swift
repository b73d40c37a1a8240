internal import ApusCore
internal import ApusHost
internal import ApusJSON
internal import ApusLoop
internal import ApusStore

extension InvocationQueue {
    /// Keeps answers to what an invocation asks, then lets its shard hear of them.
    /// - Parameters:
    ///   - answers: by question; what is not asked is not kept.
    ///   - completion: called once, from any thread: with `conflict` when the invocation's function is not deployed any more, or with what
    ///     the log says.
    func answer(
        _ id: InvocationID, _ answers: [JSONMember],
        completion: @escaping @Sendable (Result<Void, ApusError>) -> Void
    ) {
        guard let lane = self.lane(of: id) else {
            return completion(
                .failure(ApusError(.conflict, "the invocation \(id) is over: its function is not deployed any more")))
        }
        let offset = Offset(bitPattern: id.low)
        let marks = answers.map { lane.trigger.markEntry(.answer(offset, question: $0.name), $0.json) }
        let requests = self.isShared ? answers.map { InvocationReport.answerRequest(id, question: $0.name, $0.json) } : []
        let runtime = self.shard(lane.shard)
        self.log.submit(LogBatch(urgency: .settlement, appends: requests, ledger: marks)) { result in
            completion(
                result.map { _ in
                    runtime.loop.post { runtime.shard.answerInvocation(lane.function, offset: offset, answers) }
                })
        }
    }

    /// Some node took an answer, as the log says. From any thread; harmless where the invocation does not run. Its owner takes it from the
    /// log when the invocation is over.
    func answered(_ answer: QuestionAnswer) {
        guard let id = InvocationID(answer.invocation), let lane = self.lane(of: id) else { return }
        let runtime = self.shard(lane.shard)
        runtime.loop.post {
            runtime.shard.answerInvocation(
                lane.function, offset: Offset(bitPattern: id.low), [JSONMember(name: answer.question, json: answer.json)])
        }
    }
}
