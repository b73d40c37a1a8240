import ApusHTTP
import ApusJSON
import ApusLoop
import ApusTestSupport
import Glibc
import Testing

/// What sandboxes refuse, as operators and callers of the built binary see it.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct DenialTests {
    private static func manifest(_ name: String, reuse: String) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          runtime: python3
          handler: main:handle
          reuse: \(reuse)
          resources: {memory: 64Mi}
          scale: {max: 2, idle: 30s}
        """
    }

    private static let code = """
        import os, socket

        def handle(event, context):
            if event.data["what"] == "well":
                return 1
            if event.data["what"] == "memory":
                return len(bytearray(1 << 30))
            errors = []
            for attempt in [lambda: socket.create_connection(("127.0.0.1", 1)), lambda: os.execv("/bin/true", ["true"])]:
                try:
                    attempt()
                except OSError as error:
                    errors.append(error.errno)
            return errors
        """

    private static func text(_ answer: HTTPResponse) -> String { String(decoding: answer.body, as: UTF8.self) }

    private func ask(
        _ server: TestServer, _ method: String, _ path: String, _ headers: [(String, String)] = [], body: String? = nil
    ) throws -> HTTPResponse {
        let token = String(decoding: try readFile("\(server.data)/run/admin.token"), as: UTF8.self).filter {
            !$0.isWhitespace
        }
        let all = [("Authorization", "Bearer \(token)")] + headers
        return try HTTPClient().request(
            method, server.url + path, headers: all.map { HTTPHeader($0.0, $0.1) }, body: body.map { Array($0.utf8) })
    }

    private func call(_ server: TestServer, _ name: String, _ what: String) throws -> HTTPResponse {
        try self.ask(
            server, "POST", "/v1/functions/\(name)/invoke", [("Content-Type", "application/json")],
            body: #"{"what": "\#(what)"}"#)
    }

    @Test func deniedCallsReachTheOutcomeTheLogAndTheMetrics() throws {
        let server = try TestServer()
        try server.start()
        for (name, reuse) in [("fresh", "never"), ("kept", "function")] {
            server.deploy(
                try server.write(name, manifest: Self.manifest(name, reuse: reuse), files: ["main.py": Self.code]))
            let quiet = try self.call(server, name, "well")
            #expect(quiet.status == 200 && quiet.header("Apus-Denied") == nil, "\(quiet.headers)")
            let answer = try self.call(server, name, "net")
            #expect(answer.status == 200 && Self.text(answer) == "[\(EAFNOSUPPORT),\(EPERM)]", "\(Self.text(answer))")
            #expect(
                answer.header("Apus-Denied") == "socket(AF_INET, SOCK_STREAM) x1, execve x1", "\(answer.headers)")
            let invocation = answer.header("Apus-Invocation") ?? ""
            #expect(try self.call(server, name, "well").header("Apus-Denied") == nil, "the next one's is its own")
            let delivery = try JSONValue.parse(try self.ask(server, "GET", "/v1/deliveries/\(invocation)").body)
            let denied = delivery["lastAttempts"]?.array?.first?["timing"]?["denied"]?.array ?? []
            #expect(denied.map { $0["call"]?.string } == ["socket", "execve"], "\(delivery)")
            #expect(
                waitUntil(seconds: 20) {
                    let lines = server.apus("logs", name, "--output", "json").output
                    return lines.contains("denied socket(AF_INET, SOCK_STREAM) x1")
                        && lines.contains("denied execve x1") && lines.contains(invocation)
                })
            let accepted = try self.ask(
                server, "POST", "/v1/functions/\(name)/invoke",
                [("Content-Type", "application/json"), ("Prefer", "respond-async")], body: #"{"what": "net"}"#)
            let id = try JSONValue.parse(accepted.body)["id"]?.string ?? ""
            #expect(
                waitUntil(seconds: 20) {
                    let answer = try? self.ask(server, "GET", "/v1/invocations/\(id)")
                    let state = answer.flatMap { try? JSONValue.parse($0.body) }
                    return state?["timing"]?["denied"]?.array?.first?["call"]?.string == "socket"
                })
        }
        #expect(try self.call(server, "kept", "memory").status >= 500)
        let metrics = Self.text(try self.ask(server, "GET", "/metrics"))
        for line in [
            #"apus_sandbox_denials_total{namespace="default",function="fresh",call="socket"} 2"#,
            #"apus_sandbox_denials_total{namespace="default",function="kept",call="execve"} 2"#,
            #"apus_sandbox_denials_total{namespace="default",function="kept",call="resource:memory"} 1"#,
            "apus_sandbox_auditor 1", "apus_sandbox_unaudited_total 0",
        ] {
            #expect(
                metrics.contains(line),
                "\(line): \(metrics.split(separator: "\n").filter { $0.contains("apus_sandbox") })")
        }
        let doctor = try JSONValue.parse(try self.ask(server, "GET", "/v1/doctor").body)
        let line = doctor["items"]?.array?.first { $0["name"]?.string == "denial-audit" }
        #expect(line?["enforced"]?.boolean == true, "\(doctor)")
    }
}
