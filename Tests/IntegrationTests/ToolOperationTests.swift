import ApusCore
import ApusHTTP
import ApusJSON
import ApusLoop
import ApusTestSupport
import Glibc
import Synchronization
import Testing

/// Agents that call while those who run the server deploy, or while it is killed.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ToolOperationTests {
    private static let isSoak = getenv("APUS_SOAK") != nil

    private static func manifest(_ revision: String) -> String {
        #"{"apiVersion":"apus.dev/v1","kind":"Function","metadata":{"name":"echo"},"spec":{"description":"Gives back, \#(revision).","#
            + #""runtime":"python3","handler":"main:handle","source":".","reuse":"function","scale":{"max":2},"#
            + #""tool":{"name":"echo","input":{"type":"object"}}}}"#
    }

    private static let code = "def handle(event, context):\n    return event.data\n"

    /// Calls a tool over and over on a thread of its own.
    private final class Callers: Sendable {
        let answered = Mutex<[Int64]>([])
        let problems = Mutex<[String]>([])
        private let isOver = Atomic(false)
        private let thread = WorkThread()

        /// - Parameter mayBreak: a connection that breaks is no problem.
        init(_ server: TestServer, _ token: String, mayBreak: Bool) {
            let url = server.url
            self.thread.run {
                var number: Int64 = 0
                while !self.isOver.load(ordering: .acquiring) {
                    number += 1
                    do {
                        let answer = try Self.call(url, token, number)
                        if answer["result"]?["structuredContent"]?["number"]?.integer == number {
                            self.answered.withLock { $0.append(number) }
                        } else {
                            self.problems.withLock { $0.append("\(answer)") }
                        }
                    } catch {
                        guard mayBreak else {
                            self.problems.withLock { $0.append("\(error)") }
                            continue
                        }
                        usleep(20_000)
                    }
                }
            }
        }

        private static func call(_ url: String, _ token: String, _ number: Int64) throws -> JSONValue {
            let headers = ToolHead.head(for: "echo").merging(["Authorization": "Bearer \(token)"]) { $1 }
            let answer = try HTTPClient().request(
                "POST", "\(url)/mcp", headers: headers.map { HTTPHeader($0.key, $0.value) },
                body: Array(ToolHead.call("echo", ["number": .integer(number)]).utf8))
            return try JSONValue.parse(answer.body)
        }

        func stop() {
            self.isOver.store(true, ordering: .releasing)
            self.thread.stop()
        }
    }

    /// A10: manifests that change many times a minute cost no call anything, and one that is invalid changes nothing.
    @Test func deploysUnderLoadFailNoCall() throws {
        let server = try TestServer()
        try server.start()
        let folder = try server.write("echo", manifest: Self.manifest("at first"), files: ["main.py": Self.code])
        server.deploy(folder)
        let caller = try Caller(server)
        let described = try JSONValue.parse(try caller.send("GET", "/v1/functions/echo").body)
        let bundle = try #require(described["bundle"]?.string, "\(described)")
        let callers = Callers(server, caller.token, mayBreak: false)
        let count = Self.isSoak ? 1_000 : 60
        var slowest = 0.0
        for number in 1...count {
            let start = SystemClock().now
            let isValid = number % 10 != 0
            let manifest = Self.manifest("revision \(number)").replacing(
                #""main:handle""#, with: isValid ? #""main:handle""# : "7")
            let answer = try caller.send(
                "PUT", "/v1/functions/echo", ["Content-Type": "application/json", "Apus-Bundle": bundle], body: manifest)
            #expect(answer.status == (isValid ? 200 : 422), "\(number): \(answer.text)")
            slowest = max(slowest, Double((SystemClock().now - start).milliseconds))
        }
        let text = try Self.description(caller)
        #expect(text.contains("revision \(count - 1)"), "\(text)")
        // Callers wait for a worker of the newest revision while there is always a newer one; then they go on.
        let goesOn = waitUntil(seconds: 60) { callers.answered.withLock { $0.count } >= 10 }
        #expect(goesOn)
        callers.stop()
        let (answered, problems) = (callers.answered.withLock { $0.count }, callers.problems.withLock { $0 })
        print("\(count) deploys, the slowest in \(slowest) ms; \(answered) calls meanwhile")
        #expect(problems.isEmpty, "\(problems.prefix(3))")
    }

    private static func description(_ caller: Caller) throws -> String {
        var head = ToolHead.head(for: "")
        (head["Mcp-Method"], head["Mcp-Name"]) = ("tools/list", nil)
        return try caller.send(
            "POST", "/mcp", head,
            body: #"{"jsonrpc":"2.0","id":1,"method":"tools/list","params":{"_meta":{"io.modelcontextprotocol/protocolVersion":"#
                + #""2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}}}"#
        ).text
    }

    /// A5: what was answered is in the audit, whenever the server is killed.
    @Test func aKillLosesNoAnsweredCallOfTheAudit() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("echo", manifest: Self.manifest("once"), files: ["main.py": Self.code]))
        var answered = 0
        for round in 0..<(Self.isSoak ? 20 : 3) {
            let callers = Callers(server, try Caller(server).token, mayBreak: true)
            let isEnough = waitUntil(seconds: 60) { callers.answered.withLock { $0.count } >= 20 + 7 * round }
            #expect(isEnough, "\(callers.problems.withLock { $0.prefix(3) })\(server.log)")
            server.kill9()
            callers.stop()
            answered += callers.answered.withLock { $0.count }
            try server.start()
        }
        var kept = 0
        let isKept = waitUntil(seconds: 60) {
            let found = server.apus("audit", "export")
            kept = found.output.split(separator: "\n").count { $0.contains(#""subject":"echo""#) && $0.contains(#""call""#) }
            return kept >= answered
        }
        #expect(isKept, "\(kept) records of \(answered) calls")
        #expect(server.apus("audit", "verify").status == 0)
    }
}
