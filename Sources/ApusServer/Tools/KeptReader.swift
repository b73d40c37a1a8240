internal import ApusHTTP

/// Whoever reads a kept stream now: a client of this server, or another server for a client of its own. From any thread.
protocol KeptReader: AnyObject, Sendable {
    /// - Parameters:
    ///   - event: as text of the stream.
    ///   - number: its place in the stream.
    func write(_ event: [UInt8], number: Int)
    /// Nothing more comes.
    func end()
}

/// A client of this server.
final class ClientReader: KeptReader {
    private let reply: HTTPReply

    /// On the loop of the exchange.
    init(_ exchange: HTTPExchange) { self.reply = exchange.reply() }

    func write(_ event: [UInt8], number: Int) { self.reply.perform { _ = $0.write(event) } }
    func end() { self.reply.perform { $0.end() } }
}
