import ApusCore
import ApusHTTP
import ApusLoop
import Glibc
import Testing

@Suite struct ClientTests {
    private static func code(_ work: () throws -> Void) -> ErrorCode? {
        do { try work() } catch let error as ApusError { return error.code } catch { return nil }
        return nil
    }

    @Test func `a request carries method, headers and body, and brings the answer back`() throws {
        try withServer(handler: { exchange in
            let seen =
                "\(exchange.method) \(exchange.target) \(exchange.header("X-A") ?? "-") \(exchange.header("Content-Type") ?? "-") "
            exchange.respond(status: 201, headers: [("X-B", "c")], body: Array(seen.utf8) + exchange.body)
        }) { server in
            let client = try HTTPClient()
            let url = "http://127.0.0.1:\(server.port)/path?q=1"
            let posted = try client.request("POST", url, headers: [HTTPHeader("X-A", "b")], body: Array("data".utf8))
            #expect(posted.status == 201)
            #expect(posted.header("x-b") == "c")
            #expect(String(decoding: posted.body, as: UTF8.self) == "POST /path?q=1 b - data")
            let typed = try client.request(
                "PUT", url, headers: [HTTPHeader("Content-Type", "application/json")], body: [])
            #expect(String(decoding: typed.body, as: UTF8.self) == "PUT /path?q=1 - application/json ")
            #expect(try client.request("DELETE", url).body == Array("DELETE /path?q=1 - - ".utf8))
            #expect(try client.request("HEAD", url).status == 201)
            #expect(try client.request("GET", url).status == 201)
            #expect(server.statistics.connections == 1)
        }
    }

    @Test func `an error of the server is an answer`() throws {
        try withServer(handler: { $0.respond(Problem(.topicNotFound, "no such topic")) }) { server in
            let response = try HTTPClient().request("GET", "http://localhost:\(server.port)/")
            #expect(response.status == 404)
            #expect(!response.isSuccess)
            #expect(String(decoding: response.body, as: UTF8.self).contains("topic_not_found"))
        }
    }

    @Test func `a server that is not there is unreachable`() throws {
        let socket = try ListeningSocket.open(port: 0)
        let port = ListeningSocket.port(of: socket)
        close(socket.release())
        #expect(Self.code { _ = try HTTPClient().request("GET", "http://127.0.0.1:\(port)/") } == .serverUnreachable)
    }

    @Test(arguments: ["ftp://127.0.0.1/", "file:///etc/passwd", "http://", "nonsense://x"])
    func `what is no address of a server is refused`(url: String) throws {
        #expect(Self.code { _ = try HTTPClient().request("GET", url) } == .invalidArgument)
    }

    @Test func `a header with a line break is refused`() throws {
        let headers = [HTTPHeader("X-A", "b\r\nX-Evil: c")]
        #expect(
            Self.code { _ = try HTTPClient().request("GET", "http://127.0.0.1:1/", headers: headers) }
                == .invalidArgument)
    }

    @Test func `an answer that does not come in time is a missed deadline`() throws {
        try withServer(handler: { _ in }) { server in
            var configuration = HTTPClient.Configuration()
            configuration.timeoutMilliseconds = 50
            let client = try HTTPClient(configuration: configuration)
            #expect(
                Self.code { _ = try client.request("GET", "http://127.0.0.1:\(server.port)/") } == .deadlineExceeded)
        }
    }

    @Test func `an answer at the limit passes and one byte more is refused`() throws {
        try withServer(handler: {
            $0.respond(status: 200, body: [UInt8](repeating: 1, count: $0.rawPath == "/over" ? 1_001 : 1_000))
        }) { server in
            var configuration = HTTPClient.Configuration()
            configuration.responseBytes = 1_000
            let client = try HTTPClient(configuration: configuration)
            #expect(try client.request("GET", "http://127.0.0.1:\(server.port)/at").body.count == 1_000)
            #expect(
                Self.code { _ = try client.request("GET", "http://127.0.0.1:\(server.port)/over") } == .resultTooLarge)
        }
    }

    @Test func `a stream is handed on as it comes and ends when its reader has enough`() throws {
        let gone = Signal<Bool>()
        try withServer(handler: { exchange in
            exchange.onGone = { gone.send(true) }
            exchange.stream(status: 200, headers: [("Content-Type", "application/x-ndjson")])
            exchange.write(Array("first\n".utf8))
        }) { server in
            var seen: [UInt8] = []
            let response = try HTTPClient().stream("GET", "http://127.0.0.1:\(server.port)/") { chunk in
                seen += chunk
                return false
            }
            #expect(response.status == 200)
            #expect(response.body.isEmpty)
            #expect(seen == Array("first\n".utf8))
            #expect(gone.wait())
        }
    }

    @Test func `a stream that ends by itself comes whole, and its error is kept as body`() throws {
        try withServer(handler: { exchange in
            guard exchange.rawPath == "/ok" else { return exchange.respond(Problem(.overloaded, "later")) }
            exchange.stream(status: 200, headers: [])
            for number in 0..<3 { exchange.write(Array("\(number)\n".utf8)) }
            exchange.end()
        }) { server in
            let client = try HTTPClient()
            var seen: [UInt8] = []
            let collect: ([UInt8]) -> Bool = { chunk in
                seen += chunk
                return true
            }
            var heads: [Int] = []
            _ = try client.stream(
                "GET", "http://127.0.0.1:\(server.port)/ok",
                onHead: { head in
                    #expect(seen.isEmpty)
                    heads.append(head.status)
                }, onChunk: collect)
            #expect(heads == [200])
            #expect(seen == Array("0\n1\n2\n".utf8))
            let failed = try client.stream("GET", "http://127.0.0.1:\(server.port)/failed", onChunk: collect)
            #expect(failed.status == 503)
            #expect(!failed.body.isEmpty)
            #expect(seen.count == 6)
        }
    }

    @Test func `a stream that is broken off is an error`() throws {
        try withServer(handler: { exchange in
            exchange.stream(status: 200, headers: [])
            exchange.write(Array("part".utf8))
            exchange.later { $0.later { $0.abort() } }
        }) { server in
            let code = Self.code {
                _ = try HTTPClient().stream("GET", "http://127.0.0.1:\(server.port)/") { _ in true }
            }
            #expect(code == .serverUnreachable)
        }
    }

    @Test func `loopback is never asked through a proxy`() async {
        // In a process of its own: the environment belongs to all tests.
        await #expect(processExitsWith: .success) {
            // Port 9 of the loopback: nothing proxies there.
            setenv("http_proxy", "http://127.0.0.1:9", 1)
            try withServer(handler: { $0.respond(status: 200) }) { server in
                for host in ["127.0.0.1", "localhost"] {
                    let response = try HTTPClient().request("GET", "http://\(host):\(server.port)/")
                    #expect(response.status == 200)
                }
            }
            // The control: another host does go through it.
            let code = ClientTests.code { _ = try HTTPClient().request("GET", "http://apus.invalid/") }
            guard code == .serverUnreachable else { exit(1) }
        }
    }
}
