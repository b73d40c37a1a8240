internal import ApusCore

/// Carries requests to a server and brings its answers as they come. Used by one thread, which waits in ``next()``.
protocol Transport: AnyObject {
    /// Sends a request; its events come from ``next()`` under the ticket.
    func start(_ request: APIRequest) throws(ApusError) -> Int
    /// Waits for the next event of any request under way. There must be one.
    func next() -> (ticket: Int, event: TransportEvent)
    /// Leaves a request; no further event of it comes.
    func cancel(_ ticket: Int)
}

/// What comes back for a request: one head, pieces of the body, and the end or a failure.
enum TransportEvent: Sendable {
    case head(status: Int, headers: [(name: String, value: String)])
    case body([UInt8])
    case end
    /// `server_unreachable` when no answer came, else what broke it off.
    case failed(ApusError)
}
