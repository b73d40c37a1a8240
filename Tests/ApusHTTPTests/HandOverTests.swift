import ApusCore
import ApusHTTP
import ApusLoop
import Glibc
import Testing

/// One process's listener lets go of a socket that another one's serves on.
@Suite(.timeLimit(.minutes(3)))
struct HandOverTests {
    private func named(_ name: String) -> @Sendable (HTTPExchange) -> Void {
        { $0.respond(status: 200, body: Array(name.utf8)) }
    }

    /// Both serve the same socket, the new one once it is asked to.
    private func withBoth(_ body: (_ old: TestServer, _ new: () throws -> TestServer) throws -> Void) throws {
        let socket = try ListeningSocket.open(port: 0)
        let second = fcntl(socket.rawValue, F_DUPFD_CLOEXEC, 0)
        let old = try TestServer(shared: socket.release(), handler: self.named("old"))
        defer { old.endLoop() }
        var new: TestServer?
        defer { new?.shutDown() }
        try body(old) {
            let server = try TestServer(shared: second, handler: self.named("new"))
            new = server
            return server
        }
        if new == nil { close(second) }
    }

    @Test func `an idle connection gets its next answer, which closes it, and new ones wait for the other`() throws {
        try self.withBoth { old, new in
            let client = try RawClient(port: old.port)
            client.send(request("GET", "/"))
            #expect(try client.response().header("connection") == nil)
            old.handOver()
            // What connects now is in nobody's hands until the new listener is there.
            let waiting = try RawClient(port: old.port)
            waiting.send(request("GET", "/"))
            client.send(request("GET", "/"))
            let last = try client.response()
            #expect(last.text == "old")
            #expect(last.header("connection")?.lowercased() == "close")
            #expect(client.rest().isEmpty)
            #expect(old.connectionCount == 0)
            _ = try new()
            #expect(try waiting.response().text == "new")
            #expect(old.beginStop(withinMilliseconds: 0).wait())
        }
    }

    @Test func `a lingering listener answers each connection once more and then ends`() throws {
        try self.withBoth { old, new in
            let clients = try (0..<3).map { _ in try RawClient(port: old.port) }
            for client in clients {
                client.send(request("GET", "/"))
                #expect(try client.response().status == 200)
            }
            old.handOver()
            let done = old.beginLinger(withinMilliseconds: 30_000)
            for client in clients {
                #expect(!done.isSent)
                client.send(request("GET", "/"))
                #expect(try client.response().header("connection")?.lowercased() == "close")
                #expect(client.rest().isEmpty)
            }
            #expect(done.wait())
            _ = try new()
        }
    }

    @Test func `a lingering listener ends at its bound with connections left`() throws {
        try self.withBoth { old, new in
            let client = try RawClient(port: old.port)
            client.send(request("GET", "/"))
            #expect(try client.response().status == 200)
            old.handOver()
            #expect(old.beginLinger(withinMilliseconds: 50).wait())
            #expect(client.rest().isEmpty)
            _ = try new()
        }
    }
}
