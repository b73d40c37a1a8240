/// Where a streaming handler writes its result, part by part: the caller gets each part as it comes.
public struct ResponseWriter: Sendable {
    let exchange: Exchange

    /// Says what the parts are, before the first of them; without it they are `application/octet-stream`, or
    /// `application/x-ndjson` when the first is written with ``write(json:)``.
    public func start(contentType: String, attributes: [String: String] = [:]) throws {
        try self.exchange.startStream(contentType, attributes)
    }

    /// - Throws: ``ResultTooLarge`` when all parts together pass the bound, ``NotAvailable`` once it is finished, and
    ///   `CancellationError` when nobody wants the rest.
    public func write(_ bytes: [UInt8]) throws { try self.exchange.write(bytes, "application/octet-stream") }
    public func write(_ text: String) throws { try self.exchange.write(Array(text.utf8), "text/plain; charset=utf-8") }

    /// One line of JSON.
    public func write(json value: some Encodable) throws {
        try self.exchange.write(try JSON.encode(value) + [0x0A], "application/x-ndjson")
    }

    /// Ends the result before the handler returns: what it does after that holds up nobody. Returning does it too.
    public func finish() throws { try self.exchange.finishStream() }

    /// The whole result at once, instead of parts.
    public func finish(with reply: Reply) throws { try self.exchange.finish(reply) }
}
