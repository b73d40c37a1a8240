import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import ApusStore
import ApusTelemetry
import ApusTestSupport
import CShims
import Glibc
import Synchronization
import Testing

@testable import ApusSandbox
@testable import ApusServer

/// A whole server on a log in memory, whose nursery takes every request and answers none.
final class ServerBed: Sendable {
    let log = MemoryLog { SystemClock().now }
    let folder = ScratchDirectory("server")
    let server: Server
    let port: UInt16
    let token: String
    private let nurseries: [CInt]

    struct Failed: Error { let what: String }

    init(
        shards: Int = 1, drainSeconds: Int64 = 0, _ configure: (inout ServerConfiguration) -> Void = { _ in }
    ) throws {
        for name in ["bundles", "layers", "run"] { #expect(mkdir("\(self.folder.path)/\(name)", 0o700) == 0) }
        var ours: [CInt] = []
        var theirs: [CInt] = []
        for _ in 0..<shards + 2 {
            var pair: [CInt] = [-1, -1]
            guard
                socketpair(
                    AF_UNIX, CInt(SOCK_SEQPACKET.rawValue) | CInt(SOCK_CLOEXEC.rawValue) | CInt(SOCK_NONBLOCK.rawValue),
                    0, &pair) == 0
            else { throw Failed(what: "no socket pair") }
            ours.append(pair[0])
            theirs.append(pair[1])
        }
        self.nurseries = theirs
        var sockets: [CInt] = []
        var port: UInt16 = 0
        for index in 0..<shards {
            let socket = try ListeningSocket.open(
                address: "127.0.0.1", port: port, reusePort: shards > 1, joins: index > 0)
            port = ListeningSocket.port(of: socket)
            sockets.append(socket.release())
        }
        self.port = port
        var configuration = ServerConfiguration(dataDirectory: self.folder.path)
        configuration.shards = shards
        configuration.drainSeconds = drainSeconds
        configure(&configuration)
        let parts = Server.Parts(
            log: self.log, journal: Log(), sockets: sockets, channels: ours, report: HostReport(nursery_event()))
        self.server = try Server(configuration, parts) {}
        self.token = try Self.token(in: self.folder.path)
    }

    deinit { for descriptor in self.nurseries { close(descriptor) } }

    private static func token(in folder: String) throws -> String {
        let descriptor = open("\(folder)/run/admin.token", O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw Failed(what: "no token") }
        defer { close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 1_024)
        let count = read(descriptor, &bytes, bytes.count)
        return String(decoding: bytes.prefix(max(0, count)).prefix { $0 > 0x20 }, as: UTF8.self)
    }

    // MARK: asking

    private func headers(_ more: [HTTPHeader], hasToken: Bool) -> [HTTPHeader] {
        (hasToken ? [HTTPHeader("Authorization", "Bearer \(self.token)")] : []) + more
    }

    func ask(
        _ method: String, _ path: String, headers: [HTTPHeader] = [], body: String? = nil, hasToken: Bool = true
    ) throws -> HTTPResponse {
        let client = try HTTPClient()
        return try client.request(
            method, "http://127.0.0.1:\(self.port)\(path)", headers: self.headers(headers, hasToken: hasToken),
            body: body.map { Array($0.utf8) })
    }

    /// A streamed answer, read on a thread of its own.
    final class Stream: Sendable {
        private let thread = WorkThread()
        private let lines = Mutex<(whole: [String], rest: [UInt8])>(([], []))
        private let outcome = Mutex<Result<HTTPResponse, ApusError>?>(nil)

        init(
            _ bed: ServerBed, _ method: String, _ path: String, headers: [HTTPHeader], body: String? = nil,
            hasToken: Bool = true, isPaused: @escaping @Sendable () -> Bool
        ) {
            let (url, headers) = ("http://127.0.0.1:\(bed.port)\(path)", bed.headers(headers, hasToken: hasToken))
            self.thread.run {
                do throws(ApusError) {
                    let client = try HTTPClient()
                    let response = try client.stream(method, url, headers: headers, body: body.map { Array($0.utf8) }) {
                        chunk in
                        while isPaused() { usleep(1_000) }
                        self.take(chunk)
                        return true
                    }
                    self.outcome.withLock { $0 = .success(response) }
                } catch {
                    self.outcome.withLock { $0 = .failure(error) }
                }
            }
        }

        /// What was read; lines longer than a kibibyte, which are data, are left out.
        var read: String {
            self.lines.withLock {
                $0.whole.map { $0 + "\n" }.joined() + String(decoding: $0.rest.prefix(1_024), as: UTF8.self)
            }
        }

        private func take(_ chunk: [UInt8]) {
            self.lines.withLock { lines in
                var start = 0
                while let end = Self.lineEnd(chunk, start) {
                    let line = lines.rest + chunk[start..<end]
                    if line.count <= 1_024 { lines.whole.append(String(decoding: line, as: UTF8.self)) }
                    lines.rest = []
                    start = end + 1
                }
                // Of a long line only so much is needed as shows that it is one.
                if lines.rest.count <= 1_024 { lines.rest += chunk[start...] }
            }
        }

        private static func lineEnd(_ chunk: [UInt8], _ start: Int) -> Int? {
            chunk.withUnsafeBytes { bytes in
                guard let base = bytes.baseAddress, let found = memchr(base + start, 0x0A, bytes.count - start) else {
                    return nil
                }
                return UnsafeRawPointer(found) - base
            }
        }
        var end: Result<HTTPResponse, ApusError>? { self.outcome.withLock { $0 } }
    }

    func stream(
        _ method: String = "GET", _ path: String, headers: [HTTPHeader] = [], body: String? = nil,
        isPaused: @escaping @Sendable () -> Bool = { false }
    ) -> Stream {
        Stream(self, method, path, headers: headers, body: body, isPaused: isPaused)
    }

    /// A stream of events, for who holds a token.
    func stream(_ path: String, token: String) -> Stream {
        Stream(
            self, "GET", path, headers: [Self.events, HTTPHeader("Authorization", "Bearer \(token)")],
            hasToken: false, isPaused: { false })
    }

    static let events = HTTPHeader("Accept", "text/event-stream")

    /// Waits until a condition holds; fails the test when it does not within the bound.
    static func until(
        _ what: String, seconds: Int64 = 30, location: SourceLocation = #_sourceLocation, _ condition: () -> Bool
    ) throws {
        let deadline = SystemClock().now + .seconds(seconds)
        while !condition() {
            try #require(SystemClock().now < deadline, "not within \(seconds) s: \(what)", sourceLocation: location)
            usleep(1_000)
        }
    }

    // MARK: what there is

    static func problem(_ response: HTTPResponse) -> String? { (try? JSONValue.parse(response.body))?["code"]?.string }

    func makeTopic(_ name: String, partitions: Int = 1) throws -> HTTPResponse {
        try self.ask(
            "PUT", "/v1/topics/\(name)",
            body:
                #"{"apiVersion":"apus.dev/v1","kind":"Topic","metadata":{"name":"\#(name)"},"spec":{"partitions":\#(partitions)}}"#
        )
    }

    /// A bundle that is there already, with these files.
    func makeBundle(_ files: [String: String] = [:]) throws -> String {
        let hash = String(repeating: "b", count: 64)
        let folder = "\(self.folder.path)/bundles/\(hash)"
        if access(folder, F_OK) != 0 { #expect(mkdir(folder, 0o700) == 0) }
        for (name, text) in files {
            let descriptor = open("\(folder)/\(name)", O_WRONLY | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0, write(descriptor, Array(text.utf8), text.utf8.count) == text.utf8.count else {
                throw Failed(what: name)
            }
            close(descriptor)
        }
        return hash
    }

    static func manifest(_ name: String, topic: String? = nil, dependencies: Bool = false) -> String {
        let triggers = topic.map { #","triggers":[{"topic":"\#($0)"}]"# } ?? ""
        let needs = dependencies ? #","dependencies":"requirements.txt""# : ""
        return #"{"apiVersion":"apus.dev/v1","kind":"Function","metadata":{"name":"\#(name)"},"#
            + #""spec":{"runtime":"python3","handler":"main:handle","source":"."\#(triggers)\#(needs)}}"#
    }

    func makeFunction(_ name: String, topic: String? = nil) throws -> HTTPResponse {
        try self.ask(
            "PUT", "/v1/functions/\(name)", headers: [HTTPHeader("Apus-Bundle", try self.makeBundle())],
            body: Self.manifest(name, topic: topic))
    }

    func append(_ topic: TopicName, _ event: Event, partition: Int = 0) throws -> LogReceipt.Place {
        let slot = ResultSlot<Result<LogReceipt, ApusError>>()
        self.log.submit(
            LogBatch(
                urgency: .producer,
                appends: [LogBatch.Append(topic: topic, partition: partition, block: EventBlock.encode(event))])
        ) { slot.fill($0) }
        return try #require(try slot.take().get().places.first)
    }
}
