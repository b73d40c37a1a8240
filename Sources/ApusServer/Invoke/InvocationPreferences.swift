internal import ApusCore
internal import ApusHTTP
internal import ApusManifest

/// How a caller wants its invocation: `Prefer: respond-async`, `Prefer: wait=N` (RFC 7240), `Apus-Timeout: 500ms`.
struct InvocationPreferences: Equatable {
    static let timeoutHeader = "Apus-Timeout"

    private(set) var respondsAsync = false
    /// How long the caller waits for the answer; nil leaves it to the function's timeout.
    private(set) var wait: TimeSpan?

    /// None.
    init() {}

    /// - Throws: `invalid_argument` for a timeout that is none. A preference that cannot be read is none, as its RFC says.
    init(_ headers: [HTTPHeader]) throws(ApusError) {
        for header in headers {
            if header.isNamed("Prefer") { self.prefer(header.value) }
            if header.isNamed(Self.timeoutHeader) { self.bound(try Self.timeout(header.value)) }
        }
    }

    /// When the invocation ends at the latest.
    /// - Parameter timeout: of the function. Beside it there is room for queueing and the start of a worker.
    func deadline(now: Timestamp, timeout: TimeSpan) -> Timestamp {
        let own = now + timeout + .seconds(Limits.Server.invocationSlackSeconds)
        return self.wait.map { min(now + $0, own) } ?? own
    }

    private mutating func prefer(_ value: String) {
        for preference in value.split(separator: ",") {
            let parts = preference.prefix { $0 != ";" }.split(separator: "=", maxSplits: 1)
            let words = parts.map { part in part.filter { $0 != " " && $0 != "\t" && $0 != "\"" } }
            switch words.first?.lowercased() {
            case "respond-async": self.respondsAsync = true
            case "wait":
                guard words.count == 2, let seconds = UInt32(words[1]) else { continue }
                self.bound(.seconds(Int64(seconds)))
            default: continue
            }
        }
    }

    private mutating func bound(_ span: TimeSpan) { self.wait = min(span, self.wait ?? span) }

    private static func timeout(_ text: String) throws(ApusError) -> TimeSpan {
        guard let span = TimeSpan(text), span > .zero else {
            throw ApusError(
                .invalidArgument,
                "\(Self.timeoutHeader): \(text.prefix(32)): a time such as 500ms or 10s is expected")
        }
        return span
    }
}
