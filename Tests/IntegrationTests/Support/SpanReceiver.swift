import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import Synchronization

/// A receiver of OTLP over HTTP that is as strict as the specification: it keeps what it is sent and says what is wrong with it.
final class SpanReceiver: Sendable {
    struct Received: Sendable {
        var bodies: [[UInt8]] = []
        var problems: [String] = []
        var requests = 0
    }

    let port: UInt16
    private let loop = EventLoop()
    private let received = Mutex(Received())
    /// Requests that are answered with 503 before any is taken.
    private let refusals: Int
    // SAFETY: used on the loop alone.
    nonisolated(unsafe) private var listener: HTTPListener?

    init(refusals: Int = 0) throws {
        self.refusals = refusals
        let socket = try ListeningSocket.open(address: "127.0.0.1", port: 0, reusePort: false, joins: false)
        self.port = ListeningSocket.port(of: socket)
        let descriptor = socket.release()
        try self.loop.runAndWait { () -> Result<Void, ApusError> in
            do throws(ApusError) {
                let listener = HTTPListener(loop: self.loop) { self.take($0) }
                self.listener = listener
                return .success(try listener.listen(socket: OwnedDescriptor(adopting: descriptor)))
            } catch { return .failure(error) }
        }.get()
    }

    func close() {
        let done = Mutex(false)
        self.loop.runAndWait {
            self.listener?.stop(withinMilliseconds: 100) { done.withLock { $0 = true } }
        }
        while !done.withLock({ $0 }) { self.loop.runAndWait {} }
        self.loop.stop()
    }

    var all: Received { self.received.withLock { $0 } }

    private func take(_ exchange: HTTPExchange) {
        let isTaken = self.received.withLock { received in
            received.requests += 1
            guard received.requests > self.refusals else { return false }
            if exchange.method != "POST" || exchange.rawPath != "/v1/traces" {
                received.problems.append("\(exchange.method) \(exchange.rawPath)")
            }
            if exchange.header("Content-Type") != "application/json" { received.problems.append("content type") }
            if exchange.header("X-Test") != nil { received.problems.append("an unknown header") }
            received.bodies.append(exchange.body)
            return true
        }
        guard isTaken else { return exchange.respond(status: 503, headers: [("Retry-After", "1")]) }
        exchange.respond(json: Array(#"{"partialSuccess":{}}"#.utf8))
    }

    /// Every span so far, by its id, and what is wrong.
    func spans() -> (spans: [String: JSONValue], problems: [String]) {
        let received = self.all
        var check = SpanCheck(problems: received.problems)
        for body in received.bodies { check.read(body) }
        return (check.spans, check.problems)
    }
}

/// Reads `ExportTraceServiceRequest` in JSON, member by member: what it does not know is a mistake.
struct SpanCheck {
    private(set) var spans: [String: JSONValue] = [:]
    private(set) var problems: [String]

    init(problems: [String] = []) { self.problems = problems }

    mutating func read(_ body: [UInt8]) {
        guard let json = try? JSONValue.parse(body) else { return self.problems.append("no JSON") }
        self.members(json, ["resourceSpans"])
        for resource in json["resourceSpans"]?.array ?? [] {
            self.members(resource, ["resource", "scopeSpans"])
            let names = self.attributes(resource["resource"]?["attributes"])
            for name in ["service.name", "service.version", "host.name"] where names[name]?.string == nil {
                self.problems.append("the resource has no \(name)")
            }
            for scope in resource["scopeSpans"]?.array ?? [] {
                self.members(scope, ["scope", "spans"])
                for span in scope["spans"]?.array ?? [] { self.span(span) }
            }
        }
    }

    /// Parents that are not there, but for those of outside.
    func orphans(outside: Set<String>) -> [String] {
        self.spans.values.compactMap { $0["parentSpanId"]?.string }.filter {
            self.spans[$0] == nil && !outside.contains($0)
        }
    }

    private mutating func members(_ json: JSONValue, _ known: Set<String>) {
        for member in json.object ?? JSONObject() where !known.contains(member.name) {
            self.problems.append("the member \(member.name) does not exist")
        }
    }

    private mutating func span(_ span: JSONValue) {
        self.members(
            span,
            [
                "traceId", "spanId", "parentSpanId", "traceState", "name", "kind", "flags", "startTimeUnixNano",
                "endTimeUnixNano", "attributes", "events", "links", "status",
            ])
        let id = self.id(span, "spanId", 16)
        _ = self.id(span, "traceId", 32)
        if span["parentSpanId"] != nil { _ = self.id(span, "parentSpanId", 16) }
        if span["name"]?.string?.isEmpty ?? true { self.problems.append("a span without name") }
        if !(1...5).contains(span["kind"]?.integer ?? 0) { self.problems.append("kind") }
        if span["flags"]?.integer != 1 { self.problems.append("flags") }
        let (start, end) = (self.time(span, "startTimeUnixNano"), self.time(span, "endTimeUnixNano"))
        if end < start { self.problems.append("it ends before it starts") }
        _ = self.attributes(span["attributes"])
        for event in span["events"]?.array ?? [] {
            self.members(event, ["timeUnixNano", "name", "attributes"])
            _ = self.time(event, "timeUnixNano")
            _ = self.attributes(event["attributes"])
        }
        for link in span["links"]?.array ?? [] {
            self.members(link, ["traceId", "spanId"])
            _ = self.id(link, "traceId", 32)
            _ = self.id(link, "spanId", 16)
        }
        self.members(span["status"] ?? .null, ["code", "message"])
        if let code = span["status"]?["code"]?.integer, code != 2 { self.problems.append("status \(code)") }
        if self.spans.updateValue(span, forKey: id) != nil { self.problems.append("the span \(id) came twice") }
    }

    private mutating func id(_ json: JSONValue, _ name: String, _ digits: Int) -> String {
        let text = json[name]?.string ?? ""
        let isSound =
            text.utf8.count == digits && text.utf8.contains { $0 != 0x30 }
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
        if !isSound { self.problems.append("\(name): '\(text)'") }
        return text
    }

    /// 64-bit integers are strings of digits in JSON.
    private mutating func time(_ json: JSONValue, _ name: String) -> UInt64 {
        // Between 2020 and 2100, in nanoseconds.
        guard let text = json[name]?.string, let time = UInt64(text), text == String(time),
            (1_577_836_800_000_000_000..<4_102_444_800_000_000_000).contains(time)
        else {
            self.problems.append("\(name): \(json[name] ?? .null)")
            return 0
        }
        return time
    }

    private mutating func attributes(_ json: JSONValue?) -> [String: JSONValue] {
        var found: [String: JSONValue] = [:]
        for attribute in json?.array ?? [] {
            self.members(attribute, ["key", "value"])
            let value = attribute["value"] ?? .null
            self.members(value, ["stringValue", "intValue", "boolValue"])
            let name = attribute["key"]?.string ?? ""
            let content = value["stringValue"] ?? value["intValue"] ?? value["boolValue"]
            if name.isEmpty || Array(value.object ?? JSONObject()).count != 1 {
                self.problems.append("attribute '\(name)'")
            }
            if let number = value["intValue"], number.string.flatMap({ Int64($0) }) == nil {
                self.problems.append("intValue of \(name) is no string of digits")
            }
            if found.updateValue(content ?? .null, forKey: name) != nil { self.problems.append("\(name) twice") }
        }
        return found
    }
}
