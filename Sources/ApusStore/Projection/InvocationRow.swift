public import ApusCore

/// An asynchronous invocation, as the projection shows it. Its result is on the log, at ``place``.
public struct InvocationRow: Sendable, Equatable {
    public struct Result: Sendable, Equatable {
        /// Nil when the result says none.
        public var contentType: String?
        /// Nil when the handler returned nothing.
        public var bytes: Int?
    }

    public var id: InvocationID
    public var namespace: String
    public var function: String
    public var state: InvocationState
    public var principal: String
    public var queued: Timestamp
    public var started: Timestamp?
    public var finished: Timestamp?
    public var attempts: Int
    public var revision: String
    public var code: String?
    public var message: String?
    public var detail: String?
    /// `done/total/message`.
    public var progress: String?
    /// JSON: where the time went.
    public var timing: String?
    /// Of one that succeeded.
    public var result: Result?
    /// Its newest record.
    public var place: RecordPlace
    /// When the log took it.
    public var updated: Timestamp
}

/// What to list of the invocations, newest first.
public struct InvocationQuery: Sendable, Equatable {
    public var namespace: Namespace
    public var function: String?
    /// Nil lists all of them.
    public var state: InvocationState?
    /// The last id of the page before.
    public var after: InvocationID?
    /// At most ``Limits/Projection/rowsPerQuery``.
    public var limit: Int

    public init(
        namespace: Namespace = .default, function: String? = nil, state: InvocationState? = nil,
        after: InvocationID? = nil, limit: Int = 100
    ) {
        self.namespace = namespace
        self.function = function
        self.state = state
        self.after = after
        self.limit = limit
    }
}
