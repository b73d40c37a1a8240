internal import ApusCore
internal import ApusEngine

/// What the status of a result says of a delivery, as it would of an HTTP call: a handler that passes on what a service answered need
/// not raise anything.
struct ReplyStatus: Equatable {
    let status: Int
    let retryAfter: TimeSpan?

    /// - Returns: nil for a result without a status, which is a success.
    init?(of layout: EventLayout, in block: UnsafeRawBufferPointer, now: Timestamp) {
        var status: Int?
        var retryAfter: TimeSpan?
        // Results that cannot be walked are told by whoever builds a record of them.
        try? layout.forEachAttribute(in: block.bytes) { name, kind, value in
            guard kind == Attribute.Kind.header.rawValue else { return true }
            let text = UnsafeRawBufferPointer(rebasing: block[name])
            if text.elementsEqual(Self.statusName) {
                status = decimal(block[value])
            } else if text.count == Self.retryName.count, text.map({ $0 | 0x20 }) == Self.retryName {
                retryAfter = RetryAfter.span(String(decoding: block[value], as: UTF8.self), now: now)
            }
            return true
        }
        guard let status else { return nil }
        self.status = status
        self.retryAfter = retryAfter
    }

    init(status: Int, retryAfter: TimeSpan? = nil) {
        self.status = status
        self.retryAfter = retryAfter
    }

    private static let statusName = Array("apus-http-status".utf8)
    private static let retryName = Array("retry-after".utf8)

    var isSuccess: Bool { self.status < 400 }

    /// Whether another attempt may go well: the service was busy, slow or broken. Any other refusal stays one.
    var isRetryable: Bool { [408, 421, 425, 429].contains(self.status) || self.status >= 500 && self.status != 501 }

    var outcome: AttemptOutcome {
        self.isRetryable ? .failed(self.failure, retryAfter: self.retryAfter) : .rejected(self.failure)
    }

    var failure: Failure {
        Failure(
            self.isRetryable ? .functionFailed : .functionRejected,
            "the handler answered with the status \(self.status)")
    }
}
