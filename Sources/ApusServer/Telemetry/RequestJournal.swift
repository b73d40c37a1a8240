internal import ApusCore
internal import ApusHTTP
internal import ApusTelemetry

extension ShardRuntime {
    /// Names the request in the journal and to its caller, so that one finds the other.
    static let requestHeader = "Apus-Request"

    /// An answer begins. What went wrong here, and not in a function or with the caller, is written down.
    func answered(_ exchange: HTTPExchange, _ journal: Log) {
        self.durations.note(operation: exchange.operation, status: exchange.status, exchange.elapsed)
        guard exchange.status >= 500 else { return }
        let tag = self.tags.next().description
        exchange.add(header: Self.requestHeader, tag)
        let operation =
            self.operations.indices.contains(exchange.operation) ? self.operations[exchange.operation] : "none"
        guard exchange.status == 500 else {
            return journal.debug(
                "a request was not served",
                ["request": tag, "operation": operation, "status": "\(exchange.status)"])
        }
        journal.error(
            "a request failed",
            [
                "request": tag, "operation": operation, "status": "\(exchange.status)",
                "microseconds": "\(exchange.elapsed.microseconds)",
            ])
    }
}
