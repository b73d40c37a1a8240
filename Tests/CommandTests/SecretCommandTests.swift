import ApusCore
import ApusStore
import Testing

@testable import apus

@Suite struct SecretCommandTests {
    let fixture = CommandFixture()

    private let set =
        #"{"name":"TOKEN","namespace":"default","version":3,"set":"2026-03-01T14:05:09Z","setBy":"admin","key":"00112233aabbccdd","isReadable":true,"functions":["f","g"]}"#

    private func answer() {
        let set = self.set
        self.fixture.server.answer = { _ throws(ApusError) in FakeServer.json(set) }
    }

    @Test func theValueComesFromStandardInputWithoutItsLastNewline() {
        self.answer()
        self.fixture.terminal.input = [Array("hunt".utf8), Array("er2\r\n".utf8)]
        #expect(self.fixture.run("secret", "set", "TOKEN", "-n", "team") == 0)
        let request = self.fixture.server.requests[0]
        #expect(request.method == .put && request.target == "/v1/namespaces/team/secrets/TOKEN")
        #expect(request.body == Array("hunter2".utf8))
        #expect(self.fixture.terminal.text.contains("version 3") && self.fixture.terminal.text.contains("f,g"))
        #expect(!(self.fixture.terminal.text + self.fixture.terminal.errors).contains("hunter2"))
    }

    @Test func onATerminalItIsAskedForAndNotShown() {
        self.answer()
        self.fixture.terminal.isInputInteractive = true
        self.fixture.terminal.hidden = Array("typed\n".utf8)
        #expect(self.fixture.run("secret", "set", "TOKEN") == 0)
        #expect(self.fixture.server.requests[0].body == Array("typed".utf8))
        #expect(self.fixture.terminal.prompts.count == 1)
    }

    @Test func dataIsTakenAsItIsAndOnTheCommandLineOnlyWithAWarning() throws {
        self.answer()
        let file = self.fixture.write("value", "from a file\n")
        #expect(self.fixture.run("secret", "set", "TOKEN", "--data", "@\(file)") == 0)
        #expect(self.fixture.server.requests[0].body == Array("from a file\n".utf8))
        #expect(self.fixture.terminal.errors.isEmpty)
        self.fixture.terminal.input = [Array("piped\n".utf8)]
        #expect(self.fixture.run("secret", "set", "TOKEN", "--data", "-") == 0)
        #expect(self.fixture.server.requests[1].body == Array("piped\n".utf8))
        #expect(self.fixture.terminal.errors.isEmpty)
        #expect(self.fixture.run("secret", "set", "TOKEN", "--data", "shown") == 0)
        #expect(self.fixture.terminal.errors.contains("warning"))
    }

    @Test func whatIsNoValueIsRefusedBeforeTheServerIsAsked() {
        self.fixture.terminal.input = [Array("\n".utf8)]
        #expect(self.fixture.run("secret", "set", "TOKEN") == 2)
        self.fixture.terminal.input = [[UInt8](repeating: 120, count: Limits.Secrets.valueBytes + 1)]
        #expect(self.fixture.run("secret", "set", "TOKEN") == 1)
        #expect(self.fixture.run("secret", "set") == 2)
        #expect(self.fixture.server.requests.isEmpty)
    }

    @Test func theListSaysWhichKeysAreMissing() {
        let set = self.set
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(#"{"items":[\#(set.replacing(#""isReadable":true"#, with: #""isReadable":false"#))]}"#)
        }
        #expect(self.fixture.run("secret", "list") == 0)
        #expect(self.fixture.terminal.text.contains("00112233aabbccdd (missing)"))
        #expect(self.fixture.terminal.text.contains("f,g"))
    }

    @Test func aRotationSaysWhatItCouldNotOpen() {
        self.fixture.server.answer = { _ throws(ApusError) in
            FakeServer.json(
                #"{"key":"00112233aabbccdd","resealed":2,"unreadable":[{"namespace":"team","name":"OLD"}]}"#)
        }
        #expect(self.fixture.run("secret", "rotate-key") == 0)
        #expect(self.fixture.server.requests[0].target == "/v1/key-rotations")
        #expect(self.fixture.terminal.text.contains("2 secrets") && self.fixture.terminal.text.contains("team/OLD"))
    }
}
