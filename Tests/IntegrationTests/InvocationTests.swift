import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Asynchronous invocations of the built binary, with real workers.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct InvocationTests {
    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: worker}
        spec:
          runtime: python3
          handler: main:handle
          source: .
          timeout: 60s
          resources: {memory: 128Mi}
          scale: {max: 2, idle: 30s}
        """

    private static let code = """
        import time, apus

        def handle(event, context):
            want = event.data if isinstance(event.data, dict) else {}
            print("runs", context.invocation)
            if "sleep" in want:
                time.sleep(want["sleep"])
            if "wait" in want:
                end = time.monotonic() + want["wait"]
                while time.monotonic() < end and not context.cancelled:
                    time.sleep(0.01)
            if "fail" in want and context.attempt <= want["fail"]:
                raise ValueError("attempt %d fails — ✗" % context.attempt)
            if "text" in want:
                return want["text"]
            if "bytes" in want:
                return bytes(range(256))
            if "large" in want:
                return b"x" * (1536 * 1024)
            if "stream" in want:
                return ({"part": i} for i in range(3))
            if "nothing" in want:
                return None
            return {"id": context.invocation, "attempt": context.attempt, "got": event.data}
        """

    private func server() throws -> TestServer {
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("worker", manifest: Self.manifest, files: ["main.py": Self.code]))
        return server
    }

    private func accept(_ server: TestServer, _ data: String) throws -> String {
        let result = server.apus("invoke", "worker", "--async", "--data", data)
        try #require(result.status == 0, "\(result.errors)")
        return String(result.output.filter { !$0.isNewline })
    }

    private func state(_ server: TestServer, _ id: String) throws -> JSONValue {
        let result = server.apus("get", "invocation", id, "--output", "json")
        try #require(result.status == 0, "\(result.errors)")
        return try JSONValue.parse(Array(result.output.utf8))
    }

    private func ended(_ server: TestServer, _ id: String, seconds: Double = 60) throws -> JSONValue {
        var last: JSONValue = [:]
        let isOver = try waitUntil(seconds: seconds) {
            last = try self.state(server, id)
            return last["state"]?.string.flatMap(InvocationState.init(rawValue:))?.isTerminal ?? false
        }
        try #require(isOver, "\(id) is \(last)")
        return last
    }

    @Test func resultsOfEveryKindAreKept() throws {
        let server = try self.server()
        let plain = server.apus("invoke", "worker", "--async", "--wait", "--data", #"{"ünï": "早上好"}"#)
        #expect(plain.status == 0, "\(plain.errors)")
        let json = try JSONValue.parse(Array(plain.output.utf8))
        #expect(json["got"]?["ünï"]?.string == "早上好")
        // The id that the caller knows is the one that the handler and its log lines know.
        let id = try #require(json["id"]?.string)
        #expect(plain.errors.contains("invocation \(id)"))
        #expect(waitUntil(seconds: 20) { server.apus("logs", "worker", "--output", "json").output.contains(id) })
        let text = server.apus("invoke", "worker", "--async", "--wait", "--data", #"{"text": "grüße"}"#)
        #expect(text.output.contains("grüße"))
        let lines = server.apus("invoke", "worker", "--async", "--wait", "--data", #"{"stream": 1}"#)
        #expect(lines.output.split(separator: "\n").count == 3, "\(lines.output)")

        let bytes = try self.accept(server, #"{"bytes": 1}"#)
        let state = try self.ended(server, bytes)
        #expect(state["result"]?["bytes"]?.int == 256)
        #expect(state["result"]?["contentType"]?.string == "application/octet-stream")
        let nothing = try self.ended(server, try self.accept(server, #"{"nothing": 1}"#))
        #expect(nothing["state"]?.string == "succeeded")
        #expect(nothing["result"]?["bytes"] == .null)
        let large = try self.ended(server, try self.accept(server, #"{"large": 1}"#))
        #expect(large["state"]?.string == "failed")
        #expect(large["code"]?.string == "result_too_large")
        let failing = server.apus("invoke", "worker", "--async", "--wait", "--data", #"{"fail": 99}"#)
        #expect(failing.status == 1)
        #expect(failing.errors.contains("fails — ✗"))
        let retried = try self.ended(server, try self.accept(server, #"{"fail": 2}"#))
        #expect(retried["state"]?.string == "succeeded")
        #expect(retried["attempts"]?.int == 3)
        #expect(retried["principal"]?.string == "admin")
        #expect(retried["started"]?.string != nil)
        let list = server.apus("get", "invocations", "--function", "worker")
        #expect(list.output.contains(bytes))
        #expect(server.apus("get", "invocations", "--state", "failed").output.split(separator: "\n").count == 3)
        #expect(server.apus("describe", "invocation", bytes).output.contains("succeeded"))
        #expect(server.apus("get", "invocation", String(repeating: "0", count: 32)).status == 3)
    }

    @Test func whatWaitsAndWhatRunsIsCancelled() throws {
        let server = try self.server()
        // Both workers are busy: one heeds its cancellation, the other must be killed.
        let heeding = try self.accept(server, #"{"wait": 50}"#)
        let deaf = try self.accept(server, #"{"sleep": 50}"#)
        #expect(waitUntil(seconds: 30) { (try? self.state(server, heeding)["state"]?.string) == "running" })
        #expect(waitUntil(seconds: 30) { (try? self.state(server, deaf)["state"]?.string) == "running" })
        let waiting = try self.accept(server, #"{"text": "never"}"#)
        for id in [waiting, heeding, deaf] {
            let result = server.apus("delete", "invocation", id)
            #expect(result.status == 0, "\(result.errors)")
            let state = try self.ended(server, id)
            #expect(state["state"]?.string == "cancelled")
            #expect(state["attempts"]?.int == (id == waiting ? 0 : 1))
            #expect(server.apus("delete", "invocation", id).status == 1)
        }
        let next = try self.accept(server, #"{"text": "runs"}"#)
        #expect(try self.ended(server, next)["state"]?.string == "succeeded")
        #expect(!server.apus("logs", "worker", "--output", "json").output.contains(waiting))
    }

    /// Accepted, killed in the middle, started again, several times: each has exactly one terminal state, and every accepted one
    /// is there.
    /// Behaviour 68.
    @Test(arguments: getenv("APUS_SOAK") == nil ? [UInt64(11)] : Array(11...40))
    func killedAgainAndAgainEveryAcceptedOneEndsOnce(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let server = try self.server()
        var accepted: [String] = []
        var cancelled: [String] = []
        for round in 0..<4 {
            let ids = try Self.burst(server, count: 40, sleep: round == 1 ? 0.2 : 0.005)
            #expect(ids.count == 40)
            accepted += ids
            if round < 3 {
                let victim = ids[Int.random(in: 20..<40, using: &random)]
                if server.apus("delete", "invocation", victim).status == 0 { cancelled.append(victim) }
                usleep(UInt32.random(in: 0...300_000, using: &random))
                server.kill9()
                try server.start()
            }
        }
        #expect(Set(accepted).count == accepted.count)
        var states: [String: JSONValue] = [:]
        let areOver = waitUntil(seconds: 120) {
            let result = server.apus("get", "invocations", "--limit", "1000", "--output", "json")
            let items = (try? JSONValue.parse(Array(result.output.utf8)))?["items"]?.array ?? []
            states = [:]
            for item in items { states[item["id"]?.string ?? ""] = item }
            return accepted.allSatisfy { id in
                states[id]?["state"]?.string.flatMap(InvocationState.init(rawValue:))?.isTerminal ?? false
            }
        }
        #expect(areOver, "\(accepted.count { states[$0] == nil }) of \(accepted.count) are unknown")
        #expect(states.count == accepted.count)
        for id in accepted {
            let expected = cancelled.contains(id) ? "cancelled" : "succeeded"
            #expect(states[id]?["state"]?.string == expected, "\(id)")
        }
        #expect(server.terminate() == 0)
        try Self.checkTopic(server, accepted)
        // Without the projection the log says the same.
        for file in ["state.db", "state.db-wal", "state.db-shm"] { unlink("\(server.data)/\(file)") }
        try server.start()
        for id in accepted.shuffled(using: &random).prefix(3) {
            let state = try self.state(server, id)
            #expect(state == states[id])
        }
    }

    /// Accepts many over one connection, each once the one before is durable.
    private static func burst(_ server: TestServer, count: Int, sleep: Double) throws -> [String] {
        let script = """
            import http.client, json, sys
            port, token, count, sleep = int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), float(sys.argv[4])
            connection = http.client.HTTPConnection("127.0.0.1", port)
            for index in range(count):
                connection.request("POST", "/v1/functions/worker/invoke", json.dumps({"sleep": sleep}), {
                    "Content-Type": "application/json", "Prefer": "respond-async", "Authorization": "Bearer " + token})
                response = connection.getresponse()
                body = response.read()
                assert response.status == 202, (response.status, body)
                print(json.loads(body)["id"])
            """
        let token = String(decoding: try readFile("\(server.data)/run/admin.token"), as: UTF8.self)
            .filter { !$0.isWhitespace }
        let child = try ChildProcess(
            "/usr/bin/python3", ["-c", script, "\(server.port)", token, "\(count)", "\(sleep)"], in: server.folder)
        let status = child.wait(seconds: 60)
        #expect(status == 0, "\(child.errors)")
        return child.output.split(separator: "\n").map(String.init)
    }

    /// Reads the log itself: one state for each invocation, all of them terminal, no request unanswered, nothing left in the queue.
    private static func checkTopic(_ server: TestServer, _ accepted: [String]) throws {
        let log = try EmbeddedLogReading(server.data)
        defer { log.close() }
        var times: [String: Int] = [:]
        for event in try log.events(of: .invocations) {
            let key = String(decoding: event.key ?? [], as: UTF8.self)
            if key.hasSuffix("/cancel") {
                #expect(event.data == nil, "a request that nobody answered: \(key)")
                continue
            }
            times[key, default: 0] += 1
            let state = event.attributes.first { $0.name == InvocationHeader.state }?.text
            #expect(state.flatMap(InvocationState.init(rawValue:))?.isTerminal == true, "\(key) is \(state ?? "-")")
        }
        #expect(Set(times.keys) == Set(accepted))
        #expect(times.values.allSatisfy { $0 == 1 })
        #expect(try log.unsettled("default/worker/apus.invoke/") == 0)
    }
}
