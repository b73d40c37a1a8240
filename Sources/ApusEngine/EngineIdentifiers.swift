/// A function as the engine knows it: given by the catalogue, never reused within a run.
public struct FunctionID: Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// A trigger as the engine knows it: given by the catalogue, never reused within a run. A trigger keeps its id across revisions
/// of its function; one that was deleted and made again is a new one.
public struct TriggerID: Sendable, Hashable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }
}

/// A worker, made up by the engine when it decides to start one, never reused.
public struct WorkerID: Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// One attempt in flight: the stream of its frames, never reused within a run of the shard.
public struct StreamID: Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}

/// The lanes whose ledger is written together, by one owner. Small numbers: the engine keeps an entry for each up to the highest.
public struct LedgerGroup: Sendable, Hashable {
    public let rawValue: Int
    public init(rawValue: Int) { self.rawValue = rawValue }

    /// The one there is where nobody shares the work.
    public static let whole = LedgerGroup(rawValue: 0)
}

/// A direct invocation, named by the host that waits for its answer.
public struct RequestID: Sendable, Hashable {
    public let rawValue: UInt64
    public init(rawValue: UInt64) { self.rawValue = rawValue }
}
