internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import CShims
internal import Glibc
internal import Synchronization

/// Gets a report a second from the server, on a thread of its own, and again after the stream broke.
final class TopFeed: @unchecked Sendable {
    // SAFETY: `client` is used on `thread` only; the rest is constant or locked.
    struct News: Sendable {
        /// Nil before the first.
        var report: TopReport?
        var reportedAt = Timestamp.zero
        /// Why there is no newer one; nil while they come.
        var problem: ApusError?
    }

    private let client: APIClient
    private let query: [(name: String, value: String)]
    private let thread = WorkThread()
    private let clock = SystemClock()
    private let news = Mutex(News())
    /// Readable once there is news: the reading end, then the writing end.
    private let wake: (CInt, CInt)
    private static let pauseMicroseconds: UInt32 = 1_000_000

    init(_ client: APIClient, query: [(name: String, value: String)]) throws(ApusError) {
        self.client = client
        self.query = query
        var ends: [CInt] = [-1, -1]
        guard pipe(&ends) == 0 else { throw ApusError(.internal, "no pipe: \(String(cString: strerror(errno)))") }
        for end in ends { _ = fcntl(end, F_SETFL, O_NONBLOCK) }
        self.wake = (ends[0], ends[1])
    }

    var signal: CInt { self.wake.0 }

    func start() { self.thread.run { self.follow() } }

    /// What is known now.
    func take() -> News {
        var bytes = [UInt8](repeating: 0, count: 64)
        while bytes.withUnsafeMutableBytes({ read(self.wake.0, $0.baseAddress, $0.count) }) == 64 {}
        return self.news.withLock { $0 }
    }

    private func follow() {
        while true {
            do {
                try self.stream()
                self.tell(ApusError(.serverUnreachable, "\(self.client.server) ended the stream"))
            } catch let error as ApusError {
                self.tell(error)
            } catch {
                self.tell(ApusError(.internal, "\(error)"))
            }
            usleep(Self.pauseMicroseconds)
        }
    }

    private func stream() throws {
        var reader = EventStreamReader(lineBytes: Limits.Commands.answerLineBytes)
        let request = APIRequest(
            .get, self.client.path("stats"), query: self.query, headers: [("Accept", "text/event-stream")])
        try self.client.stream(request) { chunk in
            for data in try reader.take(chunk) {
                let report = TopReport(try JSONValue.parse(data, refusesDuplicates: false))
                let now = self.clock.now
                self.news.withLock { $0 = News(report: report, reportedAt: now) }
                self.ring()
            }
            return true
        }
    }

    private func tell(_ problem: ApusError) {
        self.news.withLock { $0.problem = problem }
        self.ring()
    }

    private func ring() {
        var byte: UInt8 = 1
        // A full pipe wakes as well.
        _ = write(self.wake.1, &byte, 1)
    }
}
