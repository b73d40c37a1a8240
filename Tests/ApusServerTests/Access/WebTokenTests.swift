import ApusCrypto
import ApusHTTP
import ApusJSON
import ApusStore
import ApusTelemetry
import ApusTestSupport
import Testing

@testable import ApusCore
@testable import ApusServer

@Suite struct WebTokenTests {
    static let now = Timestamp(microseconds: 1_900_000_000_000_000)
    static let issuer = TokenIssuer(
        issuer: "https://login.example", keys: "https://login.example/keys", audience: "https://apus.example",
        namespaceClaim: "tenant", roles: ["tools:call": .caller])

    static func claims(_ changes: JSONValue = [:]) -> JSONValue {
        var claims: JSONValue = [
            "iss": "https://login.example", "sub": "agent-7", "aud": "https://apus.example", "exp": 1_900_000_060,
            "scope": "tools:call files:read", "tenant": "search",
        ]
        for name in changes.object?.names ?? [] { claims[name] = changes[name] }
        return claims
    }

    // MARK: signatures

    @Test(arguments: PublicKey.Algorithm.allCases) func whatAKeySignedIsRightAndNothingElse(
        algorithm: PublicKey.Algorithm
    ) throws {
        let signer = TestSigner(algorithm, id: "k1")
        let keys = try #require(KeySet(parsing: (["keys": .array([signer.jwk])] as JSONValue).encoded()))
        let token = try JSONWebToken(parsing: signer.token(Self.claims()))
        let key = try #require(keys.key("k1", for: algorithm))
        #expect(key.verifies(token.signature, of: token.signed, by: algorithm))
        for index in [0, token.signature.count / 2, token.signature.count - 1] {
            var signature = token.signature
            signature[index] ^= 1
            #expect(!key.verifies(signature, of: token.signed, by: algorithm))
        }
        #expect(!key.verifies(token.signature, of: token.signed + [0], by: algorithm))
        #expect(!key.verifies([], of: token.signed, by: algorithm))
        for other in PublicKey.Algorithm.allCases where other != algorithm {
            #expect(!key.verifies(token.signature, of: token.signed, by: other))
        }
    }

