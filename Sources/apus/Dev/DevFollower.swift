internal import ApusCore
internal import ApusJSON
internal import ApusLoop
internal import ApusStore
internal import Glibc
internal import Synchronization

/// Shows what a function prints, or what arrives on a topic, as it comes, on a thread of its own.
final class DevFollower: @unchecked Sendable {
    // SAFETY: `client` is used on `thread` only.
    enum Source: Sendable {
        case logs(String)
        case replies(String)

        var name: String {
            switch self {
            case .logs(let function): "function/\(function)"
            case .replies(let topic): "topic/\(topic)"
            }
        }
    }

    private let source: Source
    private let client: APIClient
    private let screen: DevScreen
    private let thread = WorkThread()
    /// What was printed before is not of this session.
    private let since: Timestamp
    private let isStarted = Atomic(false)
    private let isStopping = Atomic(false)
    /// How long after a broken stream the next is asked for.
    private static let pauseMicroseconds: UInt32 = 500_000

    init(_ source: Source, _ client: APIClient, _ screen: DevScreen, since: Timestamp) {
        self.source = source
        self.since = since
        self.client = client
        self.screen = screen
    }

    /// Begins once; what it follows must be there.
    func start() {
        guard !self.isStarted.exchange(true, ordering: .relaxed) else { return }
        self.thread.run { self.follow() }
    }

    /// It leaves with the next thing that comes, or with the process.
    func stop() { self.isStopping.store(true, ordering: .relaxed) }

    private func follow() {
        while !self.isStopping.load(ordering: .relaxed) {
            do { try self.stream() } catch {
                // The server is being restarted, or the function was deleted: this is a view, and what deploys tells of errors.
            }
            usleep(Self.pauseMicroseconds)
        }
    }

    private func stream() throws {
        let (path, query) =
            switch self.source {
            case .logs(let function): (self.client.path("functions", function, "logs"), [(name: "limit", value: "1")])
            case .replies(let topic): (self.client.path("topics", topic, "events"), [(name: "from", value: "latest")])
            }
        var reader = EventStreamReader(lineBytes: Limits.Commands.lineBytes)
        let request = APIRequest(.get, path, query: query, headers: [("Accept", "text/event-stream")])
        try self.client.stream(request) { chunk in
            for data in try reader.take(chunk) { self.show(try JSONValue.parse(data, refusesDuplicates: false)) }
            return !self.isStopping.load(ordering: .relaxed)
        }
    }

    private func show(_ value: JSONValue) {
        switch self.source {
        case .logs(let function):
            if let time = value["time"]?.string.flatMap(RFC3339.parse), time < self.since { return }
            self.screen.log(function, value)
        case .replies(let topic): self.screen.reply(topic, value)
        }
    }
}
