import ApusCore
import ApusHTTP
import Glibc
import Testing

@Suite struct ListenerTests {
    @Test func `a request is answered and the connection serves the next one`() throws {
        try withServer(handler: { $0.respond(status: 200, headers: [("X-Method", $0.method)], body: $0.body) }) {
            server in
            let client = try RawClient(port: server.port)
            for text in ["one", "", "three"] {
                client.send(request("POST", "/echo", body: text))
                let response = try client.response()
                #expect(response.status == 200)
                #expect(response.text == text)
                #expect(response.header("x-method") == "POST")
            }
            #expect(server.statistics.connections == 1)
            #expect(server.statistics.requests == 3)
        }
    }

    @Test func `the target arrives as it was sent`() throws {
        try withServer(handler: { $0.respond(status: 200, body: Array("\($0.rawPath) \($0.rawQuery ?? "-")".utf8)) }) {
            server in
            let client = try RawClient(port: server.port)
            for (target, seen) in [
                ("/a%2Fb%00c?x=%20y&z", "/a%2Fb%00c x=%20y&z"), ("/plain", "/plain -"), ("/q?", "/q "),
                ("/a?b?c", "/a b?c"),
            ] {
                client.send(request("GET", target))
                #expect(try client.response().text == seen)
            }
        }
    }

    @Test func `requests sent in one go are answered in their order`() throws {
        try withServer(handler: { exchange in
            // Every other one answers later, from the loop's inbox.
            guard exchange.rawPath.hasSuffix("1") else {
                return exchange.respond(status: 200, body: Array(exchange.rawPath.utf8))
            }
            exchange.later { $0.respond(status: 200, body: Array($0.rawPath.utf8)) }
        }) { server in
            let client = try RawClient(port: server.port)
            let paths = (0..<50).map { "/\($0 % 3)-\($0)-\($0 % 2)" }
            client.send(paths.map { request("GET", $0) }.joined())
            for path in paths { #expect(try client.response().text == path) }
        }
    }

    @Test func `a HEAD is answered like a GET without the body`() throws {
        let gone = Signal<Bool>()
        try withServer(handler: { exchange in
            guard exchange.rawPath == "/stream" else { return exchange.respond(status: 200, body: Array("hello".utf8)) }
            exchange.onGone = { gone.send(true) }
            exchange.stream(status: 200, headers: [])
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(request("HEAD", "/"))
            let response = try client.response(hasBody: false)
            #expect(response.status == 200)
            #expect(response.header("content-length") == "5")
            client.send(request("GET", "/"))
            #expect(try client.response().text == "hello")
            // A stream that nobody reads must not be written to for ever.
            client.send(request("HEAD", "/stream"))
            #expect(try client.response(hasBody: false).status == 200)
            #expect(gone.wait())
        }
    }

    @Test func `a client that asks first is told to go on, or refused before it sends`() throws {
        try withServer(
            configure: { $0.bodyLimit = { _, _ in 10 } }, handler: { $0.respond(status: 200, body: $0.body) }
        ) { server in
            let client = try RawClient(port: server.port)
            client.send("POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n")
            #expect(try client.head().status == 100)
            client.send("body")
            #expect(try client.response().text == "body")
            client.send("POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 11\r\n\r\n")
            #expect(try client.response().status == 413)
        }
    }

    @Test func `a chunked body arrives whole`() throws {
        try withServer(handler: { $0.respond(status: 200, body: $0.body) }) { server in
            let client = try RawClient(port: server.port)
            client.send(
                "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
            )
            #expect(try client.response().text == "abcde")
        }
    }

    @Test func `connections over the limit wait until one closes`() throws {
        try withServer(configure: { $0.connections = 2 }, handler: { $0.respond(status: 200, body: Array("in".utf8)) })
        { server in
            let clients = try (0..<3).map { _ in try RawClient(port: server.port) }
            for client in clients { client.send(request("GET", "/")) }
            #expect(try clients[0].response().text == "in")
            #expect(try clients[1].response().text == "in")
            #expect(server.connectionCount == 2)
            clients[0].close()
            #expect(try clients[2].response().text == "in")
        }
    }

    @Test func `an answer with a header that cannot be sent becomes an internal error`() throws {
        try withServer(handler: { $0.respond(status: 200, headers: [("X-Bad", "a\r\nX-Evil: b")], body: [1]) }) {
            server in
            let client = try RawClient(port: server.port)
            client.send(request("GET", "/"))
            let response = try client.response()
            #expect(response.status == 500)
            #expect(response.header("x-evil") == nil)
        }
    }

    @Test func `headers are found whatever their case and listed in order`() throws {
        try withServer(handler: { exchange in
            let names = exchange.headers.map(\.name).joined(separator: ",")
            exchange.respond(status: 200, body: Array("\(exchange.header("CE-Id") ?? "-") \(names)".utf8))
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(request("GET", "/", ["ce-id: 7", "Accept: */*"]))
            #expect(try client.response().text == "7 Host,ce-id,Accept")
        }
    }
}

extension HTTPExchange {
    /// Runs `work` in a later turn of the loop.
    func later(_ work: @escaping @Sendable (HTTPExchange) -> Void) { self.reply().perform(work) }
}