    @Test func keysThatAreNoneAreRefused() {
        #expect(PublicKey(rsaModulus: [UInt8](repeating: 0xFF, count: 128), exponent: [1, 0, 1]) == nil)
        #expect(PublicKey(curve: .p256, x: [UInt8](repeating: 1, count: 32), y: nil) == nil)
        #expect(
            PublicKey(curve: .p256, x: [UInt8](repeating: 1, count: 32), y: [UInt8](repeating: 1, count: 32)) == nil)
        #expect(PublicKey(curve: .ed25519, x: [1], y: nil) == nil)
        for text in ["", "{}", #"{"keys":[]}"#, #"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, #"{"keys":[{"kty":"RSA"}]}"#] {
            #expect(KeySet(parsing: Array(text.utf8)) == nil)
        }
    }

    @Test func aKeyIsFoundByItsNameAndForWhatItIsMeant() throws {
        let (first, second) = (TestSigner(.es256, id: "a"), TestSigner(.edDSA, id: "b"))
        let both = try #require(KeySet(parsing: (["keys": .array([first.jwk, second.jwk])] as JSONValue).encoded()))
        #expect(both.key("a", for: .es256) != nil && both.key("b", for: .edDSA) != nil)
        #expect(
            both.key("a", for: .edDSA) == nil && both.key(nil, for: .es256) == nil && both.key("c", for: .es256) == nil)
    }

    // MARK: form

    @Test func algorithmsWithoutAKeyOfTheIssuersAreNone() {
        let signer = TestSigner(.es256, id: "k1")
        for name in ["none", "None", "HS256", "ES256K", ""] {
            let text = signer.token(Self.claims(), header: ["alg": .string(name)])
            #expect(throws: JSONWebToken.Fault.algorithm) { try JSONWebToken(parsing: text) }
        }
        let critical = signer.token(Self.claims(), header: ["alg": "ES256", "crit": ["b64"], "b64": false])
        #expect(throws: JSONWebToken.Fault.critical) { try JSONWebToken(parsing: critical) }
    }

    @Test func whatIsNoTokenIsNeverOne() {
        for text in ["a.b", "a.b.c.d", "..", "e30.e30.===", "e30.W10.AA", String(repeating: "a", count: 20_000)] {
            #expect(throws: JSONWebToken.Fault.self) { try JSONWebToken(parsing: text) }
        }
        var generator = SeededGenerator(seed: 9)
        let whole = Array(TestSigner(.edDSA, id: "k").token(Self.claims()).utf8)
        for _ in 0..<5_000 {
            var bytes = whole
            for _ in 0...Int(generator.next() % 4) {
                bytes[Int(generator.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: generator.next())
            }
            // It may still be of the right form; it must only end.
            _ = try? JSONWebToken(parsing: String(decoding: bytes, as: UTF8.self))
        }
    }

    // MARK: claims

    private static func principal(_ changes: JSONValue, at time: Timestamp = Self.now) throws -> Principal {
        let token = try JSONWebToken(parsing: TestSigner(.edDSA, id: "k").token(Self.claims(changes)))
        return try Self.issuer.principal(of: token, now: time)
    }

    @Test func issuerAndSubjectNameWhoeverShowsIt() throws {
        let principal = try Self.principal([:])
        #expect(principal.name == "https://login.example#agent-7")
        #expect(principal.roles.texts == ["caller@search"] && principal.namespace.name == "search")
        #expect(principal.scopes == ["tools:call", "files:read"])
        #expect(principal.expires == Self.now + .seconds(120))
    }

    @Test(
        arguments: [
            ["exp": .null], ["exp": 1_899_999_940], ["exp": "soon"], ["nbf": 1_900_000_061], ["nbf": "x"],
            ["sub": .null],
            ["sub": ""], ["sub": .string(String(repeating: "s", count: 256))],
        ] as [JSONValue])
    func whatDoesNotHoldIsUnauthenticated(changes: JSONValue) {
        #expect { try Self.principal(changes) } throws: { ($0 as? ApusError)?.code == .unauthenticated }
    }

    @Test func clocksMayBeAMinuteApart() throws {
        _ = try Self.principal(["exp": 1_899_999_941, "nbf": 1_900_000_060])
        _ = try Self.principal(["exp": 1_900_000_000.5])
    }

    @Test(
        arguments: [
            ["tenant": .null], ["tenant": "Not A Name"], ["tenant": 7], ["scope": "files:read"], ["scope": .null],
        ] as [JSONValue])
    func whoHasNoPlaceHereIsRefused(changes: JSONValue) {
        #expect { try Self.principal(changes) } throws: { ($0 as? ApusError)?.code == .forbidden }
    }

    @Test func anAudienceIsOneTextOrOneOfAList() throws {
        func token(_ audience: JSONValue) throws -> JSONWebToken {
            try JSONWebToken(parsing: TestSigner(.edDSA, id: "k").token(Self.claims(["aud": audience])))
        }
        #expect(try token("x").isFor("x") && token(["a", "x"]).isFor("x"))
        #expect(
            try !token("xy").isFor("x") && !token(["a"]).isFor("x") && !token(.null).isFor("x")
                && !token(["x": 1]).isFor("x"))
    }

    // MARK: keys in time

    @Test func keysAreFetchedOnTimeAndForUnknownOnesOnceAMinute() throws {
        let signer = TestSigner(.edDSA, id: "k")
        let set = try #require(KeySet(parsing: (["keys": .array([signer.jwk])] as JSONValue).encoded()))
        var keys = IssuerKeys()
        var now = Self.now
        let answer1 = keys.tick(now: now)
        let answer2 = keys.tick(now: now)
        let answer3 = keys.missed(now: now)
        #expect(answer1 == .fetch && answer2 == .none && answer3 == .none)
        keys.fetched(nil, now: now)
        let answer4 = keys.tick(now: now + .seconds(4))
        let answer5 = keys.missed(now: now + .seconds(4))
        #expect(answer4 == .none && answer5 == .none)
        let answer6 = keys.tick(now: now + .seconds(5))
        #expect(answer6 == .fetch)
        now = now + .seconds(6)
        keys.fetched(set, now: now)
        let answer7 = keys.missed(now: now + .seconds(59))
        let answer8 = keys.missed(now: now + .seconds(60))
        #expect(answer7 == .none && answer8 == .fetch)
        now = now + .seconds(61)
        keys.fetched(nil, now: now)
        #expect(keys.keys != nil, "the last good ones are kept")
        let answer9 = keys.tick(now: now + .seconds(599))
        let answer10 = keys.tick(now: now + .seconds(600))
        #expect(answer9 == .none && answer10 == .fetch)
    }

    // MARK: metadata

    @Test func metadataAndChallengesAreThoseOfTheStandards() {
        var configuration = AuthConfiguration()
        configuration.publicURL = "https://apus.example"
        configuration.issuers = [Self.issuer]
        let resource = ProtectedResource(configuration, host: "ignored", isSecure: false)
        let json = resource.metadata(of: "/mcp/search")
        #expect(json["resource"]?.string == "https://apus.example/mcp/search")
        #expect(json["authorization_servers"]?[0]?.string == "https://login.example")
        #expect(
            resource.challenge(.unauthenticated, path: "/mcp", hasToken: false, scopes: ["tools:call"])
                == #"Bearer scope="tools:call", resource_metadata="https://apus.example/.well-known/oauth-protected-resource/mcp""#
        )
        #expect(
            resource.challenge(.unauthenticated, path: "/mcp", hasToken: true, scopes: []).hasPrefix(
                #"Bearer error="invalid_token", resource_metadata="#))
        #expect(
            resource.challenge(.forbidden, path: "/mcp", hasToken: true, scopes: ["a", "b"]).hasPrefix(
                #"Bearer error="insufficient_scope", scope="a b","#))
    }
}
