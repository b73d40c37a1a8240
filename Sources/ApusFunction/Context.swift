internal import ApusCore

/// One attempt: what a handler is told about it, and what it may ask of the platform while it runs.
public struct Context: Sendable {
    /// The function, as deployed.
    public struct Function: Sendable, Equatable {
        public let name: String
        public let namespace: String
        public let revision: String
    }

    public let function: Function
    /// 32 hexadecimal digits; the same for every attempt of one delivery.
    public let invocation: String
    /// From 1.
    public let attempt: Int
    /// Microseconds since 1970-01-01 UTC; nil for none.
    public let deadline: Int64?
    /// The W3C traceparent of this attempt, where its trace is recorded; else the one that came with the event.
    public let trace: String?

    let exchange: Exchange
    let secrets: [String: String]

    /// Until the deadline, never negative; nil without one.
    public var remaining: Duration? {
        self.deadline.map { .microseconds(max(0, $0 - Clock.microseconds())) }
    }

    /// Whether the platform no longer wants the result: the deadline is near, or the caller has left. The task is cancelled
    /// too, so that `Task.isCancelled` and sleeping tell.
    public var isCancelled: Bool { self.exchange.isCancelled }

    /// Lines of the function's log, attributed to the attempt.
    public var log: Log { Log(exchange: self.exchange) }

    /// Says how far the work is.
    /// - Parameter total: nil when it is not known.
    /// - Throws: ``NotAvailable`` once the attempt is answered.
    public func progress(_ done: Int, of total: Int? = nil, _ message: String = "") throws {
        try self.exchange.progress(UInt64(max(0, done)), UInt64(max(0, total ?? 0)), message)
    }

    /// Publishes an event when, and only when, this attempt succeeds, in one with its reply.
    /// - Parameter topic: one of the function's `emits`, or a `replyTo`.
    /// - Throws: ``NotAvailable`` once the attempt is answered, ``ResultTooLarge``.
    public func emit(_ topic: String, _ event: Reply) throws { try self.exchange.emit(topic, event) }

    /// Publishes a value as JSON; see ``emit(_:_:)-(_,Reply)``.
    public func emit(
        _ topic: String, _ value: some Encodable, attributes: [String: String] = [:], key: String? = nil
    ) throws {
        try self.emit(topic, .json(value, attributes: attributes, key: key))
    }

    /// The text of a secret that the manifest lists under `secrets`.
    /// - Throws: ``NotAvailable``, with the names there are.
    public func secret(_ name: String) throws -> String {
        guard let secret = self.secrets[name] else {
            let known = self.secrets.keys.sorted().joined(separator: ", ")
            throw NotAvailable(
                "the secret '\(name)' was not given to this function (given: \(known.isEmpty ? "none" : known)): "
                    + "list it under spec.secrets and set it with `apus secret set`")
        }
        return secret
    }
}

/// Writes to the function's log.
public struct Log: Sendable {
    let exchange: Exchange

    public func debug(_ message: String) { self.exchange.log(.debug, message) }
    public func info(_ message: String) { self.exchange.log(.info, message) }
    public func warning(_ message: String) { self.exchange.log(.warning, message) }
    public func error(_ message: String) { self.exchange.log(.error, message) }
}
