internal import ApusCore

extension ErrorPayload {
    /// What an error of a handler means for the delivery.
    static func of(_ error: any Error) -> ErrorPayload {
        switch error {
        case let error as Reject:
            return Self.clipped(.permanent, .functionRejected, error.reason)
        case let error as Retry:
            let after = error.after.map { TimeSpan(microseconds: Self.microseconds($0)) }
            return Self.clipped(.retryable, .functionFailed, error.message, retryAfter: after)
        case let error as InvalidData:
            return Self.clipped(.poison, .invalidJSON, error.message)
        case let error as ResultTooLarge:
            return Self.clipped(.permanent, .resultTooLarge, error.message)
        case is CancellationError:
            return Self.clipped(.retryable, .cancelled, "the invocation was cancelled")
        case let error as NotAvailable:
            return Self.clipped(.retryable, .functionFailed, error.message)
        default:
            return Self.clipped(.retryable, .functionFailed, "\(type(of: error)): \(error)", detail: "\(error)")
        }
    }

    private static func clipped(
        _ kind: Class, _ code: ErrorCode, _ message: String, detail: String = "", retryAfter: TimeSpan? = nil
    ) -> ErrorPayload {
        ErrorPayload(
            kind: kind, code: code.rawValue,
            message: String(decoding: message.utf8.prefix(Limits.messageBytes), as: UTF8.self),
            // What the message says already is not said twice.
            detail: message.utf8.count > Limits.messageBytes
                ? String(decoding: detail.utf8.prefix(Limits.detailBytes), as: UTF8.self) : "",
            retryAfter: retryAfter)
    }

    private static func microseconds(_ duration: Duration) -> Int64 {
        let (seconds, attoseconds) = duration.components
        let (product, isOver) = max(0, seconds).multipliedReportingOverflow(by: 1_000_000)
        return isOver ? .max : product + max(0, attoseconds) / 1_000_000_000_000
    }
}
