import ApusCore
import ApusHTTP
import Testing

/// Heads that two servers in a row could read differently, and requests over a limit. None reaches the handler.
@Suite struct RefusalTests {
    private static let chunks = "1\r\nx\r\n0\r\n\r\n"

    @Test(arguments: [
        (
            "both lengths",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)",
            400
        ),
        (
            "the length twice", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\nx",
            400
        ),
        (
            "two different lengths",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxy", 400
        ),
        ("a list of lengths", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1, 1\r\n\r\nx", 400),
        ("a length with a sign", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: +1\r\n\r\nx", 400),
        ("a negative length", "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\nx", 400),
        (
            "a length beyond all numbers",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n", 413
        ),
        (
            "the coding twice",
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)",
            400
        ),
        ("an unknown coding", "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", 501),
        (
            "a list of codings",
            "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip, chunked\r\n\r\n\(chunks)", 501
        ),
        (
            "a coding in HTTP/1.0", "POST / HTTP/1.0\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n\(chunks)",
            400
        ),
        ("two hosts", "GET / HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n", 400),
        ("no host", "GET / HTTP/1.1\r\n\r\n", 400),
        (
            "two authorizations", "GET / HTTP/1.1\r\nHost: localhost\r\nAuthorization: a\r\nAuthorization: b\r\n\r\n",
            400
        ),
        ("a name with a space before the colon", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A : b\r\n\r\n", 400),
        (
            "a length with a space before the colon",
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length : 1\r\n\r\nx", 400
        ),
        ("a name with a bracket", "GET / HTTP/1.1\r\nHost: localhost\r\nX(A: b\r\n\r\n", 400),
        ("a control character in a value", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\u{1}c\r\n\r\n", 400),
        ("a delete character in a value", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\u{7F}c\r\n\r\n", 400),
        ("a whole address as target", "GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("a target without slash", "OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("a target that is not ASCII", "GET /\u{E9} HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("an unknown version", "GET / HTTP/1.2\r\nHost: localhost\r\n\r\n", 505),
        ("another host", "GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n", 421),
        ("another host with our port", "GET / HTTP/1.1\r\nHost: attacker.example:8787\r\n\r\n", 421),
        (
            "another origin",
            "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: https://attacker.example\r\nContent-Length: 1\r\n\r\nx", 403
        ),
        ("no origin by name", "POST / HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\nContent-Length: 1\r\n\r\nx", 403),
        (
            "the origin of another port",
            "POST / HTTP/1.1\r\nHost: localhost:1\r\nOrigin: http://localhost:2\r\nContent-Length: 1\r\n\r\nx", 403
        ),
    ])
    func `is refused before the handler runs`(what: String, head: String, status: Int) throws {
        let handled = Notes<String>()
        try withServer(handler: { exchange in
            handled.add(exchange.method)
            exchange.respond(status: 200)
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(head)
            let response = try client.response()
            #expect(response.status == status, "\(what): \(response.text)")
            _ = client.rest()
            #expect(client.isAtEnd, "the connection closes after \(what)")
            #expect(handled.all.isEmpty)
            let next = try RawClient(port: server.port)
            next.send(request("GET", "/"))
            #expect(try next.response().status == 200)
        }
    }

    /// None of these shows in what the library hands out.
    @Test(arguments: [
        "GET /a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\0c\r\n\r\n",
        "GET / HTTP/1.1\r\nX-A: b\0c\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nX\0A: b\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nX-A: b\0\r\nHost: localhost\r\n\r\n", "GET /?a\0b HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\nHost: localhost\r\n\r\n", "GET / HTTP/1.1\r\nHost: localhost\n\r\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\n\n",
        "GET / HTTP/1.1\r\nHost: localhost\nX-A: b\r\n\r\n", "GET / HTTP/1.1\nHost: localhost\n\n",
        "GET / HTTP/1.1\r\nHost: localhost\r\nX-A: b\r\n c\r\n\r\n",
        "GET / HTTP/1.1\r\nX-A: b\r\n\tc\r\nHost: localhost\r\n\r\n",
        "GET / HTTP/1.1\r\nX-A:\r\n c\r\nHost: localhost\r\n\r\n",
    ])
    func `a NUL, a bare line feed and a folded line are refused`(head: String) throws {
        let handled = Notes<String>()
        try withServer(handler: { exchange in
            handled.add(exchange.target)
            exchange.respond(status: 200)
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(head)
            let answer = String(decoding: client.rest(), as: UTF8.self)
            #expect(answer.isEmpty || answer.hasPrefix("HTTP/1.1 400"), "\(answer)")
            #expect(handled.all.isEmpty)
        }
    }

    @Test(arguments: [1, 7, 1_000, 5_000])
    func `a head is taken however it is cut, and with every space that is allowed`(size: Int) throws {
        try withServer(handler: { $0.respond(status: 200, body: Array("\($0.headers.count)".utf8)) }) { server in
            let client = try RawClient(port: server.port)
            let long = String(repeating: "v", count: size == 1 ? 100 : 3_000)
            let lines = (0..<7).map { "X-\($0): \(long)\r\n" }.joined()
            let head =
                "GET /path?q=%20&r HTTP/1.1\r\nHost:localhost\r\nEmpty:\r\nSpaces: \t b \t \r\nCookie: a=b; c=d\r\n\(lines)\r\n"
            let bytes = Array(head.utf8)
            // Twice: the second begins where the first one left the library's buffer.
            for _ in 0..<2 {
                for start in stride(from: 0, to: bytes.count, by: size) {
                    client.send(Array(bytes[start..<min(start + size, bytes.count)]))
                }
                let response = try client.response()
                #expect(response.status == 200, "\(response.text)")
                #expect(response.text == "11")
            }
            client.send(String(repeating: head, count: 3))
            for _ in 0..<3 { #expect(try client.response().text == "11") }
        }
    }

    @Test func `our own pages may ask`() throws {
        try withServer(
            configure: { $0.allowed.origins = ["https://console.example"] }, handler: { $0.respond(status: 200) }
        ) { server in
            let client = try RawClient(port: server.port)
            for (host, origin) in [
                ("localhost:8787", "http://localhost:8787"), ("LOCALHOST", "https://localhost"),
                ("127.0.0.1", "https://console.example"),
                ("[::1]:1", "http://[::1]:1"),
            ] {
                client.send("GET / HTTP/1.1\r\nHost: \(host)\r\nOrigin: \(origin)\r\n\r\n")
                #expect(try client.response().status == 200)
            }
        }
    }

    @Test func `a head over the limit is refused`() throws {
        try withServer(handler: { $0.respond(status: 200) }) { server in
            let client = try RawClient(port: server.port)
            client.send(
                "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + String(repeating: "a", count: Limits.HTTP.headBytes)
                    + "\r\n\r\n")
            let status = try? client.response().status
            #expect(status == nil || status == 431 || status == 413)
            let below = try RawClient(port: server.port)
            below.send(
                "GET / HTTP/1.1\r\nHost: localhost\r\nX: " + String(repeating: "a", count: Limits.HTTP.headBytes / 2)
                    + "\r\n\r\n")
            #expect(try below.response().status == 200)
        }
    }

    @Test func `a body at the limit passes and one byte more is refused`() throws {
        try withServer(
            configure: { $0.bodyLimit = { _, path in path.hasPrefix("/big") ? 2_000 : 1_000 } },
            handler: { exchange in
                exchange.respond(status: 200, body: Array("\(exchange.body.count)".utf8))
            }
        ) { server in
            let client = try RawClient(port: server.port)
            client.send(request("POST", "/", body: String(repeating: "a", count: 1_000)))
            #expect(try client.response().text == "1000")
            client.send(request("POST", "/big", body: String(repeating: "a", count: 2_000)))
            #expect(try client.response().text == "2000")
            client.send(request("POST", "/", body: String(repeating: "a", count: 1_001)))
            let response = try client.response()
            #expect(response.status == 413)
            #expect(response.header("content-type") == "application/problem+json")
            #expect(response.text.contains(#""code":"body_too_large""#))
        }
    }

    @Test func `a body that outgrows the limit on its way costs the connection`() throws {
        let handled = Notes<Int>()
        try withServer(
            configure: { $0.bodyLimit = { _, _ in 1_000 } },
            handler: { exchange in
                handled.add(exchange.body.count)
                exchange.respond(status: 200)
            }
        ) { server in
            let client = try RawClient(port: server.port)
            client.send("POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n")
            client.send("3e9\r\n" + String(repeating: "a", count: 1_001) + "\r\n0\r\n\r\n")
            #expect(client.rest().isEmpty)
            #expect(handled.all.isEmpty)
            #expect(server.statistics.dropped == 1)
        }
    }

    @Test func `bodies of all connections together have a bound`() throws {
        try withServer(configure: { $0.bodiesBytes = 1_500 }, handler: { $0.respond(status: 200) }) { server in
            let first = try RawClient(port: server.port)
            first.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n")
            #expect(eventually { server.statistics.requests == 1 })
            let second = try RawClient(port: server.port)
            second.send(request("POST", "/", body: String(repeating: "b", count: 501)))
            #expect(try second.response().status == 503)
            let third = try RawClient(port: server.port)
            third.send(request("POST", "/", body: String(repeating: "b", count: 500)))
            #expect(try third.response().status == 200)
            first.send(String(repeating: "a", count: 1_000))
            #expect(try first.response().status == 200)
            second.close()
            let fourth = try RawClient(port: server.port)
            fourth.send(request("POST", "/", body: String(repeating: "b", count: 1_500)))
            #expect(try fourth.response().status == 200)
        }
    }

    @Test func `who may not ask is told so before the body is taken`() throws {
        try withServer(
            configure: { configuration in
                configuration.admit = {
                    $0.header("Authorization") == nil ? Problem(.unauthenticated, "give a token") : nil
                }
            }, handler: { $0.respond(status: 200) }
        ) { server in
            let client = try RawClient(port: server.port)
            client.send(request("POST", "/", body: String(repeating: "a", count: 100_000)))
            let response = try client.response()
            #expect(response.status == 401)
            #expect(response.header("www-authenticate") == "Bearer")
            // Too much to be read for nothing: the answer comes at once.
            let large = try RawClient(port: server.port)
            large.send(
                "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: \(Limits.HTTP.discardedBytes + 1)\r\n\r\n")
            #expect(try large.response().status == 401)
        }
    }

    @Test func `a client that is too slow is broken off`() throws {
        try withServer(
            configure: {
                $0.pace.headMilliseconds = 0
                $0.pace.bodyMilliseconds = 0
            }, handler: { $0.respond(status: 200) }
        ) { server in
            let head = try RawClient(port: server.port)
            head.send("GET / HT")
            #expect(head.rest().isEmpty)
            let body = try RawClient(port: server.port)
            body.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\nab")
            #expect(body.rest().isEmpty)
            #expect(server.statistics.dropped == 2)
            #expect(eventually { server.connectionCount == 0 })
        }
    }
}
