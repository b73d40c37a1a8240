import ApusCore
import ApusHTTP
import ApusStore
import ApusTestSupport
import Testing

@testable import ApusServer

/// A connection on which one was let in opens nothing to anybody else.
@Suite(.timeLimit(.minutes(3))) struct RememberedAdmissionTests {
    @Test func oneConnectionAnswersAsManyWould() throws {
        let bed = try TokenBed()
        let tokens: [String?] = [
            try bed.token("reader", ["reader@team"]), try bed.token("deployer", ["deployer@*"]), bed.bed.token, nil,
            "wrong",
        ]
        let requests = [
            ("GET", "/v1/functions"), ("GET", "/v1/namespaces/team/functions"), ("GET", "/metrics"),
            ("GET", "/v1/tokens"), ("POST", "/v1/functions"), ("GET", "/v1/topics?x=1"), ("GET", "/nowhere"),
            ("POST", "/mcp"), ("POST", "/v1/namespaces/team/mcp"),
        ]
        var expected: [String: UInt32] = [:]
        for token in tokens {
            for (method, path) in requests {
                let fresh = try HTTPClient()
                let headers = token.map { [HTTPHeader("Authorization", "Bearer \($0)")] } ?? []
                let response = try fresh.request(
                    method, "http://127.0.0.1:\(bed.bed.port)\(path)", headers: headers,
                    body: method == "POST" ? [] : nil)
                expected["\(token ?? "-") \(method) \(path)"] = UInt32(response.status)
            }
        }
        #expect(Set(expected.values).isSuperset(of: [200, 401, 403]))
        // The bed's client keeps its connection: what one request was allowed must not be what the next one is.
        var random = SeededGenerator(seed: 3)
        for _ in 0..<400 {
            let token = tokens[Int.random(in: tokens.indices, using: &random)]
            let (method, path) = requests[Int.random(in: requests.indices, using: &random)]
            for _ in 0..<Int.random(in: 1...3, using: &random) {
                let response = try bed.ask(method, path, token: token, body: method == "POST" ? "" : nil)
                let what = "\(token ?? "-") \(method) \(path)"
                #expect(UInt32(response.status) == expected[what], "\(what)")
            }
        }
        bed.bed.server.stop()
    }

    @Test func aRevokedTokenIsRefusedOnAConnectionThatKnewIt() throws {
        let bed = try TokenBed()
        let token = try bed.token("short", ["reader@*"])
        for _ in 0..<3 { #expect(try bed.ask("GET", "/v1/functions", token: token).status == 200) }
        #expect(try bed.bed.ask("DELETE", "/v1/tokens/short").status == 200)
        let refused = try bed.ask("GET", "/v1/functions", token: token)
        #expect(refused.status == 401 && String(decoding: refused.body, as: UTF8.self).contains("revoked"))
        bed.bed.server.stop()
    }

    @Test func anExpiredTokenIsRefusedOnAConnectionThatKnewIt() throws {
        let bed = try TokenBed()
        let token = try bed.token("brief", ["reader@*"], expires: bed.now + .seconds(2))
        #expect(try bed.ask("GET", "/v1/functions", token: token).status == 200)
        let isRefused = try waitUntil(seconds: 20) {
            try bed.ask("GET", "/v1/functions", token: token).status == 401
        }
        #expect(isRefused)
        bed.bed.server.stop()
    }
}
