public import ApusCore

/// Which lines of a function's log are wanted; every condition that is set must hold.
public struct LogFilter: Sendable, Equatable {
    /// This bad or worse, as ``LogPayload/Level/severity`` ranks them; lines that were printed to standard output and standard error
    /// have a level too.
    public var severity: LogPayload.Level?
    public var invocation: String?
    /// The beginning of the revision's name.
    public var revision: String?
    /// Written then or later.
    public var since: Timestamp?

    public init(
        severity: LogPayload.Level? = nil, invocation: String? = nil, revision: String? = nil, since: Timestamp? = nil
    ) {
        self.severity = severity
        self.invocation = invocation
        self.revision = revision
        self.since = since
    }

    /// SQL that goes on after a condition, and its values.
    var conditions: (sql: String, values: [SQLValue]) {
        var sql = ""
        var values: [SQLValue] = []
        if let severity = self.severity {
            // Numbers of levels, not texts: nothing of the caller's is in the SQL.
            let levels = LogPayload.Level.allCases.filter { $0.severity >= severity.severity }.map { "\($0.rawValue)" }
            sql += " AND level IN (\(levels.joined(separator: ",")))"
        }
        if let invocation = self.invocation {
            sql += " AND invocation = ?"
            values.append(.text(invocation))
        }
        if let revision = self.revision {
            sql += " AND substr(revision, 1, ?) = ?"
            values += [.integer(Int64(revision.unicodeScalars.count)), .text(revision)]
        }
        if let since = self.since {
            sql += " AND written >= ?"
            values.append(.integer(since.microseconds))
        }
        return (sql, values)
    }
}

/// Lines of a log, oldest first, and the sequence that the next page begins after.
public struct LogPage: Sendable, Equatable {
    public var rows: [LogRow]
    public var next: Int64
}

extension LogPayload.Level {
    /// How bad a line is: what a program prints to standard output is no worse than `info`, to standard error no worse than `warning`.
    public var severity: Int {
        switch self {
        case .debug: 0
        case .info, .stdout: 1
        case .warning, .stderr: 2
        case .error: 3
        }
    }
}
