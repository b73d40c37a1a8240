import ApusCore
import Testing

@testable import ApusEgress

struct EgressPolicyTests {
    private static let target = try! NetworkTarget("api.example.com:443")

    private func policy(paths: [String] = [], methods: [String] = []) throws -> EgressPolicy {
        EgressPolicy(
            access: NetworkAccess(
                allow: [try NetworkRule("api.example.com:443"), try NetworkRule("plain.example.com:8080")],
                inject: [
                    HeaderInjection(
                        target: Self.target, secret: "KEY", prefix: "Bearer ", paths: paths, methods: methods)
                ]), values: [Array("s3cret".utf8)])
    }

    private func decide(_ policy: EgressPolicy, _ text: String) throws -> EgressPolicy.Passage {
        switch ProxyRequest.read(Array(text.utf8)[...]) {
        case .request(let request, _): return try policy.decide(request)
        case .refused(let refusal): throw refusal
        case .incomplete: throw EgressRefusal(.malformed, "incomplete")
        }
    }

    private func head(_ policy: EgressPolicy, _ text: String) throws -> String {
        String(decoding: try self.decide(policy, text).head ?? [], as: UTF8.self)
    }

    @Test func aSecretReplacesWhatTheFunctionSaysAndGoesOutEncrypted() throws {
        let text =
            "POST http://api.example.com:443/v1/chat HTTP/1.1\r\nHost: api.example.com:443\r\nAuthorization: Bearer mine\r\nX-A: 1\r\n"
            + "Proxy-Authorization: x\r\nConnection: keep-alive, X-Hop, Content-Length\r\nX-Hop: y\r\nContent-Length: 0\r\n"
            + "X-HTTP-Method-Override: DELETE\r\nX-Original-URL: /admin\r\n\r\n"
        let passage = try self.decide(try self.policy(), text)
        #expect(passage.isEncrypted && passage.injected == ["authorization"])
        #expect(
            String(decoding: passage.head ?? [], as: UTF8.self)
                == "POST /v1/chat HTTP/1.1\r\nHost: api.example.com\r\nx-a: 1\r\ncontent-length: 0\r\nauthorization: Bearer s3cret\r\n"
                + "Connection: close\r\n\r\n")
    }

    @Test func aSecretIsForItsPathsAndMethodsAlone() throws {
        let policy = try self.policy(paths: ["/v1"], methods: ["POST"])
        func injects(_ method: String, _ path: String) throws -> Bool {
            try self.head(policy, "\(method) https://api.example.com\(path) HTTP/1.1\r\n\r\n").contains("s3cret")
        }
        #expect(try injects("POST", "/v1") && injects("POST", "/v1/x?a=../b") && injects("POST", "/v1?x"))
        #expect(try !injects("GET", "/v1/x") && !injects("POST", "/v1beta") && !injects("POST", "/"))
        for path in [
            "/v1/../admin", "/v1/%2e%2e/admin", "/v1//x", "/v1/.", "/v1/%2Fadmin", "/v1/a;b", "/v1\\..\\x", "/v1/%252e",
        ] {
            #expect(throws: EgressRefusal.self, "\(path)") { try injects("POST", path) }
        }
    }

    @Test func whatIsNotListedIsRefusedWithAHint() throws {
        let policy = try self.policy()
        for text in [
            "CONNECT api.example.com:22 HTTP/1.1\r\n\r\n", "CONNECT 169.254.169.254:80 HTTP/1.1\r\n\r\n",
            "GET http://169.254.169.254/latest/meta-data HTTP/1.1\r\n\r\n", "CONNECT example.com:443 HTTP/1.1\r\n\r\n",
            "CONNECT api.example.com.evil.test:443 HTTP/1.1\r\n\r\n", "GET http://api.example.com/ HTTP/1.1\r\n\r\n",
        ] {
            let refusal = #expect(throws: EgressRefusal.self) { try self.decide(policy, text) }
            #expect(refusal?.reason == .notAllowed && refusal?.status == 403)
        }
        let refusal = #expect(throws: EgressRefusal.self) {
            try self.decide(policy, "GET http://api.example.com/ HTTP/1.1\r\n\r\n")
        }
        #expect(refusal?.message.contains("port 443 of it is") == true)
    }

    @Test func aTunnelCarriesNoSecretAndAPlainHostGetsNone() throws {
        let policy = try self.policy()
        #expect(try self.decide(policy, "CONNECT API.example.com.:443 HTTP/1.1\r\n\r\n").head == nil)
        let plain = try self.decide(policy, "GET http://plain.example.com:8080/ HTTP/1.1\r\n\r\n")
        #expect(!plain.isEncrypted && plain.injected.isEmpty)
        #expect(String(decoding: plain.head ?? [], as: UTF8.self).contains("Host: plain.example.com:8080\r\n"))
    }

    @Test func messagesComeAsTheyWent() throws {
        var settings = EgressSettings()
        settings.allowPrivate = ["127.0.0.1:9000", "10.0.0.0/8", "[fd00::/8]:443", "::1"].compactMap {
            AddressException($0)
        }
        #expect(settings.allowPrivate.count == 4)
        let access = try self.policy(paths: ["/v1/"], methods: ["POST", "GET"]).access
        for order in [.start(settings), .open(lease: 1 << 50, access), .close(lease: 7)] as [EgressOrder] {
            #expect(EgressOrder(order.encoded()) == order)
            #expect(EgressOrder(order.encoded().dropLast()) == nil)
        }
        let record = EgressRecord(
            lease: 9, verdict: .refused, target: "a:1", address: "10.0.0.1", reason: .privateAddress, message: "no",
            injected: ["x"], sent: 1, received: .max, dropped: 3)
        #expect(EgressRecord(record.encoded()) == record)
        var random = SystemRandomNumberGenerator()
        for _ in 0..<5_000 {
            let bytes = (0..<Int.random(in: 0...60, using: &random)).map { _ in UInt8.random(in: 0...9, using: &random)
            }
            _ = EgressOrder(bytes)
            _ = EgressRecord(bytes)
        }
    }

    @Test func anHourHoldsSoManyBytesAndASecondSoManyRecords() {
        let start = Timestamp(milliseconds: 1_000_000)
        var window = ByteWindow(most: 100, now: start)
        let isWithin = [
            window.count(100, now: start), window.count(1, now: start + .seconds(3_599)),
            window.count(100, now: start + .seconds(3_600)),
        ]
        #expect(isWithin == [true, false, true])
        var budget = RecordBudget()
        let told = (0...Limits.Egress.recordsPerSecond).map { _ in budget.admit(now: start) }
        #expect(told.dropLast().allSatisfy { $0 == 0 } && told.last == .some(nil))
        let next = budget.admit(now: start + .seconds(1))
        #expect(next == 1)
    }

    @Test func exceptionsAreTheOperatorsAlone() throws {
        var settings = EgressSettings()
        let loopback = try #require(IPAddress("127.0.0.1"))
        #expect(!settings.admits(loopback, port: 9_000))
        settings.allowPrivate = [try #require(AddressException("127.0.0.1:9000"))]
        #expect(settings.admits(loopback, port: 9_000) && !settings.admits(loopback, port: 9_001))
        #expect(!settings.admits(try #require(IPAddress("::ffff:127.0.0.1")), port: 9_000))
        for text in ["127.0.0.1:", "127.0.0.1:0", "host:80", "[::1]80", "10.0.0.1/8"] {
            #expect(AddressException(text) == nil)
        }
    }
}
