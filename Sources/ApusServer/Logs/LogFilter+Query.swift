internal import ApusCore
internal import ApusHTTP
internal import ApusStore

extension LogFilter {
    /// The levels that callers may name; what is printed has one by where it was printed to.
    static let levels: [LogPayload.Level] = [.debug, .info, .warning, .error]
    static let invocationPattern = "^[0-9a-fA-F]{32}$"
    static let revisionPattern = "^[0-9a-f]{1,64}$"

    /// Reads `level`, `invocation`, `revision` and `since`.
    /// - Throws: `invalid_argument`.
    init(_ query: RequestQuery) throws(ApusError) {
        self.init()
        if let text = query["level"] {
            guard let level = Self.levels.first(where: { $0.name == text }) else {
                let known = Self.levels.map(\.name).joined(separator: ", ")
                throw ApusError(.invalidArgument, "level=\(text.prefix(32)): one of \(known) is expected")
            }
            self.severity = level
        }
        if let text = query["invocation"] {
            guard let id = InvocationID(text) else {
                throw ApusError(
                    .invalidArgument,
                    "invocation=\(text.prefix(64)): 32 hexadecimal digits are expected, as `Apus-Invocation` gives them"
                )
            }
            self.invocation = id.description
        }
        if let text = query["revision"] {
            guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy(Self.isDigit) else {
                throw ApusError(
                    .invalidArgument,
                    "revision=\(text.prefix(64)): 1 to 64 hexadecimal digits are expected: see `apus get revisions`")
            }
            self.revision = text
        }
        if let text = query["since"] {
            guard let time = RFC3339.parse(text) else {
                throw ApusError(
                    .invalidArgument, "since=\(text.prefix(64)): a time like 2026-03-01T12:00:00Z is expected")
            }
            self.since = time
        }
    }

    private static func isDigit(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) || (UInt8(ascii: "a")...UInt8(ascii: "f")).contains(byte)
    }
}
