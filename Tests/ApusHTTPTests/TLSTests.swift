import ApusCore
import ApusHTTP
import ApusTestSupport
import Glibc
import Testing

@Suite struct TLSTests {
    private let folder = ScratchDirectory()

    private func client(trusting chain: String?) throws -> HTTPClient {
        var configuration = HTTPClient.Configuration()
        if let chain {
            let path = "\(self.folder.path)/ca.pem"
            try writeFile(path, chain)
            configuration.authorities = path
        }
        return try HTTPClient(configuration: configuration)
    }

    private func withTLS(_ handler: @escaping @Sendable (HTTPExchange) -> Void, _ body: (TestServer) throws -> Void) throws {
        try withServer(
            configure: {
                $0.certificate = HTTPCertificate(
                    chain: Array(TestCertificate.chain.utf8), key: Array(TestCertificate.key.utf8))
            }, handler: handler, body)
    }

    @Test func `a client that trusts the certificate is served, over one connection`() throws {
        try self.withTLS({ $0.respond(status: 200, body: $0.body) }) { server in
            let client = try self.client(trusting: TestCertificate.chain)
            for count in [1, 100_000, 0, 1_500_000] {
                let body = [UInt8](repeating: 7, count: count)
                let answer = try client.request("POST", "https://localhost:\(server.port)/", body: body)
                #expect(answer.status == 200)
                #expect(answer.body == body)
            }
            #expect(server.statistics.connections == 1)
        }
    }

    @Test func `a stream comes as it is written`() throws {
        let exchanges = Notes<HTTPReply>()
        try self.withTLS({ exchange in
            exchange.stream(status: 200, headers: ServerSentEvent.headers)
            exchange.write(Array("first\n".utf8))
            exchanges.add(exchange.reply())
        }) { server in
            let client = try self.client(trusting: TestCertificate.chain)
            var seen: [UInt8] = []
            _ = try client.stream("GET", "https://127.0.0.1:\(server.port)/") { chunk in
                seen += chunk
                // The second part is written when the first one was read.
                if let reply = exchanges.all.first, seen.count == 6 {
                    reply.perform {
                        $0.write(Array("second\n".utf8))
                        $0.end()
                    }
                }
                return true
            }
            #expect(String(decoding: seen, as: UTF8.self) == "first\nsecond\n")
        }
    }

    @Test func `a client that does not trust the certificate is told what to do`() throws {
        try self.withTLS({ $0.respond(status: 200) }) { server in
            let error = #expect(throws: ApusError.self) {
                _ = try self.client(trusting: nil).request("GET", "https://localhost:\(server.port)/")
            }
            #expect(error?.code == .serverUnreachable)
            #expect(error?.message.contains("APUS_CA") == true)
        }
    }

    @Test func `plain HTTP on a TLS port is no request`() throws {
        try self.withTLS({ $0.respond(status: 200) }) { server in
            let client = try RawClient(port: server.port)
            client.send(request("GET", "/"))
            #expect(!String(decoding: client.rest(), as: UTF8.self).contains("HTTP/1.1 200"))
            #expect(server.statistics.requests == 0)
        }
    }

    @Test func `a client that leaves while its answer is awaited is noticed`() throws {
        let gone = Notes<Int>()
        try self.withTLS({ exchange in exchange.onGone = { gone.add(1) } }) { server in
            var configuration = HTTPClient.Configuration()
            configuration.timeoutMilliseconds = 300
            let path = "\(self.folder.path)/ca.pem"
            try writeFile(path, TestCertificate.chain)
            configuration.authorities = path
            let client = try HTTPClient(configuration: configuration)
            #expect(throws: ApusError.self) { try client.request("GET", "https://localhost:\(server.port)/") }
            #expect(eventually { gone.all.count == 1 })
        }
    }
}
