import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Clients that leave, that never read, and that wait only so long: the work is cancelled and the worker survives.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct DisconnectTests {
    /// Each worker makes up a name of its own, so that a caller sees whether it still is the same.
    private static let code = """
        import os
        import time
        WORKER = os.urandom(8).hex()

        def handle(event, context):
            what = event.data
            if what == "who":
                return WORKER
            if what == "wait":
                print("waiting", flush=True)
                while not context.cancelled:
                    time.sleep(0.005)
                print("cancelled", flush=True)
                return None
            return parts(b"x" * 65536 if what == "flood" else b"tick")

        def parts(part):
            print("streaming", flush=True)
            try:
                while True:
                    yield part
                    time.sleep(0.001)
            finally:
                print("closed", flush=True)
        """

    /// Sends one request on a socket of its own and reads until a text has come, or nothing at all; leaves when standard
    /// input says so.
    private static let client = """
        import socket, sys, time
        host, port, token, body, until = sys.argv[1:]
        s = socket.create_connection((host, int(port)))
        s.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        s.sendall(f"POST /v1/functions/worker/invoke HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer {token}\\r\\n"
                  f"Content-Type: application/json\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}".encode())
        got = b""
        while until and until.encode() not in got:
            got += s.recv(4096)
        print("ready", flush=True)
        time.sleep(60)
        """

    private let server: TestServer
    private let caller: Caller

    init() throws {
        self.server = try TestServer()
        try self.server.start()
        let manifest = Functions.between("a", "b").replacing(
            "scale: {max: 2, idle: 30s}", with: "scale: {max: 1, idle: 60s}")
        self.server.deploy(try self.server.write("worker", manifest: manifest, files: ["main.py": Self.code]))
        self.caller = try Caller(self.server)
    }

    private func invoke(_ what: String, _ headers: [String: String] = [:]) throws -> HTTPResponse {
        try self.caller.send(
            "POST", "/v1/functions/worker/invoke", headers.merging(["Content-Type": "application/json"]) { $1 },
            body: "\"\(what)\"")
    }

    private func client(_ what: String, until: String) throws -> ChildProcess {
        let client = try ChildProcess(
            "/usr/bin/python3",
            ["-c", Self.client, "127.0.0.1", "\(self.server.port)", self.caller.token, "\"\(what)\"", until],
            in: self.server.folder)
        #expect(waitUntil(seconds: 20) { client.output.contains("ready") }, "\(client.errors)")
        return client
    }

    private func hasLogged(_ text: String) -> Bool {
        waitUntil(seconds: 20) { self.server.apus("logs", "worker").output.contains(text) }
    }

    @Test func aClientThatLeavesCancelsItsInvocation() throws {
        let worker = try self.invoke("who").text
        let client = try self.client("wait", until: "")
        #expect(self.hasLogged("waiting"))
        client.signal(SIGKILL)
        #expect(self.hasLogged("cancelled"))
        #expect(try self.invoke("who").text == worker)
    }

    @Test func aClientThatLeavesInTheMiddleOfAStreamEndsIt() throws {
        let worker = try self.invoke("who").text
        let client = try self.client("stream", until: "ticktick")
        client.signal(SIGKILL)
        #expect(self.hasLogged("closed"))
        #expect(try self.invoke("who").text == worker)
        // What ran for it until it left is its own all the same.
        let isCharged = try waitUntil(seconds: 20) {
            let report = try JSONValue.parse(self.server.apus("cost", "--by", "principal", "--output", "json").output)
            return report["items"]?.array?.contains {
                $0["failed"]?.integer ?? 0 >= 1 && $0["runningSeconds"]?.double ?? 0 > 0
                    && $0["name"]?.string?.hasPrefix("(") == false
            } ?? false
        }
        #expect(isCharged, "\(self.server.apus("cost", "--by", "principal", "--output", "json").output)")
    }

    /// What waits for it is bounded by the size of a result.
    @Test func aClientThatNeverReadsHoldsNobodyUp() throws {
        let worker = try self.invoke("who").text
        let client = try self.client("flood", until: "")
        #expect(self.hasLogged("closed"))
        #expect(try self.invoke("who").text == worker)
        client.signal(SIGKILL)
        #expect(try self.invoke("who").text == worker)
    }

    @Test func aCallerWaitsNoLongerThanItSays() throws {
        let worker = try self.invoke("who").text
        for headers in [["Prefer": "wait=1"], ["Apus-Timeout": "100ms"]] {
            let answer = try self.invoke("wait", headers)
            #expect(answer.status == 504 && answer.text.contains("deadline_exceeded"), "\(answer.text)")
        }
        #expect(try self.invoke("who").text == worker)
        #expect(try self.invoke("who", ["Apus-Timeout": "soon"]).status == 400)
    }
}
