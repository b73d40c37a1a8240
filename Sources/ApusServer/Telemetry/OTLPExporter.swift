internal import ApusCore
internal import ApusHTTP
internal import ApusJSON
internal import ApusLoop
internal import ApusTelemetry
internal import Glibc

/// Sends the spans that a ``Tracer`` holds to a receiver of OTLP over HTTP, on a thread of its own, where waiting for the receiver
/// holds up nobody.
final class OTLPExporter: @unchecked Sendable {
    // SAFETY: what is not constant is touched on `loop` only; other threads reach it by `runAndWait`.

    private let loop = EventLoop()
    private let clock = SystemClock()
    private let tracer: Tracer
    private let url: String
    private let headers: [HTTPHeader]
    private let resource: [Span.Attribute]
    private let version: String
    private let journal: Log
    private var client: HTTPClient?
    private var timer: LoopTimer?
    private var schedule = ExportSchedule()
    /// What is being sent, until the receiver has answered for good.
    private var batch: [Span] = []
    private var notBefore = Timestamp.zero
    private var isFailing = false

    /// - Throws: `internal` when the HTTP library does not start.
    init(_ tracer: Tracer, _ configuration: TelemetryConfiguration, endpoint: String, version: String, journal: Log)
        throws(ApusError)
    {
        self.tracer = tracer
        self.url = endpoint + (endpoint.hasSuffix("/") ? "" : "/") + OTLPTraces.path.dropFirst()
        self.headers =
            [HTTPHeader("Content-Type", OTLPTraces.mediaType)]
            + configuration.headers.sorted { $0.key < $1.key }.map { HTTPHeader($0.key, $0.value) }
        self.resource = Self.resource(version)
        self.version = version
        self.journal = journal
        let client = try Self.client(milliseconds: Limits.Telemetry.exportTimeoutMilliseconds)
        // SAFETY: made here, used on the loop alone from here on.
        nonisolated(unsafe) let handed = client
        self.loop.runAndWait {
            self.client = handed
            let timer = LoopTimer(self.loop) { [unowned self] in self.export() }
            timer.start(
                milliseconds: Limits.Telemetry.exportMilliseconds, repeating: Limits.Telemetry.exportMilliseconds)
            self.timer = timer
        }
    }

    private static func client(milliseconds: Int) throws(ApusError) -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        configuration.connectTimeoutMilliseconds = milliseconds
        configuration.timeoutMilliseconds = milliseconds
        // What a receiver says is a line or two.
        configuration.responseBytes = 64 * 1024
        return try HTTPClient(configuration: configuration)
    }

    /// What all spans of this process have in common.
    static func resource(_ version: String) -> [Span.Attribute] {
        var name = [CChar](repeating: 0, count: 256)
        let host =
            gethostname(&name, name.count - 1) == 0
            ? String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) : "localhost"
        return [
            Span.Attribute("service.name", "apus"), Span.Attribute("service.version", version),
            Span.Attribute("service.instance.id", "\(host):\(getpid())"), Span.Attribute("host.name", host),
            Span.Attribute("process.pid", Int(getpid())), Span.Attribute("telemetry.sdk.name", "apus"),
            Span.Attribute("telemetry.sdk.language", "swift"), Span.Attribute("telemetry.sdk.version", version),
        ]
    }

    // MARK: on the loop

    /// Sends what waits, batch by batch, until nothing does or the receiver wants to be left alone for a while.
    private func export() {
        while self.clock.now >= self.notBefore {
            if self.batch.isEmpty { self.batch = self.tracer.take(Limits.Telemetry.spansPerExport) }
            guard !self.batch.isEmpty, let client = self.client else { return }
            self.send(client)
        }
    }

    private func send(_ client: HTTPClient) {
        let (answer, said) = self.answer(client)
        switch self.schedule.answered(answer, now: self.clock.now) {
        case .next:
            self.tracer.exported(self.batch.count)
            self.batch = []
            if self.isFailing { self.journal.info("traces are exported again", ["receiver": self.url]) }
            self.isFailing = false
        case .drop:
            self.tracer.dropped(self.batch.count)
            self.journal.warning(
                "spans were dropped: the receiver did not take them",
                ["receiver": self.url, "spans": "\(self.batch.count)", "reason": said])
            self.batch = []
        case .again(let time):
            self.notBefore = time
            if !self.isFailing {
                self.journal.warning(
                    "traces cannot be exported; it is tried again", ["receiver": self.url, "reason": said])
            }
            self.isFailing = true
        }
    }

    private func answer(_ client: HTTPClient) -> (ExportSchedule.Answer, String) {
        let body = OTLPTraces.encode(self.batch, resource: self.resource, version: self.version)
        do throws(ApusError) {
            let response = try client.request("POST", self.url, headers: self.headers, body: body)
            let answer = Self.answer(status: response.status, retryAfter: response.header("Retry-After"))
            if answer == .accepted { self.noteRejected(response.body) }
            return (answer, "HTTP status \(response.status)")
        } catch {
            return (error.code == .invalidArgument ? .refused : .busy(retryAfter: nil), error.message)
        }
    }

    /// As the OTLP specification says which statuses mean that the same batch may be sent again.
    static func answer(status: Int, retryAfter: String?) -> ExportSchedule.Answer {
        if (200..<300).contains(status) { return .accepted }
        guard [429, 502, 503, 504].contains(status) else { return .refused }
        let seconds = retryAfter.flatMap { UInt16($0) }
        return .busy(retryAfter: seconds.map { .seconds(Int64($0)) })
    }

    /// A receiver may take a part of a batch.
    private func noteRejected(_ body: [UInt8]) {
        guard !body.isEmpty, let json = try? JSONValue.parse(body), let partial = json["partialSuccess"],
            let rejected = partial["rejectedSpans"]?.integer ?? partial["rejectedSpans"]?.string.flatMap({ Int64($0) }),
            rejected > 0
        else { return }
        self.tracer.dropped(Int(clamping: rejected))
        self.journal.warning(
            "the receiver rejected spans",
            ["receiver": self.url, "spans": "\(rejected)", "reason": partial["errorMessage"]?.string ?? ""])
    }

    // MARK: the end

    /// Sends what still waits, within a bound, and ends the thread. From any thread but a loop, once.
    func stop() {
        self.loop.runAndWait {
            self.timer?.close()
            self.timer = nil
            self.client = nil
            self.exportLast()
        }
        self.loop.stop()
    }

    private func exportLast() {
        let end = self.clock.now + .milliseconds(Int64(Limits.Telemetry.lastExportMilliseconds))
        while self.clock.now < end {
            if self.batch.isEmpty { self.batch = self.tracer.take(Limits.Telemetry.spansPerExport) }
            let left = Int((end - self.clock.now).milliseconds)
            guard !self.batch.isEmpty, left > 0, let client = try? Self.client(milliseconds: left),
                self.answer(client).0 == .accepted
            else { break }
            self.tracer.exported(self.batch.count)
            self.batch = []
        }
        let lost = self.batch.count + self.tracer.take(Limits.Telemetry.waitingSpans).count
        guard lost > 0 else { return }
        self.tracer.dropped(lost)
        self.journal.warning("spans were dropped at the end", ["receiver": self.url, "spans": "\(lost)"])
    }
}
