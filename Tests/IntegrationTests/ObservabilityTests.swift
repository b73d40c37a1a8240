import ApusHTTP
import ApusJSON
import ApusLoop
import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ObservabilityTests {
    private static let traced = """
        def handle(event, context):
            print("traced", context.trace)
            return {"text": event.data["text"], "trace": context.trace}
        """

    private static func token(_ server: TestServer) throws -> String {
        String(decoding: try readFile("\(server.data)/run/admin.token"), as: UTF8.self).filter { !$0.isWhitespace }
    }

    private static func ask(
        _ server: TestServer, _ method: String, _ path: String, _ headers: [(String, String)] = [], body: String? = nil
    ) throws -> HTTPResponse {
        let all = [("Authorization", "Bearer \(try Self.token(server))")] + headers
        return try HTTPClient().request(
            method, server.url + path, headers: all.map { HTTPHeader($0.0, $0.1) }, body: body.map { Array($0.utf8) })
    }

    // MARK: traces

    @Test func oneTraceGoesFromTheProducerThroughFunctionsToTheReceiver() throws {
        let receiver = try SpanReceiver(refusals: 1)
        defer { receiver.close() }
        let server = try TestServer(
            variables: ["APUS_TELEMETRY_OTLP_ENDPOINT": "http://127.0.0.1:\(receiver.port)"])
        try server.start()
        // Without waiting for a worker: the first event finds none.
        let folder = try server.write(
            "worker", manifest: Functions.between("in", "out"), files: ["main.py": Self.traced])
        #expect(server.apus("deploy", folder).status == 0)
        let (trace, producer) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
        let headers = [
            ("traceparent", "00-\(trace)-\(producer)-01"), ("tracestate", "vendor=1"),
            ("Content-Type", "application/json"),
        ]
        let published = try Self.ask(
            server, "POST", "/v1/topics/in/events", headers, body: #"{"text": "one"}"#)
        #expect(published.status == 202)
        let response = published.header("traceresponse") ?? ""
        #expect(response.hasPrefix("00-\(trace)-") && response.hasSuffix("-01"))
        let invoked = try Self.ask(
            server, "POST", "/v1/functions/worker/invoke", headers, body: #"{"text": "two"}"#)
        #expect(invoked.status == 200)
        #expect(waitUntil(seconds: 20) { server.consume("out").count == 1 })
        #expect(
            waitUntil(seconds: 20) {
                let spans = receiver.spans().spans.values
                return spans.contains { $0["name"]?.string == "commit" } && spans.count >= 7
            }, "\(receiver.spans())")

        let (spans, problems) = receiver.spans()
        #expect(problems.isEmpty, "\(problems)")
        let ours = spans.filter { $0.value["traceId"]?.string == trace }
        func named(_ name: String) -> [JSONValue] { ours.values.filter { $0["name"]?.string == name } }
        let server1 = try #require(named("POST /v1/topics/{topic}/events").first)
        #expect(server1["parentSpanId"]?.string == producer && server1["traceState"]?.string == "vendor=1")
        let delivery = try #require(named("process in").first)
        #expect(delivery["parentSpanId"] == server1["spanId"])
        let attempts = named("attempt worker")
        #expect(attempts.count == 2, "one of the delivery, one of the call")
        let call = try #require(named("POST /v1/functions/{name}/invoke").first)
        #expect(
            Set(attempts.compactMap { $0["parentSpanId"]?.string })
                == Set([delivery, call].compactMap { $0["spanId"]?.string }))
        #expect(!named("start worker").isEmpty && named("commit").first?["parentSpanId"] == delivery["spanId"])
        var check = SpanCheck()
        for body in receiver.all.bodies { check.read(body) }
        #expect(check.orphans(outside: [producer]).isEmpty)

        // What the function saw is its attempt.
        let answer = try JSONValue.parse(invoked.body)["trace"]?.string ?? ""
        #expect(attempts.contains { "00-\(trace)-\($0["spanId"]?.string ?? "")-01" == answer }, "\(answer)")
        #expect(
            waitUntil(seconds: 20) {
                let lines = try? Self.ask(server, "GET", "/v1/functions/worker/logs")
                let items = lines.flatMap { try? JSONValue.parse($0.body) }?["items"]?.array ?? []
                return items.count { $0["trace"]?.string == trace } == 2
            }, "\(server.apus("logs", "worker", "--output", "json").output)")
        try Self.checkWithProtobuf(receiver.all.bodies, in: server.folder)
        #expect(server.terminate() == 0)
    }

    @Test func aCommandFindsItsAttemptsTraceInItsEnvironment() throws {
        let receiver = try SpanReceiver()
        defer { receiver.close() }
        let server = try TestServer(
            variables: ["APUS_TELEMETRY_OTLP_ENDPOINT": "http://127.0.0.1:\(receiver.port)"])
        try server.start()
        let manifest = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: show}
            spec: {runtime: exec, handler: printenv TRACEPARENT TRACESTATE, source: .}
            """
        server.deploy(try server.write("show", manifest: manifest))
        let (trace, producer) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7")
        let headers = [("traceparent", "00-\(trace)-\(producer)-01"), ("tracestate", "vendor=1")]
        let answer = try Self.ask(server, "POST", "/v1/functions/show/invoke", headers, body: "{}")
        #expect(server.terminate() == 0)
        let attempt = try #require(receiver.spans().spans.values.first { $0["name"]?.string == "attempt show" })
        #expect(
            String(decoding: answer.body, as: UTF8.self)
                == "00-\(trace)-\(attempt["spanId"]?.string ?? "")-01\nvendor=1\n")
    }

    @Test func whatIsNotYetExportedIsSentAtTheEnd() throws {
        let receiver = try SpanReceiver()
        defer { receiver.close() }
        let server = try TestServer(
            variables: ["APUS_TELEMETRY_OTLP_ENDPOINT": "http://127.0.0.1:\(receiver.port)"])
        try server.start()
        #expect(server.apus("get", "topics").status == 0)
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "x"}"#).status == 0)
        #expect(server.terminate() == 0)
        let (spans, problems) = receiver.spans()
        #expect(problems.isEmpty, "\(problems)")
        #expect(spans.values.contains { $0["name"]?.string == "attempt worker" })
    }

    @Test func aReceiverThatIsGoneHoldsUpNothing() throws {
        let server = try TestServer(variables: ["APUS_TELEMETRY_OTLP_ENDPOINT": "http://127.0.0.1:9"])
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "x"}"#).status == 0)
        #expect(waitUntil(seconds: 20) { server.log.contains("traces cannot be exported") })
        #expect(server.terminate() == 0)
    }

    /// The same bytes for the protocol's own implementation, where the package index can be reached.
    private static func checkWithProtobuf(_ bodies: [[UInt8]], in folder: String) throws {
        let target = "\(InstalledTree.packageRoot)/.build/peers/otlp"
        if access("\(target)/opentelemetry/proto", F_OK) != 0 {
            let pip = try ChildProcess(
                "/usr/bin/python3",
                [
                    "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary=:all:", "--target",
                    target, "opentelemetry-proto==1.45.2",
                ], in: folder)
            guard pip.wait(seconds: 120) == 0 else {
                print("skipped: opentelemetry-proto cannot be installed, so its parser does not check the spans")
                return
            }
        }
        try writeFile("\(folder)/check.py", Self.checker)
        let list = bodies.map { String(decoding: $0, as: UTF8.self) }.joined(separator: "\n")
        try writeFile("\(folder)/spans.ndjson", list)
        let check = try ChildProcess(
            "/usr/bin/python3", ["\(folder)/check.py", "\(folder)/spans.ndjson"],
            environment: currentEnvironment().merging(["PYTHONPATH": target]) { $1 }, in: folder)
        #expect(check.wait(seconds: 60) == 0, "\(check.output)\(check.errors)")
        #expect(check.output.contains("spans"), "\(check.output)")
    }

    /// OTLP's JSON is that of protocol buffers but for ids, which are hexadecimal instead of base64.
    private static let checker = """
        import base64, json, sys
        from google.protobuf import json_format
        from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

        def ids(value):
            if isinstance(value, list):
                return [ids(item) for item in value]
            if isinstance(value, dict):
                return {name: base64.b64encode(bytes.fromhex(item)).decode() if name in ("traceId", "spanId", "parentSpanId")
                        else ids(item) for name, item in value.items()}
            return value

        count = 0
        for line in open(sys.argv[1]):
            request = json_format.Parse(json.dumps(ids(json.loads(line))), ExportTraceServiceRequest())
            for span in request.resource_spans[0].scope_spans[0].spans:
                assert len(span.trace_id) == 16 and len(span.span_id) == 8, span
                assert 0 < span.start_time_unix_nano <= span.end_time_unix_nano, span
                count += 1
        print(count, "spans")
        """

    // MARK: timing, deliveries, rates

    @Test func answersSayWhereTheirTimeWentAndDeliveriesAreShown() throws {
        let server = try TestServer()
        try server.start()
        let failing = """
            def handle(event, context):
                raise ValueError("no " + event.data["text"])
            """
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        let broken = Functions.between(
            "bad", "worse", trigger: ", retry: {attempts: 2, initial: 1ms}, deadLetter: worse"
        )
        .replacing("name: worker", with: "name: broken")
        server.deploy(try server.write("broken", manifest: broken, files: ["main.py": failing]))
        let json = [("Content-Type", "application/json")]
        let answer = try Self.ask(server, "POST", "/v1/functions/worker/invoke", json, body: #"{"text": "x"}"#)
        #expect(answer.header("Server-Timing")?.contains("running;dur=") == true, "\(answer.headers)")
        #expect(answer.header("Apus-Isolation")?.hasPrefix("standard") ?? false)
        let timing = answer.header("Apus-Timing") ?? ""
        #expect(timing.hasPrefix("queued=") && timing.hasSuffix("committing=0"), "\(timing)")
        #expect(try Self.ask(server, "POST", "/v1/topics/bad/events", json, body: #"{"text": "way"}"#).status == 202)
        func deliveries(_ query: String) -> [JSONValue] {
            let answer = try? Self.ask(server, "GET", "/v1/deliveries?\(query)")
            return answer.flatMap { try? JSONValue.parse($0.body) }?["items"]?.array ?? []
        }
        #expect(waitUntil(seconds: 20) { deliveries("state=deadLettered").count == 1 })
        let dead = try #require(deliveries("function=broken&state=deadLettered").first)
        #expect(dead["attempts"]?.integer == 2 && dead["lastAttempts"]?.array?.count == 2)
        #expect(dead["message"]?.string?.contains("no way") == true && dead["topic"]?.string == "bad")
        #expect(dead["lastAttempts"]?.array?.first?["code"]?.string == "function_failed")
        let id = dead["id"]?.string ?? ""
        #expect(try JSONValue.parse(try Self.ask(server, "GET", "/v1/deliveries/\(id)").body)["id"]?.string == id)
        #expect(deliveries("function=worker&state=succeeded").first?["id"]?.string == answer.header("Apus-Invocation"))
        #expect(
            waitUntil(seconds: 20) {
                let stats = try? Self.ask(server, "GET", "/v1/stats?seconds=60")
                let report = stats.flatMap { try? JSONValue.parse($0.body) }
                let topics = report?["topics"]?.array ?? []
                let functions = report?["functions"]?.array ?? []
                return topics.contains { $0["name"]?.string == "bad" }
                    && functions.first { $0["name"]?.string == "broken" }?["totals"]?["failed"]?.integer == 2
                    && (report?["coldStarts"]?["count"]?.integer ?? 0) >= 2
            })
        #expect(server.terminate() == 0)
    }

    // MARK: metrics

    @Test func prometheusItselfScrapesTheServer() throws {
        guard let folder = Self.prometheus() else {
            print("skipped: Debian's prometheus is not here and cannot be fetched: only our own parser reads /metrics")
            return
        }
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "x"}"#).status == 0)
        try writeFile("\(server.folder)/token", try Self.token(server))
        try writeFile(
            "\(server.folder)/prometheus.yml",
            """
            global: {scrape_interval: 1s}
            scrape_configs:
              - job_name: apus
                authorization: {credentials_file: \(server.folder)/token}
                static_configs: [{targets: ["127.0.0.1:\(server.port)"]}]
            """)
        // A free port, as far as one can know.
        let socket = try ListeningSocket.open(address: "127.0.0.1", port: 0, reusePort: false, joins: false)
        let port = ListeningSocket.port(of: socket)
        close(socket.release())
        let process = try ChildProcess(
            "\(folder)/prometheus",
            [
                "--config.file=\(server.folder)/prometheus.yml", "--storage.tsdb.path=\(server.folder)/tsdb",
                "--web.listen-address=127.0.0.1:\(port)",
            ], in: server.folder)
        defer {
            process.signal(SIGKILL)
            _ = process.wait(seconds: 10)
        }
        func value(_ query: String) -> Double? {
            let answer = try? HTTPClient().request("GET", "http://127.0.0.1:\(port)/api/v1/query?query=\(query)")
            let result = answer.flatMap { try? JSONValue.parse($0.body) }?["data"]?["result"]?.array?.first
            return result?["value"]?.array?.last?.string.flatMap { Double($0) }
        }
        #expect(waitUntil(seconds: 60) { value("up") == 1 }, "\(process.errors)")
        #expect(waitUntil(seconds: 30) { value("apus_running_seconds_count") == 1 }, "\(process.errors)")
        #expect(value("apus_functions") == 1 && value("apus_log_short") == 0)
        #expect((value("process_open_fds") ?? 0) > 0 && (value("process_resident_memory_bytes") ?? 0) > 0)
        try Self.checkWithPromtool(
            "\(folder)/promtool", try Self.ask(server, "GET", "/metrics").body, in: server.folder)
    }

    /// Where Debian's prometheus and promtool are. When they are not installed their package is only unpacked: installing it would
    /// start a service.
    private static func prometheus() -> String? {
        let peers = "\(InstalledTree.packageRoot)/.build/peers/prometheus"
        for folder in ["/usr/bin", "\(peers)/usr/bin"] where access("\(folder)/prometheus", X_OK) == 0 { return folder }
        let fetch =
            "mkdir -p \(peers) && cd \(peers) && apt-get download prometheus && dpkg-deb -x prometheus_*.deb . && rm *.deb"
        guard
            let child = try? ChildProcess("/bin/sh", ["-c", fetch], environment: currentEnvironment(), in: "/var/tmp"),
            child.wait(seconds: 120) == 0
        else { return nil }
        return "\(peers)/usr/bin"
    }

    private static func checkWithPromtool(_ promtool: String, _ text: [UInt8], in folder: String) throws {
        let tool = try ChildProcess(
            promtool, ["check", "metrics"], environment: currentEnvironment(), input: text, in: folder)
        let status = tool.wait(seconds: 30)
        // Its opinions on style (3) are no mistakes; what does not parse is 1.
        #expect(status == 0 || status == 3, "\(tool.output)\(tool.errors)")
    }
}
