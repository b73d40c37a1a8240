/// Thrown by a handler: this attempt failed; try again, after that time if given.
public struct Retry: Error, Sendable, Equatable {
    public var message: String
    public var after: Duration?

    public init(_ message: String = "the handler asked for another attempt", after: Duration? = nil) {
        self.message = message
        self.after = after
    }
}

/// Thrown by a handler: this event will never succeed; no further attempt.
public struct Reject: Error, Sendable, Equatable {
    public var reason: String
    public init(_ reason: String = "the handler rejected the event") { self.reason = reason }
}

/// The data of an event is not what its content type, or the handler's type, says. Unless the handler catches it, no further
/// attempt.
public struct InvalidData: Error, Sendable, Equatable {
    public var message: String
    public init(_ message: String) { self.message = message }
}

/// A result, or an event, is over its bound.
public struct ResultTooLarge: Error, Sendable, Equatable {
    public var message: String
    init(_ message: String) { self.message = message }
}

/// The handler asked for something that this function does not have, or that is over.
public struct NotAvailable: Error, Sendable, Equatable {
    public var message: String
    init(_ message: String) { self.message = message }
}
