import ApusCore
import ApusCrypto
import ApusHTTP
import ApusJSON
import ApusLoop
import ApusStore
import ApusTestSupport
import Testing

@testable import ApusServer

/// Tokens of another issuer, shown to a whole server.
@Suite struct WebTokenServingTests {
    private static func bed(_ issuer: TestIssuer, allowsPrivate: Bool = true) throws -> ServerBed {
        try ServerBed { configuration in
            configuration.auth.publicURL = "https://apus.example"
            configuration.auth.issuers = [
                TokenIssuer(
                    issuer: "https://login.example", keys: issuer.url, audience: "https://apus.example",
                    roles: ["tools": .caller, "look": .reader], allowsPrivate: allowsPrivate)
            ]
        }
    }

    private static func claims(_ scope: String, seconds: Int64 = 600) -> JSONValue {
        [
            "iss": "https://login.example", "sub": "agent-7", "aud": ["https://apus.example"], "scope": .string(scope),
            "exp": .integer(SystemClock().now.milliseconds / 1_000 + seconds),
        ]
    }

    private static func status(_ bed: ServerBed, _ path: String, _ token: String) throws -> Int {
        try bed.ask(
            "GET", path, headers: [HTTPHeader("Authorization", "Bearer \(token)")], hasToken: false
        ).status
    }

    @Test func aTokenOfABelievedIssuerIsLetInAsFarAsItsScopesReach() throws {
        let signer = TestSigner(.es256, id: "k1")
        let issuer = try TestIssuer([signer.jwk])
        defer { issuer.close() }
        let bed = try Self.bed(issuer)
        defer { bed.server.stop() }
        let reader = signer.token(Self.claims("look files:read"))
        #expect(try waitUntil(seconds: 20) { try Self.status(bed, "/v1/functions", reader) == 200 })
        let who = try bed.ask(
            "GET", "/v1/principal", headers: [HTTPHeader("Authorization", "Bearer \(reader)")], hasToken: false)
        #expect(try JSONValue.parse(who.body)["name"]?.string == "https://login.example#agent-7")

        #expect(try Self.status(bed, "/v1/functions", signer.token(Self.claims("tools"))) == 403)
        #expect(try Self.status(bed, "/v1/functions", signer.token(Self.claims("files:read"))) == 403)
        #expect(try Self.status(bed, "/v1/functions", signer.token(Self.claims("look", seconds: -61))) == 401)
        #expect(try Self.status(bed, "/v1/functions", TestSigner(.es256, id: "k1").token(Self.claims("look"))) == 401)
        var other = Self.claims("look")
        other["aud"] = "https://other.example"
        #expect(try Self.status(bed, "/v1/functions", signer.token(other)) == 401)
        other["iss"] = "https://login.example/"
        #expect(try Self.status(bed, "/v1/functions", signer.token(other)) == 401)
        // Many tokens of unknown keys cause no more than one fetch.
        let before = issuer.requests
        let unknown = TestSigner(.es256, id: "k2")
        for _ in 0..<20 { #expect(try Self.status(bed, "/v1/functions", unknown.token(Self.claims("look"))) == 401) }
        #expect(issuer.requests <= before + 1)
    }

    @Test func keysInOnesOwnNetworkNeedToBeAllowed() throws {
        let signer = TestSigner(.edDSA, id: "k1")
        let issuer = try TestIssuer([signer.jwk])
        defer { issuer.close() }
        let bed = try Self.bed(issuer, allowsPrivate: false)
        defer { bed.server.stop() }
        #expect(try Self.status(bed, "/v1/functions", signer.token(Self.claims("look"))) == 401)
        #expect(issuer.requests == 0)
    }

    @Test func agentsAreToldWhereToAskForAToken() throws {
        let issuer = try TestIssuer([TestSigner(.edDSA, id: "k").jwk])
        defer { issuer.close() }
        let bed = try Self.bed(issuer)
        defer { bed.server.stop() }
        let metadata = try bed.ask("GET", "/.well-known/oauth-protected-resource/mcp/search", hasToken: false)
        #expect(metadata.status == 200)
        let json = try JSONValue.parse(metadata.body)
        #expect(json["resource"]?.string == "https://apus.example/mcp/search")
        #expect(json["authorization_servers"]?[0]?.string == "https://login.example")
        #expect(json["scopes_supported"] == ["look", "tools"])
        let refused = try bed.ask("POST", "/mcp/search", body: "{}", hasToken: false)
        let expected = "https://apus.example/.well-known/oauth-protected-resource/mcp/search"
        #expect(refused.status == 401)
        #expect(refused.header("WWW-Authenticate") == #"Bearer scope="tools", resource_metadata="\#(expected)""#)
    }

    @Test func withoutIssuersThereIsNoMetadata() throws {
        let bed = try ServerBed()
        defer { bed.server.stop() }
        #expect(try bed.ask("GET", "/.well-known/oauth-protected-resource", hasToken: false).status == 404)
    }
}
