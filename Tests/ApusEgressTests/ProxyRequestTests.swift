import ApusCore
import Testing

@testable import ApusEgress

struct ProxyRequestTests {
    private func read(_ text: String) -> ProxyRequest.Reading { ProxyRequest.read(Array(text.utf8)[...]) }

    private func request(_ text: String) throws -> ProxyRequest {
        guard case .request(let request, _) = self.read(text) else {
            throw EgressRefusal(.malformed, "\(self.read(text))")
        }
        return request
    }

    @Test func tunnelsAndRequestsAreRead() throws {
        let tunnel = try self.request("CONNECT Api.Example.com.:443 HTTP/1.1\r\nHost: x\r\n\r\n")
        #expect(tunnel.form == .tunnel(try NetworkTarget("api.example.com:443")))
        let get = try self.request("GET http://a.example/x?y=1 HTTP/1.1\r\nHost: A.example\r\nX: 1\r\n\r\n")
        #expect(get.form == .request(try NetworkTarget("a.example:80"), isEncrypted: false, path: "/x?y=1"))
        let bare = try self.request("GET HTTPS://a.example?q HTTP/1.0\r\n\r\n")
        #expect(bare.form == .request(try NetworkTarget("a.example:443"), isEncrypted: true, path: "/?q"))
        #expect(self.read("GET http://a.example/ HTTP/1.1\r\nHost: a.ex") == .incomplete)
    }

    @Test(arguments: [
        // Hosts that hide who they are.
        "CONNECT 2130706433:80 HTTP/1.1\r\n\r\n", "CONNECT 0x7f.1:80 HTTP/1.1\r\n\r\n",
        "CONNECT 0177.0.0.1:80 HTTP/1.1\r\n\r\n",
        "CONNECT user@a.example:443 HTTP/1.1\r\n\r\n", "CONNECT a.example HTTP/1.1\r\n\r\n",
        "CONNECT [::1:443 HTTP/1.1\r\n\r\n",
        "GET http://user:pw@a.example/ HTTP/1.1\r\n\r\n", "GET http://a.example\\@b.example/ HTTP/1.1\r\n\r\n",
        "GET http://a.example#@b.example/ HTTP/1.1\r\n\r\n", "GET file:///etc/passwd HTTP/1.1\r\n\r\n",
        "GET gopher://a.example/ HTTP/1.1\r\n\r\n", "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n",
        "GET //a.example/ HTTP/1.1\r\n\r\n",
        "GET http:///x HTTP/1.1\r\n\r\n", "GET http://a.example:99999/ HTTP/1.1\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nHost: b.example\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nHost: a.example:81\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nHost: a.example\r\nHost: a.example\r\n\r\n",
        // Bodies whose end two readers could see in two places.
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: +1\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 1, 1\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nContent-Length: 0x1\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nContent-Length:\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: xchunked\r\n\r\n",
        "POST http://a.example/ HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST http://a.example/ HTTP/1.1\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n",
        "CONNECT a.example:443 HTTP/1.1\r\nContent-Length: 5\r\n\r\n",
        // Lines that end where they should not.
        "GET http://a.example/ HTTP/1.1\nHost: a.example\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nX: a\nY: b\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nX: a\rY: b\r\n\r\n", "GET http://a.example/ HTTP/1.1\r\n X: folded\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nX : a\r\n\r\n", "GET http://a.example/ HTTP/1.1\r\n: a\r\n\r\n",
        "GET http://a.example/ HTTP/1.1\r\nX: \u{0}\r\n\r\n", "GET  http://a.example/ HTTP/1.1\r\n\r\n",
        "GET http://a.example/ x HTTP/1.1\r\n\r\n", "GET http://a.example/\t HTTP/1.1\r\n\r\n",
        "GET http://a.example/ HTTP/2\r\n\r\n",
        "G(T http://a.example/ HTTP/1.1\r\n\r\n", " GET http://a.example/ HTTP/1.1\r\n\r\n",
        "\r\n\r\nGET http://a.example/ HTTP/1.1\r\n\r\n",
        "TRACE http://a.example/ HTTP/1.1\r\n\r\n", "\u{16}\u{3}\u{1}\r\n\r\n",
    ]) func whatCanBeReadInTwoWaysIsRefused(_ text: String) {
        guard case .refused = self.read(text) else {
            Issue.record("\(self.read(text))")
            return
        }
    }

