import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Dispatch
import Glibc
import Synchronization
import Testing

/// Calls of tools that somebody is to let begin, against the built binary: what ran is counted by what the functions emitted.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ApprovalTests {
    private static let root = InstalledTree.packageRoot

    private static func tool(_ name: String, _ approval: String, note: String = "") -> String {
        """
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          description: Removes what is named. \(note)
          runtime: python3
          handler: main:\(name)
          source: .
          emits: [ran]
          tool:
            name: \(name)
            input: {type: object, properties: {what: {type: string}, token: {type: string, writeOnly: true}, seconds: {type: number}}}
            approval: \(approval)

        """
    }

    private static let code = """
        import time

        import apus

        def wipe(event, context):
            context.emit("ran", {"tool": "wipe", "what": event.data.get("what")})
            return "wiped " + event.data.get("what", "nothing")

        def pay(event, context):
            context.emit("ran", {"tool": "pay", "what": event.data.get("what")})
            return "paid"

        def greet(event, context):
            answer = context.ask({"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}, "Who?")
            context.emit("ran", {"tool": "greet", "what": answer["name"]})
            return "hello " + answer["name"]

        def slow(event, context):
            time.sleep(event.data.get("seconds", 0))
            context.emit("ran", {"tool": "slow", "what": event.data.get("what")})
            return "slept"

        def outer(event, context):
            return context.call("free", {"what": "inner"})

        def free(event, context):
            context.emit("ran", {"tool": "free", "what": event.data.get("what")})
            return "free"
        """

    private static func manifest(note: String = "") -> String {
        """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: ran}
        spec: {partitions: 1}

        """ + self.tool("wipe", "{when: always}", note: note) + self.tool("pay", "{when: destructive, by: approver}")
            + self.tool("greet", "{when: always}") + self.tool("slow", "{when: always}")
            + self.tool("outer", "{when: always}") + self.tool("free", "{when: never}") + """
                ---
                apiVersion: apus.dev/v1
                kind: ToolServer
                metadata: {name: careful}
                spec: {approval: {when: always, by: approver}}
                """
    }

    /// A server with the tools, and whoever uses it.
    private struct Bed {
        let server: TestServer
        let client: HTTPClient
        /// Of a principal that calls, another that calls, and one that decides.
        let ann: String
        let eve: String
        let bob: String

        init(_ variables: [String: String] = [:]) throws {
            self.server = try TestServer(variables: variables)
            try self.server.start()
            self.client = try HTTPClient()
            let server = self.server
            func token(_ name: String, _ roles: String...) throws -> String {
                let words = roles.flatMap { ["--role", $0] }
                let made = server.apus(arguments: ["token", "create", "--name", name, "--output", "json"] + words)
                return try #require(try JSONValue.parse(made.output)["token"]?.string, "\(made.errors)")
            }
            self.ann = try token("ann", "caller", "approver")
            self.eve = try token("eve", "caller")
            self.bob = try token("bob", "approver")
            try self.deploy()
        }

        func deploy(note: String = "") throws {
            self.server.deploy(
                try self.server.write("tools", manifest: ApprovalTests.manifest(note: note), files: ["main.py": ApprovalTests.code]))
        }

        /// What ran, in order.
        var ran: [String] {
            self.server.consume("ran").compactMap { line in
                guard let data = (try? JSONValue.parse(line))?["data"] else { return nil }
                return "\(data["tool"]?.string ?? "") \(data["what"]?.string ?? "")"
            }
        }

        func send(_ method: String, _ path: String, _ token: String, body: String? = nil) throws -> HTTPResponse {
            try self.client.request(
                method, self.server.url + path, headers: [HTTPHeader("Authorization", "Bearer \(token)")],
                body: body.map { Array($0.utf8) })
        }

        func call(
            _ tool: String, _ arguments: String = "{}", _ token: String, at path: String = "/mcp",
            capabilities: String = #"{"elicitation":{}}"#, key: String? = nil, more: String = ""
        ) throws -> JSONValue {
            try AgentCall(url: self.server.url, token: token).call(
                tool, arguments, at: path, capabilities: capabilities, key: key, more: more)
        }

        /// What a caller reads at an address.
        func read(_ uri: String, _ token: String) throws -> JSONValue {
            try AgentCall(url: self.server.url, token: token).ask(
                "resources/read", uri, #""uri":"\#(uri)""#, capabilities: "{}")
        }

        func invocations(of function: String) throws -> [JSONValue] {
            let listed = try Caller(self.server).send("GET", "/v1/invocations?function=\(function)")
            return try JSONValue.parse(Array(listed.text.utf8))["items"]?.array ?? []
        }

        func answered(_ state: String, _ approve: Bool = true) -> String { AgentCall.approved(state, approve) }

        func state(_ tool: String, _ arguments: String, _ token: String, key: String? = nil) throws -> String {
            let asked = try self.call(tool, arguments, token, key: key)
            #expect(asked["result"]?["inputRequests"]?["apus-approval"] != nil, "\(asked)")
            return try #require(asked["result"]?["requestState"]?.string, "\(asked)")
        }

        /// The id that a call waits under.
        func waiting(
            _ tool: String, _ arguments: String = "{}", token: String, at path: String = "/mcp", key: String? = nil
        ) throws -> String {
            let told = try self.call(tool, arguments, token, at: path, capabilities: "{}", key: key)
            #expect(told["result"]?["isError"]?.boolean == true, "\(told)")
            return try #require(told["result"]?["_meta"]?["dev.apus/approval"]?["id"]?.string, "\(told)")
        }

        func decide(_ id: String, _ verb: String, _ token: String, body: String? = nil) throws -> HTTPResponse {
            try self.send("POST", "/v1/approvals/\(id)/\(verb)", token, body: body)
        }
    }

    private static func text(_ answer: JSONValue) -> String { AgentCall.text(answer) }

    private static func code(_ answer: JSONValue) -> Int64? { answer["error"]?["code"]?.integer }

    // MARK: the official client

    private func client(
        _ bed: Bed, _ mode: String, _ answer: String, _ tool: String, _ arguments: String, token: String
    ) throws -> JSONValue {
        let process = try ChildProcess(
            "/usr/bin/python3",
            [
                "-B", "\(Self.root)/Tests/IntegrationTests/Peers/mcp_approvals.py", MCPPeer.packages, mode,
                "\(bed.server.url)/mcp", token, answer, tool, arguments,
            ], environment: currentEnvironment(), in: "/var/tmp")
        #expect(process.wait(seconds: 90) == 0, "\(process.output)\(process.errors.suffix(3_000))")
        return try JSONValue.parse(process.output)
    }

    @Test(arguments: ["auto", "legacy", "2026-07-28"]) func theOfficialClientAsksItsPerson(_ mode: String) throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let arguments = #"{"what":"disk"}"#
        for (answer, said) in [("decline", "declined"), ("cancel", "did not answer"), ("empty", "declined")] {
            let told = try self.client(bed, mode, answer, "wipe", arguments, token: bed.ann)
            #expect(told["error"]?.boolean == true && told["text"]?.string?.contains(said) == true, "\(told)")
            #expect(told["asked"]?.array?.count == 1, "\(told)")
            #expect(bed.ran.isEmpty, "nothing begins before somebody agreed")
        }
        let done = try self.client(bed, mode, "accept", "wipe", arguments, token: bed.ann)
        #expect(done["text"]?.string == "wiped disk" && done["error"]?.boolean == false, "\(done)")
        #expect(done["asked"]?[0]?.string?.contains(#"{"what":"disk"}"#) == true, "\(done)")
        #expect(bed.ran == ["wipe disk"])
        // A function that asks something itself is asked about first, and once.
        let greeted = try self.client(bed, mode, "accept", "greet", "{}", token: bed.ann)
        #expect(greeted["text"]?.string == "hello Ada" && greeted["asked"]?.array?.count == 2, "\(greeted)")
        let free = try self.client(bed, mode, "accept", "free", "{}", token: bed.ann)
        #expect(free["text"]?.string == "free" && free["asked"]?.array?.isEmpty == true, "\(free)")
    }

    @Test(arguments: ["auto", "legacy"]) func aClientThatCannotAskGetsAnId(_ mode: String) throws {
        if let reason = try MCPPeer.missing() { return print("skipped: \(reason)") }
        let bed = try Bed()
        let call = { try self.client(bed, mode, "mute", "wipe", #"{"what":"disk"}"#, token: bed.ann) }
        let told = try call()
        #expect(told["error"]?.boolean == true && told["text"]?.string?.contains("apus approvals accept") == true, "\(told)")
        let listed = bed.server.apus("approvals", "list", "--output", "json")
        let id = try #require(try JSONValue.parse(listed.output)["items"]?[0]?["id"]?.string, "\(listed)")
        #expect(told["text"]?.string?.contains(id) == true)
        #expect(try call()["text"]?.string?.contains(id) == true, "it waits once, however often it is tried")
        #expect(bed.server.apus("approvals", "list").output.contains(id))
        #expect(bed.server.apus("complete", "--", "approvals", "accept", "").output.contains(id))
        #expect(bed.ran.isEmpty)
        let accepted = bed.server.apus("approvals", "accept", id, "--reason", "as agreed")
        #expect(accepted.status == 0 && accepted.output.contains("accepted \(id)"), "\(accepted)")
        #expect(bed.ran.isEmpty, "accepting begins nothing by itself")
        #expect(try call()["text"]?.string == "wiped disk")
        let again = try call()
        #expect(again["error"]?.boolean == true && again["text"]?.string?.contains(id) == false, "\(again)")
        #expect(bed.ran == ["wipe disk"], "once")
        let shown = bed.server.apus("approvals", "show", id)
        #expect(shown.output.contains("consumed") && shown.output.contains("as agreed"), "\(shown)")
    }

    // MARK: attacks

    @Test func aStateIsGoodForOneCallOfOnePrincipalWithTheseArguments() throws {
        let bed = try Bed()
        let disk = #"{"what":"disk"}"#
        let state = try bed.state("wipe", disk, bed.ann)
        #expect(Self.code(try bed.call("wipe", #"{"what":"backup"}"#, bed.ann, more: bed.answered(state))) == -32_602)
        #expect(Self.code(try bed.call("wipe", disk, bed.eve, more: bed.answered(state))) == -32_602)
        #expect(Self.code(try bed.call("greet", disk, bed.ann, more: bed.answered(state))) == -32_602)
        #expect(Self.code(try bed.call("wipe", disk, bed.ann, at: "/mcp/careful", more: bed.answered(state))) == -32_602)
        let changed = (state.hasSuffix("A") ? String(state.dropLast()) + "B" : String(state.dropLast()) + "A")
        #expect(Self.code(try bed.call("wipe", disk, bed.ann, more: bed.answered(changed))) == -32_602)
        // An answer without its question, and a question without an answer, are asked for again.
        let forged = #","inputResponses":{"apus-approval":{"action":"accept","content":{"approve":true}}}"#
        #expect(try bed.call("wipe", disk, bed.ann, more: forged)["result"]?["requestState"] != nil)
        #expect(try bed.call("wipe", disk, bed.ann, more: #","requestState":"\#(state)""#)["result"]?["requestState"] != nil)
        #expect(bed.ran.isEmpty)
        let wiped = try bed.call("wipe", disk, bed.ann, more: bed.answered(state))
        #expect(Self.text(wiped) == "wiped disk")
        let used = try bed.call("wipe", disk, bed.ann, more: bed.answered(state))
        #expect(Self.code(used) == -32_602, "used")
        #expect(used["error"]?["data"]?["invocation"] == wiped["result"]?["_meta"]?["dev.apus/invocation"], "\(used)")
        #expect(Self.code(try bed.call("wipe", disk, bed.ann, more: bed.answered(state, false))) == -32_602, "decided")
        // What was declined stays so.
        let no = try bed.state("wipe", disk, bed.ann)
        #expect(Self.text(try bed.call("wipe", disk, bed.ann, more: bed.answered(no, false))).contains("declined"))
        #expect(Self.code(try bed.call("wipe", disk, bed.ann, more: bed.answered(no))) == -32_602)
        // Another revision is another tool.
        let old = try bed.state("wipe", disk, bed.ann)
        try bed.deploy(note: "Much faster now.")
        #expect(Self.code(try bed.call("wipe", disk, bed.ann, more: bed.answered(old))) == -32_602)
        // Nor does a server begin anew what it forgot: the state is used wherever it comes.
        let kept = try bed.state("wipe", disk, bed.ann)
        #expect(Self.text(try bed.call("wipe", disk, bed.ann, more: bed.answered(kept))) == "wiped disk")
        bed.server.kill9()
        try bed.server.start()
        #expect(Self.code(try bed.call("wipe", disk, bed.ann, more: bed.answered(kept))) == -32_602)
        #expect(bed.ran == ["wipe disk", "wipe disk"])
    }

    /// Runs all at once, each on a thread of its own.
    private static func atOnce(_ count: Int, _ body: @escaping @Sendable () throws -> JSONValue) -> [JSONValue] {
        let answers = Mutex<[JSONValue]>([])
        DispatchQueue.concurrentPerform(iterations: count) { _ in
            let answer = (try? body()) ?? .null
            answers.withLock { $0.append(answer) }
        }
        return answers.withLock { $0 }
    }

    @Test func ofManyAtOnceOneBegins() throws {
        let bed = try Bed()
        let disk = #"{"what":"disk"}"#
        let state = try bed.state("wipe", disk, bed.ann)
        // SAFETY: calls open a connection of their own and change nothing of the bed.
        nonisolated(unsafe) let shared = bed
        let answers = Self.atOnce(8) { try shared.call("wipe", disk, shared.ann, more: shared.answered(state)) }
        #expect(answers.count { Self.text($0) == "wiped disk" } == 1, "\(answers)")
        #expect(answers.count { Self.code($0) == -32_602 } == 7, "\(answers)")
        let id = try bed.waiting("pay", disk, token: bed.ann)
        #expect(try bed.decide(id, "accept", bed.bob).status == 200)
        let paid = Self.atOnce(8) { try shared.call("pay", disk, shared.ann, capabilities: "{}") }
        #expect(paid.count { Self.text($0) == "paid" } == 1, "\(paid)")
        #expect(bed.ran.sorted() == ["pay disk", "wipe disk"])
    }

    @Test func somebodyElseDecides() throws {
        let bed = try Bed()
        // A client that can ask its person gets no say.
        let told = try bed.call("pay", #"{"what":"rent","token":"s3cret"}"#, bed.ann)
        let id = try #require(told["result"]?["_meta"]?["dev.apus/approval"]?["id"]?.string, "\(told)")
        #expect(try bed.decide(id, "accept", bed.ann).status == 403, "never the requester")
        #expect(try bed.decide(id, "decline", bed.ann).status == 403)
        #expect(try bed.decide(id, "accept", bed.eve).status == 403, "not without the role")
        #expect(try bed.send("GET", "/v1/approvals", bed.eve).status == 403)
        let shown = try JSONValue.parse(try bed.send("GET", "/v1/approvals/\(id)", bed.bob).body)
        #expect(shown["arguments"]?["what"]?.string == "rent" && shown["arguments"]?["token"]?.string == "********")
        #expect(shown["principal"]?.string == "ann" && shown["by"]?.string == "approver", "\(shown)")
        #expect(try bed.send("GET", "/v1/namespaces/other/approvals/\(id)", bed.bob).status == 403)
        #expect(try bed.decide(id, "decline", bed.bob, body: #"{"reason":"too much"}"#).status == 200)
        #expect(try bed.decide(id, "accept", bed.bob).status == 409, "decided is decided")
        let refused = try bed.call("pay", #"{"token":"s3cret","what":"rent"}"#, bed.ann)
        #expect(Self.text(refused).contains("declined by bob: too much"), "\(refused)")
        // An agent does not get round it by the function's name.
        let made = bed.server.apus("agent", "create", "helper", "--output", "json")
        let agent = try #require(try JSONValue.parse(made.output)["token"]?.string, "\(made.errors)")
        #expect(try bed.send("POST", "/v1/functions/pay/invoke", agent, body: "{}").status == 403)
        #expect(bed.ran.isEmpty)
        // Another caller's call is another one.
        #expect(try bed.waiting("pay", #"{"what":"rent","token":"s3cret"}"#, token: bed.eve) != id)
        // A tool server may demand it of tools that do not.
        let free = try bed.waiting("free", token: bed.ann, at: "/mcp/careful")
        #expect(try bed.decide(free, "accept", bed.bob).status == 200)
        #expect(Self.text(try bed.call("free", "{}", bed.ann, at: "/mcp/careful")) == "free")
        #expect(bed.ran.count == 1)
        let audit = bed.server.apus("audit", "search", "--output", "json").output
        let records = try JSONValue.parse(audit)["items"]?.array ?? []
        let events = records.filter { $0["kind"]?.string == "approval" }.compactMap { $0["code"]?.string }
        #expect(events == ["requested", "declined", "requested", "requested", "accepted", "consumed"], "\(audit)")
        #expect(!audit.contains("s3cret"))
        #expect(bed.server.apus("audit", "verify").status == 0)
    }

    // MARK: calls that begin once

    @Test func anAcceptedCallOutlivesItsServer() throws {
        let bed = try Bed()
        let slow = #"{"what":"disk","seconds":4}"#
        let state = try bed.state("slow", slow, bed.ann)
        // SAFETY: calls open a connection of their own and change nothing of the bed.
        nonisolated(unsafe) let shared = bed
        DispatchQueue.global().async {
            // Its connection breaks with the server.
            _ = try? shared.call("slow", slow, shared.ann, more: shared.answered(state))
        }
        let isRunning = try waitUntil(seconds: 30) { try bed.invocations(of: "slow").first?["state"]?.string == "running" }
        #expect(isRunning, "\(bed.server.log.suffix(2_000))")
        bed.server.kill9()
        try bed.server.start()
        // What it let begin goes on, and nothing else begins.
        let again = try bed.call("slow", slow, bed.ann, more: bed.answered(state))
        #expect(Self.code(again) == -32_602, "\(again)")
        let id = try #require(again["error"]?["data"]?["invocation"]?.string, "\(again)")
        let isOver = try waitUntil(seconds: 30) {
            try bed.invocations(of: "slow").allSatisfy { $0["state"]?.string == "succeeded" }
        }
        #expect(isOver, "\(bed.server.log.suffix(2_000))")
        #expect(try bed.invocations(of: "slow").map { $0["id"]?.string } == [id])
        let result = try bed.read("apus://invocations/\(id)", bed.ann)
        #expect(result["result"]?["contents"]?[0]?["text"]?.string == "slept", "\(result)")
        #expect(Self.code(try bed.read("apus://invocations/\(id)", bed.eve)) == -32_602)
        #expect(bed.ran == ["slow disk"])
    }

    /// The queue is full between the acceptance and the beginning, as it is where a server ends between them.
    @Test func anAcceptanceThatLetNothingBeginIsNotLost() throws {
        let bed = try Bed(["APUS_LIMITS_INVOCATIONS_PER_FUNCTION": "1"])
        let caller = try Caller(bed.server)
        func fill() throws {
            let sent = try caller.send(
                "POST", "/v1/functions/slow/invoke", ["Prefer": "respond-async", "Content-Type": "application/json"],
                body: #"{"what":"filler","seconds":3}"#)
            #expect(sent.status == 202, "\(sent.text)")
        }
        func drain() throws {
            let isOver = try waitUntil(seconds: 30) {
                try bed.invocations(of: "slow").allSatisfy { $0["state"]?.string == "succeeded" }
            }
            #expect(isOver)
        }
        let disk = #"{"what":"disk"}"#
        let state = try bed.state("slow", disk, bed.ann)
        try fill()
        let full = try bed.call("slow", disk, bed.ann, more: bed.answered(state))
        #expect(Self.text(full).contains("not available now"), "\(full)")
        try drain()
        #expect(Self.text(try bed.call("slow", disk, bed.ann, more: bed.answered(state))) == "slept")
        #expect(Self.code(try bed.call("slow", disk, bed.ann, more: bed.answered(state))) == -32_602)
        // The same where somebody else accepted.
        let id = try bed.waiting("slow", disk, token: bed.ann)
        #expect(try bed.decide(id, "accept", bed.bob).status == 200)
        try fill()
        let other = try bed.call("slow", disk, bed.ann, capabilities: "{}")
        #expect(Self.text(other).contains("not available now"), "\(other)")
        try drain()
        #expect(Self.text(try bed.call("slow", disk, bed.ann, capabilities: "{}")) == "slept")
        #expect(try bed.waiting("slow", disk, token: bed.ann) != id, "used up")
        #expect(bed.ran.filter { $0 == "slow disk" }.count == 2)
    }

    @Test func aCallWithAKeyIsAskedAboutAndBeginsOnce() throws {
        let bed = try Bed()
        let (disk, other) = (#"{"what":"disk"}"#, #"{"what":"backup"}"#)
        // Before anybody agreed each call asks, and nothing begins.
        let first = try bed.state("wipe", disk, bed.ann, key: "k-1")
        let second = try bed.state("wipe", disk, bed.ann, key: "k-1")
        #expect(Self.code(try bed.call("wipe", disk, bed.ann, more: bed.answered(first))) == -32_602, "without its key")
        #expect(Self.code(try bed.call("wipe", disk, bed.ann, key: "k-2", more: bed.answered(first))) == -32_602)
        #expect(bed.ran.isEmpty)
        let done = try bed.call("wipe", disk, bed.ann, key: "k-1", more: bed.answered(first))
        #expect(Self.text(done) == "wiped disk")
        // Afterwards it is that call, whichever of the answers comes.
        for state in [first, second] {
            let again = try bed.call("wipe", disk, bed.ann, key: "k-1", more: bed.answered(state))
            #expect(again["result"] == done["result"], "\(again)")
        }
        // Other arguments are another call, which the key is not for.
        let wrong = try bed.state("wipe", other, bed.ann, key: "k-1")
        #expect(Self.code(try bed.call("wipe", other, bed.ann, key: "k-1", more: bed.answered(wrong))) == -32_602)
        #expect(bed.ran == ["wipe disk"])
        // The same where somebody else is asked: an approval is for the call with this key.
        let id = try bed.waiting("pay", disk, token: bed.ann, key: "p-1")
        #expect(try bed.waiting("pay", disk, token: bed.ann, key: "p-1") == id)
        #expect(try bed.waiting("pay", disk, token: bed.ann, key: "p-2") != id)
        #expect(try bed.waiting("pay", disk, token: bed.ann) != id)
        #expect(try bed.decide(id, "accept", bed.bob).status == 200)
        let paid = try bed.call("pay", disk, bed.ann, capabilities: "{}", key: "p-1")
        #expect(Self.text(paid) == "paid")
        let again = try bed.call("pay", disk, bed.ann, capabilities: "{}", key: "p-1")
        #expect(again["result"] == paid["result"], "\(again)")
        #expect(try bed.waiting("pay", other, token: bed.ann, key: "p-1") != id)
        #expect(bed.ran == ["wipe disk", "pay disk"])
    }

    @Test func anAcceptedCallMayCallWhatItsCallerMay() throws {
        let bed = try Bed()
        let state = try bed.state("outer", "{}", bed.ann)
        let done = try bed.call("outer", "{}", bed.ann, more: bed.answered(state))
        #expect(Self.text(done) == "free", "\(done)")
        #expect(bed.ran == ["free inner"])
    }

    @Test func whoLeavesAnAcceptedCallCancelsIt() throws {
        let bed = try Bed()
        let slow = #"{"what":"disk","seconds":30}"#
        let state = try bed.state("slow", slow, bed.ann)
        let peer = try ChildProcess(
            "/usr/bin/python3",
            [
                "-B", "\(Self.root)/Tests/IntegrationTests/Peers/mcp_leave.py", "\(bed.server.url)/mcp", bed.ann, "slow", slow,
                state,
            ], environment: currentEnvironment(), in: "/var/tmp")
        let isRunning = try waitUntil(seconds: 30) { try bed.invocations(of: "slow").first?["state"]?.string == "running" }
        #expect(isRunning, "\(peer.output)\(peer.errors)")
        peer.signal(SIGKILL)
        _ = peer.wait(seconds: 10)
        let isCancelled = try waitUntil(seconds: 30) {
            try bed.invocations(of: "slow").first?["state"]?.string == "cancelled"
        }
        #expect(isCancelled, "\(bed.server.log.suffix(2_000))")
        #expect(bed.ran.isEmpty)
    }

    @Test func approvalsOutliveTheirServer() throws {
        let bed = try Bed()
        let id = try bed.waiting("pay", token: bed.ann)
        bed.server.kill9()
        try bed.server.start()
        #expect(try bed.waiting("pay", token: bed.ann) == id)
        #expect(try bed.decide(id, "accept", bed.bob).status == 200)
        bed.server.kill9()
        try bed.server.start()
        #expect(Self.text(try bed.call("pay", "{}", bed.ann)) == "paid")
        bed.server.kill9()
        try bed.server.start()
        #expect(try bed.waiting("pay", token: bed.ann) != id, "used up")
        #expect(bed.ran == ["pay "])
        // An acceptance is for the revision that was looked at.
        let old = try bed.waiting("wipe", token: bed.ann)
        #expect(try bed.decide(old, "accept", bed.bob).status == 200)
        try bed.deploy(note: "Another one.")
        #expect(try bed.waiting("wipe", token: bed.ann) != old)
        #expect(bed.ran.count == 1)
    }
}
