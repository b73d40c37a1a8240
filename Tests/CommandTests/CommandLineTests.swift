import ApusCore
import Testing

@testable import apus

@Suite struct CommandLineTests {
    let fixture = CommandFixture()

    @Test func aCommandThatDoesNotExistIsAUsageErrorWithAGuess() {
        #expect(self.fixture.run("depoly", "x") == 2)
        #expect(self.fixture.terminal.errors.hasPrefix("apus: there is no command 'depoly': did you mean 'deploy'?"))
        #expect(self.fixture.terminal.errors.hasSuffix("[invalid_argument]\n"))
    }

    @Test func whatComesLaterIsNotYetAvailable() {
        for name in CommandTable.notYetAvailable + ["later"] {
            let fixture = CommandFixture()
            let tool = CommandLineTool(
                commands: CommandTable.all, notYetAvailable: CommandTable.notYetAvailable + ["later"],
                environment: [:], terminal: fixture.terminal
            ) { _ throws(ApusError) in throw ApusError(.serverUnreachable, "nobody is asked") }
            #expect(tool.run([name, "anything", "--at-all"]) == 1)
            #expect(fixture.terminal.errors.contains("not yet available"))
        }
    }

    @Test(arguments: [
        (ErrorCode.functionNotFound, 404, Int32(3)), (.topicNotFound, 404, 3), (.deadLetterNotFound, 404, 3),
        (.overloaded, 503, 1),
        (.unauthenticated, 401, 1), (.internal, 500, 1),
    ])
    func theServersProblemBecomesTheExitCode(_ code: ErrorCode, _ status: Int, _ exit: Int32) {
        self.fixture.server.answer = { _ throws(ApusError) in FakeServer.problem(code, status: status) }
        #expect(self.fixture.run("get", "functions", "x") == exit)
        #expect(self.fixture.terminal.errors.contains("what went wrong"))
        #expect(self.fixture.terminal.errors.hasSuffix("[\(code)]\n"))
    }

    @Test func aServerThatCannotBeReachedIsExitCodeFour() {
        self.fixture.server.answer = { _ throws(ApusError) in throw ApusError(.serverUnreachable, "refused") }
        #expect(self.fixture.run("get", "functions") == 4)
        #expect(self.fixture.terminal.errors == "apus: refused [server_unreachable]\n")
    }

    @Test func errorsAreJSONWhereOutputIs() {
        #expect(self.fixture.run("get", "--output", "json") == 2)
        #expect(
            self.fixture.terminal.errors.hasPrefix(#"{"error":{"code":"invalid_argument","message":"KIND is missing"#))
    }

    @Test func aProblemOfManyLinesIsListedAndSummedUp() {
        let report = ErrorReport(ApusError(.manifestInvalid, "a.yaml:1:1: x\na.yaml:2:1: y"), asJSON: false)
        #expect(report.text == "a.yaml:1:1: x\na.yaml:2:1: y\napus: 2 problems, see above [manifest_invalid]\n")
    }

    @Test func aStackTraceFollowsTheLineThatSaysWhat() {
        let report = ErrorReport(
            ApusError(.functionFailed, "ValueError: no\n  File main.py\nValueError: no"), asJSON: false)
        #expect(report.text == "apus: ValueError: no [function_failed]\n    File main.py\n  ValueError: no\n")
    }

    @Test func doctorAsksTheRunningServer() {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(
                #"{"items":[{"name":"namespaces","enforced":true,"detail":""},{"name":"swap-limit","enforced":false,"detail":"swap is on"}]}"#
            )
        }
        _ = self.fixture.run("doctor")
        #expect(self.fixture.server.requests.map(\.target) == ["/v1/doctor"])
        let lines = self.fixture.terminal.text.split(separator: "\n")
        #expect(lines.contains { $0.hasPrefix("namespaces") && $0.contains("enforced") })
        #expect(lines.contains { $0.hasPrefix("swap-limit") && $0.contains("limited") && $0.hasSuffix("swap is on") })
    }

