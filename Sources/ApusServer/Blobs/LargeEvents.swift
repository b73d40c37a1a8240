internal import ApusCore

/// Publishes events of which some are too large for a record: their data first, then all of them.
struct LargeEvents: Sendable {
    let log: any EventLog
    let topic: TopicName

    /// Hashes what is large: on a thread that may wait. Each blob is durable before the events are written.
    /// - Parameter completion: called once, on this thread or one of the log's.
    func publish(
        _ events: [LogBatch.Append], once: LogBatch.Once? = nil,
        _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) {
        do throws(ApusError) {
            let store = BlobStore(log: self.log)
            var appends: [LogBatch.Append] = []
            var blobs: [[LogBatch.Append]] = []
            for var event in events {
                if event.block.count > Limits.eventBytes {
                    let (claimed, pieces) = try store.pieces(of: event.block, for: self.topic)
                    event.block = claimed
                    blobs.append(pieces)
                }
                appends.append(event)
            }
            self.write(blobs[...], then: LogBatch(urgency: .producer, appends: appends, once: once), completion)
        } catch { completion(.failure(error)) }
    }

    /// One blob is one batch: what they take together has no bound but the request's.
    private func write(
        _ blobs: ArraySlice<[LogBatch.Append]>, then events: LogBatch,
        _ completion: @escaping @Sendable (Result<LogReceipt, ApusError>) -> Void
    ) {
        guard let first = blobs.first else {
            return self.log.submit(events, completion)
        }
        self.log.submit(LogBatch(urgency: .producer, appends: first)) { result in
            if case .failure(let error) = result { return completion(.failure(error)) }
            self.write(blobs.dropFirst(), then: events, completion)
        }
    }
}
