import ApusCore
import ApusHTTP
import Glibc
import Testing

/// Clients that leave, and servers that stop.
@Suite struct DepartureTests {
    @Test func `a client that leaves while its answer is awaited is noticed`() throws {
        let gone = Notes<Int>()
        try withServer(handler: { exchange in exchange.onGone = { gone.add(1) } }) { server in
            let polite = try RawClient(port: server.port)
            polite.send(request("GET", "/"))
            let rude = try RawClient(port: server.port)
            rude.send(request("GET", "/"))
            #expect(eventually { server.statistics.requests == 2 })
            polite.close()
            rude.reset()
            #expect(eventually { gone.all.count == 2 })
            #expect(eventually { server.connectionCount == 0 })
        }
    }

    @Test func `an answer to a client that left is dropped`() throws {
        let gone = Signal<HTTPReply>()
        try withServer(handler: { exchange in
            exchange.onGone = { [unowned exchange] in gone.send(exchange.reply()) }
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(request("GET", "/"))
            #expect(eventually { server.statistics.requests == 1 })
            client.close()
            let reply = gone.wait()
            let after = Signal<Bool>()
            reply.perform { exchange in
                exchange.respond(status: 200)
                exchange.stream(status: 200, headers: [])
                #expect(!exchange.write([1]))
                exchange.end()
                exchange.abort()
                #expect(exchange.header("Host") == nil)
                #expect(exchange.headers.isEmpty)
                after.send(exchange.isGone)
            }
            #expect(after.wait())
        }
    }

    @Test func `a hundred streams that are left free their descriptors`() throws {
        let gone = Notes<Int>()
        try withServer(handler: { exchange in
            exchange.onGone = { gone.add(1) }
            exchange.stream(status: 200, headers: ServerSentEvent.headers)
            exchange.write(ServerSentEvent.encode(data: Array("first".utf8)))
        }) { server in
            let clients = try (0..<100).map { _ in try RawClient(port: server.port) }
            for client in clients { client.send(request("GET", "/")) }
            for client in clients {
                #expect(try client.head().status == 200)
                #expect(try client.chunk() == Array("data: first\n\n".utf8))
            }
            #expect(server.connectionCount == 100)
            for client in clients { client.close() }
            #expect(eventually { server.connectionCount == 0 })
            #expect(gone.all.count == 100)
        }
    }

    @Test func `a stream sends what is written when it is written`() throws {
        let reply = Signal<HTTPReply>()
        let gone = Notes<Int>()
        try withServer(handler: { exchange in
            exchange.onGone = { gone.add(1) }
            exchange.stream(status: 200, headers: [("Content-Type", "application/x-ndjson")])
            reply.send(exchange.reply())
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(request("GET", "/"))
            #expect(try client.head().status == 200)
            for number in 0..<3 {
                reply.wait().perform { $0.write(Array("\(number)\n".utf8)) }
                #expect(try client.chunk() == Array("\(number)\n".utf8))
            }
            reply.wait().perform { $0.end() }
            #expect(try client.chunk() == nil)
            #expect(gone.all.isEmpty)
        }
    }

    @Test func `a stream that is broken off ends without its last chunk`() throws {
        try withServer(handler: { exchange in
            exchange.stream(status: 200, headers: [])
            exchange.write(Array("part".utf8))
            exchange.later { $0.later { $0.abort() } }
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(request("GET", "/"))
            let text = String(decoding: client.rest(), as: UTF8.self)
            #expect(text.hasPrefix("HTTP/1.1 200"))
            #expect(!text.hasSuffix("0\r\n\r\n"))
        }
    }

    @Test func `a writer is told to wait and told when to go on`() throws {
        let total = 8 << 20
        try withServer(handler: { exchange in
            exchange.stream(status: 200, headers: [])
            pump(exchange, left: total)
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(request("GET", "/"))
            #expect(try client.response().body.count == total)
        }
    }

    @Test func `a writer that does not wait is broken off at the bound`() throws {
        let accepted = Signal<Int>()
        try withServer(handler: { exchange in
            exchange.stream(status: 200, headers: [])
            let part = [UInt8](repeating: 1, count: 1 << 20)
            var count = 0
            while count <= Limits.HTTP.outputBytes, !exchange.isBrokenOff {
                exchange.write(part)
                count += part.count
            }
            accepted.send(count)
        }) { server in
            let client = try RawClient(port: server.port)
            client.send(request("GET", "/"))
            #expect(accepted.wait() == Limits.HTTP.outputBytes + (1 << 20))
            #expect(client.rest().count < 1 << 20)
        }
    }

    @Test func `a stop lets what runs finish and takes nothing new`() throws {
        let reply = Signal<HTTPReply>()
        let server = try TestServer(handler: { reply.send($0.reply()) })
        let idle = try RawClient(port: server.port)
        let busy = try RawClient(port: server.port)
        busy.send(request("GET", "/"))
        let running = reply.wait()
        #expect(eventually { server.connectionCount == 2 })
        let stopped = server.beginStop(withinMilliseconds: 30_000)
        #expect(idle.rest().isEmpty)
        #expect(throws: NotConnected.self) { try RawClient(port: server.port) }
        #expect(!stopped.isSent)
        running.respond(status: 200, body: Array("done".utf8))
        let response = try busy.response()
        #expect(response.text == "done")
        #expect(response.header("connection")?.lowercased() == "close")
        #expect(stopped.wait())
        server.endLoop()
    }

    @Test func `a stop breaks off what does not finish in time`() throws {
        let gone = Notes<String>()
        let server = try TestServer(handler: { exchange in
            let path = exchange.rawPath
            exchange.onGone = { gone.add(path) }
            guard path == "/stream" else { return }
            exchange.stream(status: 200, headers: [])
            exchange.write([1])
        })
        let waiting = try RawClient(port: server.port)
        waiting.send(request("GET", "/waiting"))
        let streaming = try RawClient(port: server.port)
        streaming.send(request("GET", "/stream"))
        #expect(try streaming.head().status == 200)
        #expect(eventually { server.statistics.requests == 2 })
        #expect(server.beginStop(withinMilliseconds: 1).wait())
        #expect(waiting.rest().isEmpty)
        _ = streaming.rest()
        #expect(gone.all.sorted() == ["/stream", "/waiting"])
        server.endLoop()
    }
}

/// Writes 64 KiB at a time, never more than the client takes.
private func pump(_ exchange: HTTPExchange, left: Int) {
    var left = left
    while left > 0 {
        let count = min(left, 64 * 1024)
        left -= count
        guard exchange.write([UInt8](repeating: 7, count: count)) else {
            let rest = left
            exchange.onDrained = { [unowned exchange] in
                exchange.onDrained = nil
                pump(exchange, left: rest)
            }
            return
        }
    }
    exchange.end()
}