    @Test func doctorSaysWhichServerWorksWhichShare() {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(
                #"{"items":[],"shares":[{"class":"cpu","share":3,"owner":"a","state":"working","since":"2026-01-02T00:00:00Z"},{"class":"cpu","share":1,"owner":"a","state":"working","since":"2026-01-01T00:00:00Z"},{"class":"cpu","share":2,"owner":"b","state":"working","since":"2026-01-03T00:00:00Z"},{"class":"cpu","share":4,"owner":"b","state":"draining","since":"2026-01-04T00:00:00Z"}]}"#
            )
        }
        _ = self.fixture.run("doctor")
        let text = self.fixture.terminal.text
        #expect(text.contains("a holds 1 3 (working), the oldest since 2026-01-01T00:00:00Z"), "\(text)")
        #expect(text.contains("b holds 2 (working)") && text.contains("b holds 4 (draining)"), "\(text)")
    }

    /// What a command wrote it sees in what it reads afterwards, whichever server answers; `APUS_POSITION` carries that to the next command.
    @Test func readsNameThePositionOfTheWriteBeforeThem() {
        self.fixture.server.answer = { request throws(ApusError) in
            var response = FakeServer.json(#"{"items":[]}"#)
            if request.method != .get { response.headers.append(("Apus-Position", "apus.control/0/41")) }
            return response
        }
        func named(_ request: APIRequest) -> String? { request.headers.first { $0.0 == "Apus-Position" }?.1 }
        #expect(self.fixture.run("get", "functions") == 0)
        #expect(self.fixture.server.requests.allSatisfy { named($0) == nil })
        self.fixture.environment["APUS_POSITION"] = "apus.control/0/7"
        self.fixture.server.requests = []
        #expect(self.fixture.run("get", "functions") == 0)
        #expect(self.fixture.server.requests.map(named) == ["apus.control/0/7"])
        self.fixture.environment["APUS_POSITION"] = ""
        self.fixture.server.requests = []
        #expect(self.fixture.run("get", "functions") == 0)
        #expect(self.fixture.server.requests.map(named) == [nil])

        let client = APIClient(
            transport: self.fixture.server, namespace: .default, server: "http://a", token: "t", tokenHint: "")
        self.fixture.server.requests = []
        _ = try? client.call(APIRequest(.post, "/v1/functions/f/pause"))
        _ = try? client.call(APIRequest(.get, "/v1/functions/f"))
        #expect(self.fixture.server.requests.map(named) == [nil, "apus.control/0/41"])
    }

    @Test func anAnswerThatIsNoneOfOursSaysSo() {
        self.fixture.server.answer = { _ throws(ApusError) in
            APIResponse(status: 502, headers: [("Content-Type", "text/html")], body: Array("<html>".utf8))
        }
        #expect(self.fixture.run("get", "functions") == 1)
        #expect(self.fixture.terminal.errors.contains("is it an apus server?"))
    }

    @Test func aReaderThatLeavesEndsTheCommandQuietly() {
        self.fixture.terminal.writesLeft = 0
        #expect(self.fixture.run("version") == 0)
        #expect(self.fixture.terminal.errors.isEmpty)
    }

    @Test func commonOptionsMayStandBeforeTheCommand() {
        #expect(self.fixture.run("-n", "team", "--output=json", "get", "functions") == 0)
        #expect(self.fixture.server.requests[0].target == "/v1/namespaces/team/functions")
        #expect(self.fixture.terminal.text == "{}\n")
    }

    @Test func theNamespaceComesFromTheFlagThenTheEnvironment() {
        self.fixture.environment["APUS_NAMESPACE"] = "search"
        #expect(self.fixture.run("get", "topics") == 0)
        #expect(self.fixture.run("get", "topics", "-n", "default") == 0)
        #expect(self.fixture.server.requests.map(\.target) == ["/v1/namespaces/search/topics", "/v1/topics"])
        #expect(self.fixture.run("get", "topics", "-n", "No.Such") == 2)
    }

    @Test func theTokenIsSentAsBearer() {
        #expect(self.fixture.run("get", "topics") == 0)
        #expect(self.fixture.run("get", "topics", "--token", "other") == 0)
        let tokens = self.fixture.server.requests.map { $0.headers.first { $0.name == "Authorization" }?.value }
        #expect(tokens == ["Bearer secret", "Bearer other"])
    }

    @Test func theAdminTokenIsFoundInADataDirectoryAndShownToThisMachineOnly() throws {
        _ = self.fixture.write("data/run/admin.token", "found\n")
        let folders = ["\(self.fixture.folder)/none", "\(self.fixture.folder)/data"]
        #expect(TokenSearch(given: nil, server: try ServerAddress("localhost:1"), folders: folders).token == "found")
        #expect(
            TokenSearch(given: nil, server: try ServerAddress("http://127.9.0.1"), folders: folders).token == "found")
        #expect(TokenSearch(given: nil, server: try ServerAddress("http://example.com"), folders: folders).token == nil)
        #expect(
            TokenSearch(given: nil, server: try ServerAddress("http://127.evil.example.com"), folders: folders).token
                == nil)
        #expect(
            TokenSearch(given: "flag", server: try ServerAddress("http://example.com"), folders: folders).token
                == "flag")
        let none = TokenSearch(given: nil, server: try ServerAddress("localhost"), folders: [folders[0]])
        #expect(none.token == nil)
        #expect(none.hint.contains("APUS_DATA"))
    }

    @Test(arguments: ["ftp://x", "http://", "http://a/b", "http://u@h", "http://a b"])
    func aMalformedServerAddressIsAUsageError(_ text: String) {
        #expect(throws: UsageError.self) { try ServerAddress(text) }
    }

    @Test func namesAreEncodedInPaths() {
        #expect(self.fixture.run("get", "functions", "a/b c") == 0)
        #expect(self.fixture.server.requests[0].target == "/v1/functions/a%2Fb%20c")
    }

    @Test func functionsAreListedInATable() {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(
                """
                {"items":[{"name":"embed-text","generation":3,"revision":"0123456789abcdef","updated":"2026-03-01T14:12:09Z",
                "manifest":{"spec":{"runtime":"python3","triggers":[{"topic":"documents"}]}}}]}
                """)
        }
        #expect(self.fixture.run("get", "functions") == 0)
        #expect(
            self.fixture.terminal.text == """
                NAME        RUNTIME  TRIGGERS   STATE   GENERATION  REVISION      UPDATED
                embed-text  python3  documents  active  3           0123456789ab  3m ago

                """)
    }

    @Test func kindsAreGuessedAndLaterOnesNamed() {
        #expect(self.fixture.run("get", "functoins") == 2)
        #expect(self.fixture.terminal.errors.contains("did you mean 'functions'?"))
        #expect(self.fixture.run("delete", "topic", "documents") == 0)
        #expect(self.fixture.run("delete", "embed", "--if-generation", "3") == 0)
        #expect(
            self.fixture.server.requests.map { "\($0.method.rawValue) \($0.target)" } == [
                "DELETE /v1/topics/documents", "DELETE /v1/functions/embed",
            ])
        #expect(self.fixture.server.requests[1].headers.contains { $0 == ("If-Match", "\"3\"") })
    }

    @Test func describeShowsTimesBothWays() {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(
                #"{"name":"f","updated":"2026-03-01T14:12:09Z","layer":null,"triggers":[{"name":"t","starts":[0,1]}]}"#)
        }
        #expect(self.fixture.run("describe", "f") == 0)
        #expect(
            self.fixture.terminal.text == """
                name:    f
                updated: 2026-03-01 14:12:09Z (3m ago)
                layer:   -

                triggers:
                  NAME  STARTS
                  t     0,1

                """)
    }

    @Test func aTableFitsTheScreen() {
        var table = TextTable(["ID", "MESSAGE"])
        table.add(["1", String(repeating: "x", count: 100)])
        table.add(["2", "two\nlines"])
        #expect(table.render(width: 30).split(separator: "\n").allSatisfy { $0.count <= 30 })
        #expect(table.render(width: nil).split(separator: "\n").count == 3)
        #expect(table.render(width: 1).split(separator: "\n").allSatisfy { $0.count <= 14 })
    }

    @Test(arguments: [
        ("true", "\"true\""), ("", "\"\""), ("a b", "\"a b\""), ("plain-1.x", "plain-1.x"), ("1", "\"1\""),
        ("-x", "\"-x\""), ("30s", "30s"),
        ("main:f", "main:f"), ("a:", "\"a:\""), ("0xa", "\"0xa\""), ("1e5", "\"1e5\""),
    ])
    func yamlTextsAreQuotedWhereTheyCouldBeTakenForSomethingElse(_ text: String, _ expected: String) {
        #expect(YAMLText.scalar(text) == expected)
    }
}
