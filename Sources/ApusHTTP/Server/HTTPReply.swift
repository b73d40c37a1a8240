internal import ApusLoop

/// A way to answer an exchange from another thread. Everything happens later, on the exchange's loop, in the order it was asked for.
///
/// A client that left meanwhile makes each call a no-op.
public struct HTTPReply: Sendable {
    // SAFETY: the exchange is touched on its loop only: `init` runs there, and every use goes through `post`. Only its deinit may
    // run elsewhere; that frees memory and an answer that was never given out, nothing of the loop.
    nonisolated(unsafe) private let exchange: HTTPExchange
    private let loop: EventLoop

    /// On the loop only.
    init(to exchange: HTTPExchange, on loop: EventLoop) {
        precondition(loop.isCurrent)
        self.exchange = exchange
        self.loop = loop
    }

    /// Runs `work` with the exchange, on its loop.
    public func perform(_ work: @escaping @Sendable (HTTPExchange) -> Void) {
        self.loop.post { work(self.exchange) }
    }

    public func respond(status: UInt32, headers: [(String, String)] = [], body: [UInt8] = []) {
        self.perform { $0.respond(status: status, headers: headers, body: body) }
    }

    public func respond(_ problem: Problem) {
        self.perform { $0.respond(problem) }
    }
}