    @Test func headsHaveABound() throws {
        let line = "GET http://a.example/ HTTP/1.1\r\n"
        let room = Limits.Egress.headBytes - line.utf8.count - "X: \r\n\r\n".utf8.count
        _ = try self.request(line + "X: " + String(repeating: "a", count: room) + "\r\n\r\n")
        let endless = line + "X: " + String(repeating: "a", count: Limits.Egress.headBytes)
        guard case .refused(let refusal) = self.read(endless) else {
            Issue.record("an endless head is read on")
            return
        }
        #expect(refusal.status == 431)
        let fields = { (count: Int) in line + String(repeating: "A: b\r\n", count: count) + "\r\n" }
        _ = try self.request(fields(Limits.Egress.headerFields))
        #expect(throws: EgressRefusal.self) { try self.request(fields(Limits.Egress.headerFields + 1)) }
    }

    @Test func noBytesAtAllBringItDown() {
        var random = SystemRandomNumberGenerator()
        let seed = Array("POST http://a.example:80/x HTTP/1.1\r\nHost: a.example\r\nContent-Length: 3\r\n\r\nabc".utf8)
        for _ in 0..<20_000 {
            var bytes = seed
            for _ in 0..<Int.random(in: 1...6, using: &random) {
                let place = Int.random(in: 0..<bytes.count, using: &random)
                bytes[place] = UInt8.random(in: 0...255, using: &random)
            }
            guard case .request(let request, _) = ProxyRequest.read(bytes[...]) else { continue }
            // Whatever was understood has one target and a head without control characters.
            let policy = EgressPolicy(access: NetworkAccess(allow: [try! NetworkRule("a.example:80")]), values: [])
            guard let head = try? policy.decide(request).head else { continue }
            let lines = head.split(separator: 0x0A, omittingEmptySubsequences: false).dropLast()
            #expect(lines.allSatisfy { $0.last == 0x0D && !$0.dropLast().contains(0x0D) && !$0.contains(0) })
        }
    }
}

struct BodyPassageTests {
    private func take(_ framing: BodyPassage.Framing, _ text: String, step: Int = .max) -> (passed: Int?, isDone: Bool)
    {
        var body = BodyPassage(framing)
        var passed = 0
        var rest = Array(text.utf8)[...]
        while !rest.isEmpty {
            let part = Array(rest.prefix(step))
            guard let count = part.withUnsafeBytes({ body.take($0) }) else { return (nil, false) }
            passed += count
            if count < part.count { break }
            rest = rest.dropFirst(part.count)
        }
        return (passed, body.isDone)
    }

    @Test(arguments: [1, 2, 3, 7, 1_000]) func nothingBehindTheBodyPasses(_ step: Int) {
        let smuggled = "GET /admin HTTP/1.1\r\n\r\n"
        #expect(self.take(.length(5), "hello" + smuggled, step: step) == (5, true))
        let chunks = "5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n"
        #expect(self.take(.chunked, chunks + smuggled, step: step) == (chunks.utf8.count, true))
        #expect(self.take(.length(0), smuggled, step: step) == (0, true))
        #expect(self.take(.length(50), "short", step: step) == (5, false))
    }

    @Test(arguments: [
        "5;x=y\r\nhello\r\n0\r\n\r\n", "0\r\nTrailer: x\r\n\r\n", "g\r\n", "\r\n", "5\nhello", "5\r\nhelloX", "-1\r\n",
        " 5\r\n",
        "ffffffff\r\n", "0x5\r\n", "5 \r\n",
    ]) func chunksThatReadersDifferOverAreRefused(_ text: String) {
        #expect(self.take(.chunked, text).passed == nil)
    }
}
