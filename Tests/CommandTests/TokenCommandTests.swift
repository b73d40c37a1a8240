import ApusCore
import ApusJSON
import Testing

@testable import apus

@Suite struct TokenCommandTests {
    let fixture = CommandFixture()

    private let made =
        #"{"name":"ci","id":"a1b2","roles":["deployer@search"],"state":"active","expires":"2026-04-01T00:00:00Z","token":"apus_a1b2_secret"}"#

    @Test func aNewTokenStandsAloneOnStandardOutput() throws {
        let made = self.made
        self.fixture.server.answer = { _ throws(ApusError) in FakeServer.json(made, status: 201) }
        #expect(
            self.fixture.run(
                "token", "create", "--name", "ci", "--role", "deployer", "--role", "reader@*", "--expires", "30d", "-n",
                "search") == 0)
        #expect(self.fixture.terminal.text == "apus_a1b2_secret\n")
        #expect(self.fixture.terminal.errors.contains("deployer@search"))
        #expect(self.fixture.terminal.errors.contains("2026-04-01"))
        #expect(!self.fixture.terminal.errors.contains("secret"))
        let request = self.fixture.server.requests[0]
        #expect(request.method == .post && request.target == "/v1/namespaces/search/tokens")
        #expect(
            try JSONValue.parse(try #require(request.body)) == [
                "name": "ci", "roles": ["deployer", "reader@*"], "expiresIn": "30d",
            ])
    }

    @Test func asJSONItComesWithWhatItHolds() throws {
        let made = self.made
        self.fixture.server.answer = { _ throws(ApusError) in FakeServer.json(made, status: 201) }
        #expect(
            self.fixture.run("token", "create", "--name", "ci", "--role", "deployer@search", "--output", "json") == 0)
        let answer = try JSONValue.parse(self.fixture.terminal.output)
        #expect(answer["token"] == "apus_a1b2_secret" && answer["roles"] == ["deployer@search"])
        #expect(self.fixture.terminal.errors.isEmpty)
    }

    @Test func whatIsMissingIsAskedForBeforeTheServerIs() {
        #expect(self.fixture.run("token", "create", "--role", "reader") == 2)
        #expect(self.fixture.run("token", "create", "--name", "ci") == 2)
        #expect(self.fixture.run("token", "revoke") == 2)
        #expect(self.fixture.server.requests.isEmpty)
    }

    @Test func tokensAreListedAndRevoked() {
        self.fixture.server.answer = { request throws(ApusError) in
            request.method == .get
                ? FakeServer.json(
                    #"{"items":[{"name":"ci","id":"a1","roles":["reader@default","caller@x"],"state":"revoked","creator":"admin"}]}"#
                )
                : FakeServer.json(#"{"action":"revoked"}"#)
        }
        #expect(self.fixture.run("token", "list") == 0)
        #expect(self.fixture.terminal.text.contains("ci    a1  reader@default,caller@x  revoked"))
        #expect(self.fixture.terminal.text.contains("never"))
        #expect(self.fixture.run("token", "revoke", "ci") == 0)
        #expect(self.fixture.terminal.text.hasSuffix("revoked ci\n"))
        #expect(self.fixture.server.requests[1].target == "/v1/tokens/ci")
    }

    @Test func theLoginLinkIsOfTheServerThatWasAsked() throws {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(#"{"path":"/login?code=abc","expires":"2026-03-01T14:06:09Z"}"#, status: 201)
        }
        #expect(self.fixture.run("console", "--server", "http://127.0.0.1:9999") == 0)
        #expect(self.fixture.terminal.text == "http://127.0.0.1:9999/login?code=abc\n")
        #expect(self.fixture.server.requests[0].target == "/v1/logins")
        // Where there is no browser the link is there all the same.
        self.fixture.environment["PATH"] = "/nowhere"
        #expect(self.fixture.run("console", "--output", "json") == 0)
    }
}
