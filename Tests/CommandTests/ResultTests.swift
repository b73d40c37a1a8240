import ApusCore
import ApusJSON
import Testing

@testable import apus

/// What `apus invoke` prints, for people and for programs.
@Suite struct ResultTests {
    let fixture = CommandFixture()

    private func answer(
        _ body: [UInt8], type: String = "application/json", status: Int = 200,
        timing: String? = "queued=41, start=cold, starting=64007, running=1207, committing=0"
    ) {
        self.fixture.server.answer = { _ in
            var headers = [("Content-Type", type), ("Apus-Invocation", "0123")]
            if let timing { headers.append(("Apus-Timing", timing)) }
            return APIResponse(status: status, headers: headers.map { (name: $0.0, value: $0.1) }, body: body)
        }
    }

    private func invoke(_ options: String...) -> Int32 {
        self.fixture.terminal.output = []
        self.fixture.terminal.errors = ""
        let fixture = self.fixture
        return CommandLineTool(
            commands: CommandTable.all, notYetAvailable: [], environment: fixture.environment,
            terminal: fixture.terminal,
            connect: { _ throws(ApusError) in fixture.server }
        ).run(["invoke", "f", "--data", "1"] + options)
    }

    // MARK: programs

    @Test(arguments: ["application/json", "application/x-ndjson", "text/plain", "application/octet-stream", ""])
    func aPipeGetsTheBytesAndNothingElse(_ type: String) {
        let bytes = Array(#"{"big": 123456789012345678901234567890,"x":1.10}"#.utf8) + [0, 0x1B, 0xFF, 0x0A, 0xC3]
        self.answer(bytes, type: type)
        #expect(self.invoke() == 0)
        #expect(self.fixture.terminal.output == bytes)
        #expect(self.fixture.terminal.errors.isEmpty)
    }

    @Test func timingIsForPeopleAndForWhoAsks() {
        self.answer(Array("1".utf8))
        let line = "queued 41 us, cold start 64.0 ms, running 1.21 ms, committing 0 us, total 0 us, invocation 0123\n"
        #expect(self.invoke("--timing") == 0)
        #expect(self.fixture.terminal.errors == line && self.fixture.terminal.text == "1")
        self.fixture.terminal.isErrorInteractive = true
        self.fixture.environment["NO_COLOR"] = "1"
        #expect(self.invoke() == 0 && self.fixture.terminal.errors == line)
        #expect(self.invoke("--quiet") == 0 && self.fixture.terminal.errors.isEmpty)
        self.fixture.environment["NO_COLOR"] = nil
        #expect(self.invoke() == 0 && self.fixture.terminal.errors.hasPrefix("\u{1B}[2m"))
        self.answer(Array("1".utf8), timing: nil)
        #expect(self.invoke("--timing") == 0 && self.fixture.terminal.errors.isEmpty)
    }

    @Test func aFailureHasItsTimingItsTracebackAndItsExitCode() {
        let problem =
            #"{"code":"function_failed","detail":"KeyError: 'no'","errors":["  File \"main.py\", line 3","KeyError: 'no'"]}"#
        self.answer(Array(problem.utf8), status: 502, timing: "queued=1, start=ready, starting=0, running=2000")
        #expect(self.invoke("--timing") == 1)
        #expect(self.fixture.terminal.text.isEmpty)
        let expected = """
            queued 1 us, ready worker, running 2.00 ms, total 0 us, invocation 0123
            apus: KeyError: 'no' [function_failed]
                File "main.py", line 3
              KeyError: 'no'

            """
        #expect(self.fixture.terminal.errors == expected)
        self.fixture.server.answer = { _ in FakeServer.problem(.functionNotFound, status: 404) }
        #expect(self.invoke() == 3)
        self.fixture.server.answer = { _ throws(ApusError) in throw ApusError(.serverUnreachable, "gone") }
        #expect(self.invoke() == 4)
    }

    // MARK: people

    private func onTerminal() { self.fixture.terminal.isInteractive = true }

    @Test func peopleSeeJSONIndentedWithEveryDigit() {
        self.onTerminal()
        self.fixture.environment["NO_COLOR"] = "1"
        self.answer(
            Array(#"{"big":123456789012345678901234567890,"x":1.10,"e":[],"o":{"a":[1,"b\"}"]},"n":null}"#.utf8))
        #expect(self.invoke() == 0)
        let expected = #"""
            {
              "big": 123456789012345678901234567890,
              "x": 1.10,
              "e": [],
              "o": {
                "a": [
                  1,
                  "b\"}"
                ]
              },
              "n": null
            }

            """#
        #expect(self.fixture.terminal.text == expected)
    }

    @Test func peopleSeeColoursAndProgramsDoNot() {
        self.onTerminal()
        self.answer(Array(#"{"a": "b"}"#.utf8))
        #expect(self.invoke() == 0)
        #expect(self.fixture.terminal.text == "{\n  \u{1B}[34m\"a\"\u{1B}[0m: \u{1B}[32m\"b\"\u{1B}[0m\n}\n")
        self.fixture.environment["TERM"] = "dumb"
        #expect(self.invoke() == 0 && !self.fixture.terminal.text.contains("\u{1B}"))
    }

    @Test func peopleSeeAStreamLineByLine() {
        self.onTerminal()
        self.fixture.environment["NO_COLOR"] = "1"
        self.answer(Array("{\"i\":0,\"j\":[1,2]}\n{\"i\":1}".utf8), type: "application/x-ndjson")
        #expect(self.invoke() == 0)
        #expect(self.fixture.terminal.text == "{\"i\": 0, \"j\": [1, 2]}\n{\"i\": 1}\n")
    }

    @Test func textCannotCommandTheTerminal() {
        self.onTerminal()
        self.answer(Array("naïve \u{1B}[31mred\u{1B}]0;title\u{07}\r\nüß…😀\u{9B}".utf8), type: "text/plain")
        for size in 1...9 {
            self.fixture.server.chunkBytes = size
            #expect(self.invoke() == 0)
            #expect(self.fixture.terminal.text.hasPrefix("naïve ␛[31mred␛]0;title␇"), "\(size)")
            #expect(self.fixture.terminal.text.hasSuffix("\nüß…😀\u{FFFD}\n"), "\(size): \(self.fixture.terminal.text)")
        }
    }

    @Test func bytesThatAreNoTextStayOffTheTerminal() {
        self.onTerminal()
        self.answer(Array(0...255), type: "image/png")
        #expect(self.invoke("--quiet") == 0)
        #expect(self.fixture.terminal.output.isEmpty)
        #expect(self.fixture.terminal.errors.contains("256 bytes of image/png"))
        #expect(self.fixture.terminal.errors.contains("> FILE"))
    }

    @Test func nothingReturnedIsSaidToPeople() {
        self.onTerminal()
        self.answer([], status: 204, timing: nil)
        #expect(self.invoke() == 0)
        #expect(self.fixture.terminal.text.isEmpty && self.fixture.terminal.errors.contains("returned nothing"))
        #expect(self.invoke("--quiet") == 0 && self.fixture.terminal.errors.isEmpty)
    }

    @Test func aResultThatClaimsToBeJSONAndIsNotIsShown() {
        self.onTerminal()
        self.answer(Array("{oh".utf8))
        #expect(self.invoke() == 0 && self.fixture.terminal.text == "{oh\n")
        self.answer(Array("plain".utf8), type: "text/plain")
        #expect(self.invoke("--output", "json") == 0 && self.fixture.terminal.text == "plain\n")
    }

    @Test func aHeldResultHasABound() {
        self.fixture.server.chunkBytes = 1 << 20
        self.answer(Array(repeating: UInt8(ascii: "1"), count: Limits.resultBytes + 1))
        #expect(self.invoke("--output", "json") == 1)
        #expect(self.fixture.terminal.errors.contains("result_too_large"))
    }

    // MARK: parts

    @Test func spansHaveThreeDigits() {
        let spans: [(Int64, String)] = [
            (0, "0 us"), (999, "999 us"), (1_000, "1.00 ms"), (1_207, "1.21 ms"), (9_994, "9.99 ms"),
            (9_996, "10.0 ms"),
            (64_007, "64.0 ms"), (99_960, "100 ms"), (999_499, "999 ms"), (999_500, "1.00 s"), (59_940_000, "59.9 s"),
            (200_000_000, "3 m 20 s"),
        ]
        for (microseconds, text) in spans { #expect(TimeText.span(.microseconds(microseconds)) == text) }
    }

    @Test func timingsOfStatesReadLikeThoseOfHeaders() throws {
        let state = try JSONValue.parse(#"{"queued":41,"start":"woken","starting":900,"running":5,"committing":null}"#)
        #expect(
            TimingLine(state).text(total: .seconds(1)) == "queued 41 us, woken in 900 us, running 5 us, total 1.00 s")
        #expect(TimingLine(header: "odd, x=").text(total: .zero) == "total 0 us")
    }

    @Test func jsonTextRefusesWhatIsNone() {
        let text = JSONText(paint: Paint(isColoured: false))
        #expect(text.of(Array("{".utf8)) == nil && text.of([]) == nil)
        #expect(text.of(Array(" [ ] ".utf8)) == "[]")
        #expect(text.of(Array("\"\u{9B}1m\"".utf8)) == "\"\u{FFFD}1m\"")
    }
}
