import ApusCore
import Glibc

@testable import apus

/// Collects what a command writes, and gives it what it reads.
final class FakeTerminal: Terminal {
    var output: [UInt8] = []
    var errors = ""
    var pauses = 0
    var input: [[UInt8]] = []
    /// Standard output is closed after so many writes.
    var writesLeft = Int.max
    var isInteractive = false
    var isErrorInteractive = false
    var isInputInteractive = false
    var hidden: [UInt8] = []
    var prompts: [String] = []
    var width: Int?
    var now = Timestamp(microseconds: 1_772_374_509_000_000)

    var text: String { String(decoding: self.output, as: UTF8.self) }

    func write(_ bytes: [UInt8]) throws(TerminalClosed) {
        guard self.writesLeft > 0 else { throw TerminalClosed() }
        self.writesLeft -= 1
        self.output += bytes
    }

    func pause(milliseconds: UInt32) { self.pauses += 1 }
    func writeError(_ text: String) { self.errors += text }
    func readHidden(_ prompt: String) throws(ApusError) -> [UInt8] {
        self.prompts.append(prompt)
        return self.hidden
    }
    func readInput() throws(ApusError) -> [UInt8] { self.input.isEmpty ? [] : self.input.removeFirst() }
}

/// A server that a test plays: each request is kept and answered.
final class FakeServer: Transport {
    var requests: [APIRequest] = []
    var answer: (APIRequest) throws(ApusError) -> APIResponse = { _ throws(ApusError) in FakeServer.json("{}") }
    /// Bodies of streams come in pieces of this size.
    var chunkBytes = 7

    static func json(_ text: String, status: Int = 200) -> APIResponse {
        APIResponse(status: status, headers: [("Content-Type", "application/json")], body: Array(text.utf8))
    }

    static func problem(_ code: ErrorCode, status: Int) -> APIResponse {
        Self.json(#"{"title":"t","status":\#(status),"code":"\#(code)","detail":"what went wrong"}"#, status: status)
    }

    func send(_ request: APIRequest) throws(ApusError) -> APIResponse {
        self.requests.append(request)
        return try self.answer(request)
    }

    func stream(
        _ request: APIRequest, onHead: @escaping (APIResponse) -> Void, onChunk: @escaping ([UInt8]) -> Bool
    ) throws(ApusError) -> APIResponse {
        var response = try self.send(request)
        onHead(APIResponse(status: response.status, headers: response.headers, body: []))
        guard response.isSuccess else { return response }
        let body = response.body
        response.body = []
        for start in stride(from: 0, to: body.count, by: self.chunkBytes) {
            guard onChunk(Array(body[start..<min(start + self.chunkBytes, body.count)])) else { break }
        }
        return response
    }
}

/// Runs command lines against a fake server.
final class CommandFixture {
    let terminal = FakeTerminal()
    let server = FakeServer()
    var environment = ["APUS_TOKEN": "secret"]
    let folder: String

    init() {
        var template = Array("/tmp/apus-command-test-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { preconditionFailure("mkdtemp failed: \(errno)") }
        self.folder = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit {
        let removed = system("rm -rf -- '\(self.folder)'")
        if removed != 0 { print("could not remove \(self.folder)") }
    }

    func run(_ words: String...) -> Int32 { self.run(words) }

    func run(_ words: [String]) -> Int32 {
        let server = self.server
        return CommandLineTool(
            commands: CommandTable.all, notYetAvailable: CommandTable.notYetAvailable, environment: self.environment,
            terminal: self.terminal, connect: { _ throws(ApusError) in server }
        ).run(words)
    }

    /// Writes a file, with its folders, and gives its path.
    func write(_ name: String, _ text: String) -> String {
        let path = "\(self.folder)/\(name)"
        var at = path.utf8.index(after: path.utf8.startIndex)
        while let slash = path.utf8[at...].firstIndex(of: UInt8(ascii: "/")) {
            mkdir(String(path[..<slash]), 0o755)
            at = path.utf8.index(after: slash)
        }
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        precondition(descriptor >= 0, "open \(path): \(errno)")
        precondition(Glibc.write(descriptor, text, text.utf8.count) == text.utf8.count)
        close(descriptor)
        return path
    }
}
