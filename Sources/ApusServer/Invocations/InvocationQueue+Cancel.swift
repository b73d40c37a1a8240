internal import ApusCore
internal import ApusHost
internal import ApusLoop

extension InvocationQueue {
    /// Writes the request to cancel an invocation, then lets its shard hear of it; what becomes of it is in its state.
    /// - Parameter completion: called once, from any thread: with where the request is, `conflict` when the invocation's function is
    ///   not deployed any more, or what the log says.
    func cancel(
        _ id: InvocationID, principal: String, completion: @escaping @Sendable (Result<RecordPlace, ApusError>) -> Void
    ) {
        guard let lane = self.lane(of: id) else {
            return completion(
                .failure(ApusError(.conflict, "the invocation \(id) is over: its function is not deployed any more")))
        }
        let offset = Offset(bitPattern: id.low)
        let request = InvocationReport.cancelRequest(id, principal: principal)
        let mark = lane.trigger.cancelEntry(offset, [1])
        let runtime = self.shard(lane.shard)
        self.log.submit(LogBatch(urgency: .settlement, appends: [request], ledger: [mark])) { result in
            completion(
                result.map { receipt in
                    runtime.loop.post { runtime.shard.cancelInvocation(lane.function, offset: offset) }
                    let place = receipt.places[0]
                    return RecordPlace(TopicPartition(.invocations, place.partition), place.offset)
                })
        }
    }
}
