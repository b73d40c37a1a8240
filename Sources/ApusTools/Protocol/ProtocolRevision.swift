/// The revisions of the Model Context Protocol that are spoken here.
public enum ProtocolRevision: String, Sendable, CaseIterable {
    /// Stateless: each request says by itself who asks and what its client can do.
    case r20260728 = "2026-07-28"
    case r20251125 = "2025-11-25"
    case r20250618 = "2025-06-18"

    /// What a client of a session falls back to when it asks for a revision that is not spoken here.
    public static let latestLegacy = ProtocolRevision.r20251125
    /// What a request in a session without the header is taken for.
    public static let assumed = "2025-03-26"
    /// Dates of revisions with sessions, spoken or not: a header with one of them does not make a request a modern one.
    static let legacyDates: Set<String> = ["2024-11-05", "2025-03-26", "2025-06-18", "2025-11-25"]

    public var era: Era { self == .r20260728 ? .modern : .legacy }

    /// As errors and `server/discover` list them, the newest first.
    public static let supportedJSON = Array(
        ("[" + ProtocolRevision.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ",") + "]").utf8)
}

/// Which of the two ways of speaking a request uses.
public enum Era: Sendable, Equatable {
    /// Since 2026-07-28: no sessions, results say their type.
    case modern
    /// Sessions that begin with `initialize`.
    case legacy
}
