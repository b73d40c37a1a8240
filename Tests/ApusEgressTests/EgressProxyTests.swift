import ApusCore
import ApusTestSupport
import Glibc
import Synchronization
import Testing

@testable import ApusEgress

/// The proxy over real sockets, against what a function in a sandbox would try.
struct EgressProxyTests {
    private func bed(
        _ peer: Peer, names: [String: [[String]]] = ["peer.test": [["127.0.0.1"]]], isAdmitted: Bool = true,
        _ change: (inout EgressSettings) -> Void = { _ in }
    ) throws -> ProxyBed {
        var settings = EgressSettings()
        if isAdmitted { settings.allowPrivate = [try #require(AddressException("127.0.0.1:\(peer.port)"))] }
        change(&settings)
        let access = NetworkAccess(allow: [
            try NetworkRule("peer.test:\(peer.port)"), try NetworkRule("*.rebind.test:\(peer.port)"),
        ])
        return try ProxyBed(access, names: names, settings: settings)
    }

    @Test func aTunnelCarriesBytesBothWaysAndIsToldOf() throws {
        let peer = try Peer(isEcho: true)
        let bed = try self.bed(peer)
        defer {
            bed.end()
            peer.end()
        }
        let caller = try Caller(bed.port)
        // What comes behind the head at once belongs to the tunnel.
        caller.send("CONNECT peer.test:\(peer.port) HTTP/1.1\r\n\r\nearly")
        let head = "HTTP/1.1 200 Connection established\r\n\r\n"
        #expect(caller.read(head.utf8.count + 5) == head + "early")
        caller.send("late")
        #expect(caller.read(4) == "late")
        caller.finish()
        #expect(caller.readToEnd() == "")
        #expect(waitUntil(seconds: 10) { bed.verdicts() == [.allowed, .closed] })
        let last = bed.records.withLock { $0.last }
        #expect(
            last?.sent == 9 && last?.received == 9 && last?.address == "127.0.0.1"
                && last?.target == "peer.test:\(peer.port)")
        #expect(bed.connections == 0)
    }

    @Test func nothingBehindABodyReachesTheServer() throws {
        let peer = try Peer(answer: "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
        let bed = try self.bed(peer)
        defer {
            bed.end()
            peer.end()
        }
        let smuggled = "GET /admin HTTP/1.1\r\nHost: peer.test\r\n\r\n"
        for (framing, body) in [("Content-Length: 3", "abc"), ("Transfer-Encoding: chunked", "3\r\nabc\r\n0\r\n\r\n")] {
            let caller = try Caller(bed.port)
            caller.send("POST http://peer.test:\(peer.port)/x HTTP/1.1\r\n\(framing)\r\n\r\n\(body)\(smuggled)")
            #expect(caller.readToEnd().hasSuffix("ok"))
            // The peer answers what comes first, which may be the head alone.
            let hasCome = waitUntil(seconds: 10) { peer.texts.last?.hasSuffix("\r\n\r\n\(body)") ?? false }
            let came = peer.texts.last ?? ""
            #expect(hasCome && came.hasPrefix("POST /x HTTP/1.1\r\nHost: peer.test:\(peer.port)\r\n"), "\(came)")
        }
        // Sent later, as a second request on the same connection.
        let caller = try Caller(bed.port)
        caller.send("GET http://peer.test:\(peer.port)/x HTTP/1.1\r\n\r\n")
        caller.send(smuggled)
        _ = caller.readToEnd()
        #expect(!peer.texts.joined().contains("admin"))
    }

    @Test func addressesAreCheckedAfterTheNameWasResolvedAndNoSecondTime() throws {
        let peer = try Peer(answer: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nreached")
        // The second answer is another one: whoever asked again would be led there.
        let names = [
            "a.rebind.test": [["127.0.0.1"], ["169.254.169.254"]],
            "b.rebind.test": [["169.254.169.254"], ["127.0.0.1"]],
            "c.rebind.test": [["10.0.0.1", "::1", "127.0.0.1"]], "d.rebind.test": [["::ffff:127.0.0.1"]],
            "e.rebind.test": [["64:ff9b::7f00:1", "2002:7f00:1::", "fe80::1", "0.0.0.0"]],
        ]
        let bed = try self.bed(peer, names: names)
        defer {
            bed.end()
            peer.end()
        }
        func status(_ name: String) throws -> String {
            let caller = try Caller(bed.port)
            caller.send("GET http://\(name).rebind.test:\(peer.port)/ HTTP/1.1\r\n\r\n")
            return String(caller.readToEnd().prefix(12))
        }
        #expect(try status("a") == "HTTP/1.1 200")
        #expect(bed.names.questions.withLock { $0 } == ["a.rebind.test"])
        #expect(try status("a") == "HTTP/1.1 403")
        #expect(try status("b") == "HTTP/1.1 403")
        #expect(try status("c") == "HTTP/1.1 200")
        #expect(try status("d") == "HTTP/1.1 403")
        #expect(try status("e") == "HTTP/1.1 403")
        #expect(try status("unknown") == "HTTP/1.1 502")
        #expect(bed.reasons().contains(.privateAddress) && bed.reasons().contains(.unresolved))
        #expect(peer.texts.count == 2)
    }

    @Test func loopbackIsClosedUnlessTheOperatorOpensIt() throws {
        let peer = try Peer(isEcho: true)
        let bed = try self.bed(peer, isAdmitted: false)
        defer {
            bed.end()
            peer.end()
        }
        let caller = try Caller(bed.port)
        caller.send("CONNECT peer.test:\(peer.port) HTTP/1.1\r\n\r\n")
        let answer = caller.readToEnd()
        #expect(answer.hasPrefix("HTTP/1.1 403 private_address\r\n") && answer.contains("loopback"), "\(answer)")
        #expect(peer.texts.isEmpty)
    }

    @Test func aWorkerHasSoManyConnectionsAndOthersWait() throws {
        let peer = try Peer(isEcho: true)
        let bed = try self.bed(peer)
        defer {
            bed.end()
            peer.end()
        }
        // Heads that never end.
        var slow = try (0..<Limits.Egress.connectionsPerWorker + 20).map { _ in try Caller(bed.port) }
        for caller in slow { caller.send("CONNECT peer.test") }
        #expect(waitUntil(seconds: 10) { bed.connections == Limits.Egress.connectionsPerWorker })
        let late = try Caller(bed.port)
        late.send("CONNECT peer.test:1 HTTP/1.1\r\n\r\n")
        // Time is what ends those that say nothing.
        bed.pass(.seconds(Limits.Egress.headSeconds + 1))
        #expect(late.read(12) == "HTTP/1.1 403")
        #expect(slow[0].read(12) == "HTTP/1.1 408")
        slow.removeAll()
        bed.pass(.seconds(Limits.Egress.headSeconds + Limits.Egress.leaveSeconds + 1))
        #expect(waitUntil(seconds: 10) { bed.connections <= 1 })
    }

    @Test func aConnectionCarriesSoMuchAndLastsSoLong() throws {
        let peer = try Peer(isEcho: true)
        let bed = try self.bed(peer) {
            $0.connectionBytes = 1 << 20
            $0.idle = .seconds(60)
        }
        defer {
            bed.end()
            peer.end()
        }
        let caller = try Caller(bed.port)
        caller.send("CONNECT peer.test:\(peer.port) HTTP/1.1\r\n\r\n")
        _ = caller.read(39)
        var sent = 0
        let chunk = [UInt8](repeating: 1, count: 16_384)
        // It echoes, and what comes back counts as well: read it, so that nothing waits for us.
        while sent < 8 << 20 {
            let count = caller.send(chunk)
            guard count > 0, !caller.read(count).isEmpty else { break }
            sent += count
        }
        #expect(sent <= 1 << 20)
        #expect(waitUntil(seconds: 10) { bed.reasons().last == .limit })
        let idle = try Caller(bed.port)
        idle.send("CONNECT peer.test:\(peer.port) HTTP/1.1\r\n\r\n")
        _ = idle.read(39)
        bed.pass(.seconds(61))
        #expect(idle.readToEnd() == "")
        #expect(waitUntil(seconds: 10) { bed.reasons().last == .timeout })
    }

    @Test func aWorkersHourIsBounded() throws {
        let peer = try Peer(
            answer: "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + String(repeating: "x", count: 60_000))
        let bed = try self.bed(peer) { $0.workerBytesPerHour = 100_000 }
        defer {
            bed.end()
            peer.end()
        }
        func fetch() throws -> Int {
            let caller = try Caller(bed.port)
            caller.send("GET http://peer.test:\(peer.port)/ HTTP/1.1\r\n\r\n")
            return caller.readToEnd().utf8.count
        }
        #expect(try fetch() > 60_000)
        #expect(try fetch() < 60_000)
        bed.pass(.seconds(3_601))
        #expect(try fetch() > 60_000)
    }

    @Test func aWorkerThatEndsTakesItsConnectionsAlong() throws {
        let peer = try Peer(isEcho: true)
        let bed = try self.bed(peer)
        defer {
            bed.end()
            peer.end()
        }
        let caller = try Caller(bed.port)
        caller.send("CONNECT peer.test:\(peer.port) HTTP/1.1\r\n\r\n")
        _ = caller.read(39)
        bed.closeWorker()
        #expect(caller.readToEnd() == "")
        #expect(bed.connections == 0)
    }

    @Test func aFloodOfRefusalsIsToldOfOnce() throws {
        let peer = try Peer(isEcho: true)
        let bed = try self.bed(peer)
        defer {
            bed.end()
            peer.end()
        }
        for _ in 0..<400 {
            let caller = try Caller(bed.port)
            caller.send("CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n")
            #expect(caller.read(12) == "HTTP/1.1 403")
        }
        bed.pass(.seconds(2))
        let caller = try Caller(bed.port)
        caller.send("CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n")
        _ = caller.read(12)
        let records = bed.records.withLock { $0 }
        #expect(records.reduce(0) { $0 + 1 + Int($1.dropped) } == 401)
        #expect(records.count < 401)
    }
}
