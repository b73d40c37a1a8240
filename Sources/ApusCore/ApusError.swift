/// An error of the platform: a stable code, a sentence for people, and where it came from.
///
/// The message says what happened, where, and what to try. Each code has a page in `docs/errors/`.
public struct ApusError: Error, Sendable, CustomStringConvertible {
    public let code: ErrorCode
    public let message: String
    public let cause: (any Error)?
    public let file: StaticString
    public let line: UInt

    public init(
        _ code: ErrorCode,
        _ message: String,
        cause: (any Error)? = nil,
        file: StaticString = #fileID,
        line: UInt = #line
    ) {
        self.code = code
        self.message = message
        self.cause = cause
        self.file = file
        self.line = line
    }

    public var description: String {
        let cause = self.cause.map { " (cause: \($0))" } ?? ""
        return "\(self.message) [\(self.code)]\(cause)"
    }
}
