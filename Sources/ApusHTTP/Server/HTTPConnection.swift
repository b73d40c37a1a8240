internal import ApusCore
internal import CHTTPShims

/// What the listener knows of one connection, so that a client that drips its bytes does not hold it for ever: the library's own
/// time-out starts anew with every byte. Times are the loop's milliseconds.
final class HTTPConnection {
    enum Phase: Equatable {
        /// No whole head since the connection began or its last request ended. To `receiving`.
        case awaitingHead(since: UInt64)
        /// A head was taken; its body arrives. To `busy`, `awaitingHead`.
        case receiving(since: UInt64)
        /// The handler has the request, or its answer is on the way. To `awaitingHead`.
        case busy
    }

    let socket: CInt
    var phase: Phase
    /// What whoever admits requests keeps from one request of this connection to its next.
    var remembered: AnyObject?
    /// Bytes of the body that is arriving.
    var received = 0

    /// Of one of the library's connections; nil once it is closed.
    static func of(_ connection: OpaquePointer) -> HTTPConnection? {
        apus_http_connection_context(connection).map { Unmanaged<HTTPConnection>.fromOpaque($0).takeUnretainedValue() }
    }

    init(socket: CInt, now: UInt64) {
        self.socket = socket
        self.phase = .awaitingHead(since: now)
    }

    /// Whether the client is too slow to be waited for any longer.
    func isTooSlow(now: UInt64, pace: HTTPPace) -> Bool {
        switch self.phase {
        case .awaitingHead(let since): return now >= since + pace.headMilliseconds
        case .receiving(let since):
            let earned = UInt64(self.received) * 1_000 / UInt64(Limits.HTTP.bodyBytesPerSecond)
            return now >= since + pace.bodyMilliseconds + earned
        case .busy: return false
        }
    }
}

/// How long a client may take to send a head and, before ``Limits/HTTP/bodyBytesPerSecond`` counts, a body.
public struct HTTPPace: Sendable {
    public var headMilliseconds = UInt64(Limits.HTTP.headSeconds) * 1_000
    public var bodyMilliseconds = UInt64(Limits.HTTP.bodySeconds) * 1_000
    public init() {}
}
