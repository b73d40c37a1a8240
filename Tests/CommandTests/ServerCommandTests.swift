import ApusCore
import ApusJSON
import Glibc
import Testing

@testable import apus

@Suite struct ServerCommandTests {
    let fixture = CommandFixture()

    // MARK: deploy

    private func writeBuilt(_ build: String, handler: String = "./run") {
        _ = self.fixture.write(
            "built/manifest.yaml",
            "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: built}\nspec: {runtime: exec, handler: \(handler), build: '\(build)'}\n"
        )
    }

    private func answerDeploys() {
        self.fixture.server.answer = { request throws(ApusError) in
            request.target == "/v1/bundles"
                ? FakeServer.json("{}", status: 201) : FakeServer.json(#"{"result":{"outcomes":[]}}"# + "\n")
        }
    }

    @Test func deployBuildsFirstInTheManifestsFolder() throws {
        self.answerDeploys()
        self.writeBuilt("echo building >&2; printf \"#!/bin/sh\" > run && chmod +x run")
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/built") == 0, "\(self.fixture.terminal.errors)")
        #expect(self.fixture.terminal.errors.contains("building "))
        #expect(self.fixture.server.requests.map(\.target) == ["/v1/bundles", "/v1/deployments"])
    }

    @Test func aBuildThatFailsDeploysNothing() throws {
        self.answerDeploys()
        self.writeBuilt("exit 3")
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/built") == 1)
        #expect(self.fixture.terminal.errors.contains("exit code 3"))
        #expect(self.fixture.server.requests.isEmpty)
        // A build that ends well without its program is told before anything is sent.
        self.writeBuilt("true")
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/built") == 1)
        #expect(self.fixture.terminal.errors.contains("does spec.build make it there?"))
        #expect(self.fixture.server.requests.isEmpty)
    }

    @Test func neitherADryRunNorNoBuildBuilds() throws {
        self.answerDeploys()
        self.writeBuilt("touch built-it; exit 1")
        let program = self.fixture.write("built/run", "#!/bin/sh\n")
        chmod(program, 0o755)
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/built", "--dry-run") == 0)
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/built", "--no-build") == 0)
        #expect(access("\(self.fixture.folder)/built/built-it", F_OK) != 0)
    }

    private let manifest = """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: documents}
        spec: {partitions: 1}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: echo}
        spec: {runtime: python3, handler: "main:handle", source: ., triggers: [{topic: documents}]}
        """

    @Test func deploySendsBundlesThenAllDocumentsAndShowsProgress() throws {
        _ = self.fixture.write("echo/manifest.yaml", self.manifest)
        _ = self.fixture.write("echo/main.py", "def handle(event, context): return event.data\n")
        self.fixture.server.answer = { request throws(ApusError) in
            if request.target == "/v1/bundles" { return FakeServer.json("{}", status: 201) }
            return FakeServer.json(
                """
                {"stage":"write","message":"2 records"}
                {"result":[{"kind":"Function","name":"echo","action":"created","generation":1,"revision":"abc"}]}

                """)
        }
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/echo", "--wait") == 0)
        let requests = self.fixture.server.requests
        #expect(requests.map(\.target) == ["/v1/bundles", "/v1/deployments"])
        let hash = try #require(requests[0].headers.first { $0.name == "Apus-Bundle" }?.value)
        let body = try JSONValue.parse(try #require(requests[1].body))
        #expect(body["documents"]?[1]?["bundle"] == .string(hash))
        #expect(body["documents"]?[0]?["manifest"]?["kind"] == "Topic")
        #expect(body["wait"] == true)
        #expect(body["dryRun"] == false)
        #expect(self.fixture.terminal.errors.contains("write: 2 records"))
        #expect(self.fixture.terminal.text.contains("Function  echo  created"))
    }

    @Test func aFailedDeployIsItsError() {
        _ = self.fixture.write("echo/manifest.yaml", self.manifest)
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(#"{"error":{"code":"build_failed","message":"pip said no"}}"#)
        }
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/echo/manifest.yaml") == 1)
        #expect(self.fixture.terminal.errors.hasSuffix("apus: pip said no [build_failed]\n"))
    }

    @Test func anAnswerWithoutAResultIsAFailure() {
        _ = self.fixture.write("echo/manifest.yaml", self.manifest)
        self.fixture.server.answer = { _ throws(ApusError) in FakeServer.json(#"{"stage":"write","message":"x"}"#) }
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/echo") == 4)
    }

    @Test func aDryRunSendsNoBundle() {
        _ = self.fixture.write("echo/manifest.yaml", self.manifest)
        self.fixture.server.answer = { _ throws(ApusError) in FakeServer.json(#"{"result":[]}"#) }
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/echo", "--dry-run") == 0)
        #expect(self.fixture.server.requests.map(\.target) == ["/v1/deployments"])
    }

    @Test func malformedManifestsOfAllFilesAreListedAndNothingIsSent() {
        let one = self.fixture.write("a.yaml", "apiVersion: apus.dev/v1\nkind: Topik\n")
        let two = self.fixture.write("b.yaml", "kind: Topic\n")
        #expect(self.fixture.run("deploy", one, two) == 1)
        #expect(self.fixture.terminal.errors.contains("a.yaml:2:"))
        #expect(self.fixture.terminal.errors.contains("b.yaml:"))
        #expect(self.fixture.terminal.errors.contains("problems, see above [manifest_invalid]"))
        #expect(self.fixture.server.requests.isEmpty)
    }

    @Test func aFolderWithoutManifestsIsAnError() {
        _ = self.fixture.write("empty/readme.txt", "")
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/empty") == 1)
        #expect(self.fixture.terminal.errors.contains("holds no manifest"))
        #expect(self.fixture.run("deploy", "\(self.fixture.folder)/none") == 1)
    }

    // MARK: invoke, logs, dead

    @Test func aResultIsPrintedAsItComes() {
        self.fixture.server.answer = { _ throws(ApusError) in FakeServer.json(#"{"answer": 42}"#) }
        #expect(self.fixture.run("invoke", "echo", "--data", #"{"a":1}"#) == 0)
        #expect(self.fixture.terminal.text == #"{"answer": 42}"#)
        #expect(self.fixture.server.requests[0].target == "/v1/functions/echo/invoke")
        #expect(self.fixture.server.requests[0].headers.contains { $0 == ("Content-Type", "application/json") })
        let input = self.fixture.write("input.txt", "words")
        #expect(self.fixture.run("invoke", "echo", "--data", "@\(input)", "--output", "yaml") == 0)
        #expect(self.fixture.server.requests[1].body == Array("words".utf8))
        #expect(self.fixture.terminal.text.hasSuffix("answer: 42\n"))
    }

    @Test func anAcceptedInvocationIsPrintedByItsID() {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(#"{"id":"17","state":"queued"}"#, status: 202)
        }
        #expect(self.fixture.run("invoke", "echo", "--async", "--data", "1") == 0)
        #expect(self.fixture.terminal.text == "17\n")
        #expect(self.fixture.server.requests[0].headers.contains { $0 == ("Prefer", "respond-async") })
        #expect(self.fixture.run("invoke", "echo", "--wait") == 2)
    }

    @Test func anAcceptedInvocationIsWaitedForThroughARestartOfTheServer() {
        var states = ["queued", "running", "succeeded"].makeIterator()
        var asked = 0
        self.fixture.server.answer = { request throws(ApusError) in
            if request.method == .post { return FakeServer.json(#"{"id":"17","state":"queued"}"#, status: 202) }
            if request.path.hasSuffix("/result") { return FakeServer.json(#"{"answer":42}"#) }
            asked += 1
            if asked == 2 { throw ApusError(.serverUnreachable, "it is being restarted") }
            return FakeServer.json(#"{"id":"17","state":"\#(states.next() ?? "")"}"#)
        }
        #expect(self.fixture.run("invoke", "echo", "--async", "--wait") == 0)
        #expect(self.fixture.terminal.text == #"{"answer":42}"#)
        #expect(self.fixture.terminal.errors == "invocation 17\n")
        #expect(self.fixture.terminal.pauses == 1)
        #expect(self.fixture.server.requests[1].target == "/v1/invocations/17?wait=30")
    }

    @Test func anInvocationThatFailedFailsTheCommandThatWaitsForIt() {
        self.fixture.server.answer = { request throws(ApusError) in
            request.method == .post
                ? FakeServer.json(#"{"id":"17","state":"queued"}"#, status: 202)
                : FakeServer.json(#"{"id":"17","state":"failed","code":"function_failed","message":"no such file"}"#)
        }
        #expect(self.fixture.run("invoke", "echo", "--async", "--wait") == 1)
        #expect(self.fixture.terminal.errors.contains("no such file"))
        // A server that stays away is not waited for without end.
        self.fixture.server.answer = { request throws(ApusError) in
            if request.method == .post { return FakeServer.json(#"{"id":"17"}"#, status: 202) }
            throw ApusError(.serverUnreachable, "gone")
        }
        #expect(self.fixture.run("invoke", "echo", "--async", "--wait") == 4)
        #expect(self.fixture.terminal.pauses == Limits.Commands.waitRetries - 1)
    }

    @Test func invocationsAreListedDescribedAndCancelled() {
        self.fixture.server.answer = { request throws(ApusError) in
            FakeServer.json(
                request.path == "/v1/invocations"
                    ? #"{"items":[{"id":"17","function":"echo","state":"failed","attempts":2,"message":"oh"}]}"#
                    : #"{"id":"17","function":"echo","state":"cancelled","attempts":0}"#)
        }
        #expect(self.fixture.run("get", "invocations", "--function", "echo", "--state", "failed", "--limit", "5") == 0)
        #expect(
            self.fixture.server.requests[0].target == "/v1/invocations?function=echo&state=failed&limit=5")
        #expect(self.fixture.terminal.text.contains("17"))
        #expect(self.fixture.terminal.text.contains("oh"))
        #expect(self.fixture.run("get", "functions", "--state", "failed") == 2)
        #expect(self.fixture.run("describe", "invocation", "17") == 0)
        #expect(self.fixture.run("delete", "invocation", "17") == 0)
        #expect(self.fixture.server.requests.last?.method == .delete)
        #expect(self.fixture.terminal.text.hasSuffix("cancelled invocation 17\n"))
    }

    @Test func logLinesAreShownAndThenFollowed() {
        let lines = [#"{"time":"T1","level":"stdout","text":"one"}"#, #"{"time":"T2","level":"error","text":"two"}"#]
        self.fixture.server.answer = { request throws(ApusError) in
            request.headers.contains { $0 == ("Accept", "text/event-stream") }
                ? FakeServer.json(":\n\n" + lines.map { "id: 1\ndata: \($0)\n\n" }.joined())
                : FakeServer.json(#"{"items":[\#(lines.joined(separator: ","))]}"#)
        }
        #expect(self.fixture.run("logs", "echo", "--limit", "5") == 0)
        #expect(self.fixture.terminal.text == "T1 stdout  one\nT2 error   two\n")
        #expect(self.fixture.server.requests[0].target == "/v1/functions/echo/logs?limit=5")
        // The stream has no end but the server's, and that is not what was asked for.
        #expect(self.fixture.run("logs", "echo", "--follow") == 4)
        #expect(self.fixture.terminal.text == "T1 stdout  one\nT2 error   two\nT1 stdout  one\nT2 error   two\n")
    }

    @Test func logsAreFilteredByTheServer() {
        self.fixture.server.answer = { _ throws(ApusError) in FakeServer.json(#"{"items":[]}"#) }
        let id = String(repeating: "a", count: 32)
        #expect(
            self.fixture.run(
                "logs", "echo", "--level", "warning", "--invocation", id, "--revision", "48ed", "--since", "10m") == 0)
        #expect(
            self.fixture.server.requests[0].target
                == "/v1/functions/echo/logs?limit=100&level=warning&invocation=\(id)&revision=48ed&since=2026-03-01T14%3A05%3A09Z"
        )
        #expect(self.fixture.run("logs", "echo", "--since", "2026-03-01T12:00:00Z", "--follow") == 4)
        #expect(self.fixture.server.requests[1].target.hasSuffix("&since=2026-03-01T12%3A00%3A00Z"))
        let days = Limits.Commands.sinceSeconds / 86_400
        #expect(self.fixture.run("logs", "echo", "--since", "\(days)d") == 0)
        for since in ["10", "m", "-1m", "10x", "\(days + 1)d", "yesterday"] {
            #expect(self.fixture.run("logs", "echo", "--since", since) == 2, "\(since)")
        }
        #expect(self.fixture.run("logs", "echo", "--level", "warn") == 2)
        #expect(self.fixture.terminal.errors.contains("did you mean 'warning'?"))
    }

    @Test func logLinesAreColouredForPeopleAndCannotCommandTheirTerminal() {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(#"{"items":[{"time":"T1","level":"error","text":"a\u001b[2Jb"}]}"#)
        }
        self.fixture.terminal.isInteractive = true
        #expect(self.fixture.run("logs", "echo") == 0)
        #expect(self.fixture.terminal.text == "\u{1B}[2mT1\u{1B}[0m \u{1B}[31merror\u{1B}[0m   a␛[2Jb\n")
        self.fixture.terminal.isInteractive = false
        self.fixture.terminal.output = []
        #expect(self.fixture.run("logs", "echo") == 0)
        #expect(self.fixture.terminal.text == "T1 error   a\u{1B}[2Jb\n")
    }

    @Test func aStreamThatEndsWithAnErrorIsThatError() {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json("event: error\ndata: {\"code\":\"projection_failed\",\"detail\":\"no disk\"}\n\n")
        }
        #expect(self.fixture.run("logs", "echo", "--follow") == 1)
        #expect(self.fixture.terminal.errors == "apus: no disk [projection_failed]\n")
    }

    @Test func deadLettersAreListedAndRedrivenTogether() {
        self.fixture.server.answer = { request throws(ApusError) in
            request.method == .get
                ? FakeServer.json(#"{"items":[{"id":"a-1","function":"f","code":"function_failed"},{"id":"a-2"}]}"#)
                : FakeServer.json(#"{"redriven":["a-1","a-2"],"refused":[],"left":[],"next":null}"#)
        }
        #expect(self.fixture.run("dead", "list", "--function", "f") == 0)
        #expect(self.fixture.terminal.text.contains("a-1  f"))
        #expect(self.fixture.run("dead", "redrive", "--all", "--function", "f") == 0)
        #expect(self.fixture.run("dead", "drop", "a-1") == 0)
        #expect(
            self.fixture.server.requests.map { "\($0.method.rawValue) \($0.target)" } == [
                "GET /v1/dead-letters?state=open&limit=100&function=f",
                "POST /v1/redrives", "DELETE /v1/dead-letters/a-1",
            ])
        #expect(self.fixture.terminal.text.contains("redriven a-1\nredriven a-2\n"))
        #expect(self.fixture.run("dead", "redrive", "a-2", "--function", "f") == 2)
        #expect(self.fixture.run("dead", "redrive", "--since", "yesterday") == 2)
        #expect(self.fixture.run("dead", "redrive") == 2)
        #expect(self.fixture.run("dead", "redrive", "--all", "a-1") == 2)
        #expect(self.fixture.run("dead", "lst") == 2)
        #expect(self.fixture.terminal.errors.contains("did you mean 'list'?"))
    }

    // MARK: consume

    private static func event(_ partition: Int, _ offset: Int, _ time: String) -> String {
        #"{"type":"t","partitionkey":"k","apuspartition":\#(partition),"apusoffset":\#(offset),"time":"\#(time)","data":\#(offset)}"#
    }

    private func serveTwoPartitions() {
        self.fixture.server.answer = { request throws(ApusError) in
            let query = Dictionary(uniqueKeysWithValues: request.query.map { ($0.name, $0.value) })
            guard let partition = query["partition"].flatMap({ Int($0) }) else {
                return FakeServer.json(#"{"manifest":{"spec":{"partitions":2}}}"#)
            }
            let from = query["from"] == "earliest" ? 0 : Int(query["from"] ?? "") ?? 0
            let all = (0..<3).map { Self.event(partition, $0, "2026-01-0\($0 * 2 + partition + 1)T00:00:00Z") }
            // A server may give fewer than it was asked for.
            return FakeServer.json("[\(all.dropFirst(from).prefix(2).joined(separator: ","))]")
        }
    }

    @Test func partitionsAreMergedByTimeAndReadToTheirEnds() {
        self.serveTwoPartitions()
        #expect(self.fixture.run("consume", "documents") == 0)
        let places = self.fixture.terminal.text.split(separator: "\n").map { $0.prefix(3) }
        #expect(places == ["0/0", "1/0", "0/1", "1/1", "0/2", "1/2"])
        #expect(self.fixture.terminal.text.hasPrefix("0/0  k  t  0\n"))
    }

    @Test func countStopsAndJSONIsOneEventALine() throws {
        self.serveTwoPartitions()
        #expect(self.fixture.run("consume", "documents", "--count", "3", "--output", "json") == 0)
        let lines = self.fixture.terminal.text.split(separator: "\n")
        #expect(lines.count == 3)
        let third = try JSONValue.parse(String(lines[2]))
        #expect(third.object?.names.prefix(3) == ["partition", "offset", "key"])
        #expect(third["offset"] == 1)
        #expect(third["apusoffset"] == nil)
    }

    @Test func anOffsetNeedsItsPartition() {
        self.serveTwoPartitions()
        #expect(self.fixture.run("consume", "documents", "--from", "1") == 2)
        #expect(self.fixture.run("consume", "documents", "--from", "latests") == 2)
        #expect(self.fixture.run("consume", "documents", "--from", "1", "--partition", "0") == 0)
        #expect(self.fixture.terminal.text.split(separator: "\n").count == 2)
    }

    @Test func followingReadsTheStreamUntilTheCount() {
        self.fixture.server.answer = { _ throws(ApusError) in
            let events = (0..<3).map { "event: e\ndata: \(Self.event(0, $0, "2026-01-01T00:00:00Z"))\n\n" }.joined()
            return FakeServer.json(":\n\n" + events)
        }
        #expect(self.fixture.run("consume", "documents", "--follow", "--count", "2") == 0)
        #expect(self.fixture.terminal.text.split(separator: "\n").count == 2)
        #expect(self.fixture.server.requests[0].target == "/v1/topics/documents/events?from=latest")
        #expect(self.fixture.server.requests[0].headers.contains { $0 == ("Accept", "text/event-stream") })
        // A stream that ends before the count was not what was asked for.
        #expect(self.fixture.run("consume", "documents", "--follow") == 4)
    }

    @Test func dataOfSeveralLinesIsJoined() throws {
        var reader = EventStreamReader(lineBytes: 100)
        let events = try reader.take(Array("data: a\r\ndata: b\n\ndata:c\n\nevent: x\n\n".utf8))
        #expect(events == [Array("a\nb".utf8), Array("c".utf8)])
        #expect(throws: ApusError.self) { try reader.take([UInt8](repeating: 0x20, count: 101)) }
    }

    // MARK: over a socket

    @Test func aRealServerIsReachedAndAClosedPortIsNot() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(listener) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                #expect(bind(listener, $0, length) == 0)
                #expect(getsockname(listener, $0, &length) == 0)
            }
        }
        let server = try ServerAddress("127.0.0.1:\(UInt16(bigEndian: address.sin_port))")
        // Bound and not listening: the kernel refuses.
        let refused = #expect(throws: ApusError.self) {
            try HTTPTransport(server: server).send(APIRequest(.get, "/healthz"))
        }
        #expect(refused?.code == .serverUnreachable)

        #expect(listen(listener, 1) == 0)
        var thread = pthread_t()
        let context = UnsafeMutableRawPointer(bitPattern: Int(listener) + 1)
        #expect(pthread_create(&thread, nil, answerOnce, context) == 0)
        defer { pthread_join(thread, nil) }
        let response = try HTTPTransport(server: server).send(APIRequest(.get, "/v1/topics", query: [("a", "b c")]))
        #expect(response.status == 200)
        #expect(response.mediaType == "application/json")
        #expect(try response.json()["request"] == "GET /v1/topics?a=b%20c HTTP/1.1")
    }
}

/// Answers one request with its own first line. The context is the listening descriptor, plus one so that it is never nil.
private func answerOnce(_ context: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    let connection = accept(CInt(Int(bitPattern: context) - 1), nil, nil)
    guard connection >= 0 else { return nil }
    defer { close(connection) }
    var head: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 4096)
    while !String(decoding: head, as: UTF8.self).contains("\r\n\r\n") {
        let count = read(connection, &chunk, chunk.count)
        guard count > 0 else { return nil }
        head += chunk[..<count]
    }
    let line = String(decoding: head.prefix { $0 != 0x0D }, as: UTF8.self)
    let body = #"{"request":"\#(line)"}"#
    let answer =
        "HTTP/1.1 200 OK\r\nContent-Type: application/json; charset=utf-8\r\nContent-Length: \(body.utf8.count)\r\n\r\n\(body)"
    _ = write(connection, answer, answer.utf8.count)
    return nil
}
