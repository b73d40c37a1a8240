import ApusHTTP
import ApusJSON
import ApusTestSupport
import Dispatch
import Synchronization
import Testing

/// Approvals of several servers on one Kafka: one call begins for one acceptance, whichever server it comes to.
@Suite(
    .serialized, .enabled(if: KafkaBroker.isThere, Comment(rawValue: KafkaBroker.skipReason)),
    .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start servers, which needs root"))
struct NodeApprovalTests {
    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Topic
        metadata: {name: ran}
        spec: {partitions: 1}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: wipe}
        spec:
          runtime: python3
          handler: main:wipe
          source: .
          emits: [ran]
          tool: {name: wipe, input: {type: object}, approval: {when: always}}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: draw}
        spec:
          runtime: python3
          handler: main:wipe
          source: .
          emits: [ran]
          tool: {name: draw, input: {type: object}}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: later}
        spec:
          runtime: python3
          handler: main:wipe
          source: .
          emits: [ran]
          tool: {name: later, async: required, input: {type: object}, approval: {when: always, by: approver}}
        """
    private static let code = """
        def wipe(event, context):
            context.emit("ran", event.data)
            return "wiped"
        """

    private let site: ManyNodesTests.Site
    private let tokens: (caller: String, approver: String)

    init() throws {
        let site = try ManyNodesTests.Site(2)
        self.site = site
        func token(_ name: String, _ role: String) throws -> String {
            let made = site.nodes[0].apus("token", "create", "--name", name, "--role", role, "--output", "json")
            return try #require(try JSONValue.parse(made.output)["token"]?.string, "\(made.errors)")
        }
        self.tokens = (try token("ann", "caller"), try token("bob", "approver"))
        site.nodes[0].deploy(try site.nodes[0].write("tools", manifest: Self.manifest, files: ["main.py": Self.code]))
    }

    private func call(_ node: Int, _ what: Int, canAsk: Bool = false, more: String = "") throws -> JSONValue {
        try AgentCall(url: site.nodes[node].url, token: self.tokens.caller).call(
            "wipe", #"{"what":\#(what)}"#, capabilities: canAsk ? #"{"elicitation":{}}"# : "{}", more: more)
    }

    @Test func aCallWithAKeyRunsOnceOnAllServers() throws {
        #expect(self.site.waitForShares(of: [0, 1], seconds: 60), "\(self.site.logs)")
        let call = { (node: Int, key: String) in
            try AgentCall(url: self.site.nodes[node].url, token: self.tokens.caller).call(
                "draw", #"{"what":1}"#, capabilities: "{}", key: key)
        }
        #expect(waitUntil(seconds: 30) { (try? call(1, "first"))?["result"]?["isError"]?.boolean == false })
        let before = self.ran
        // SAFETY: calls open a connection of their own and change nothing of the site.
        nonisolated(unsafe) let shared = call
        let answers = Mutex<[JSONValue]>([])
        DispatchQueue.concurrentPerform(iterations: 8) { number in
            let answer = (try? shared(number % 2, "many")) ?? .null
            answers.withLock { $0.append(answer["result"] ?? answer) }
        }
        let all = answers.withLock { $0 }
        #expect(all.allSatisfy { $0 == all[0] } && all[0]["isError"]?.boolean == false, "\(all)")
        #expect(self.ran == before + 1)
    }

    @Test func aTaskBeginsOnceItIsAcceptedOnAnyServer() throws {
        #expect(self.site.waitForShares(of: [0, 1], seconds: 60), "\(self.site.logs)")
        let tasks = #"{"extensions":{"io.modelcontextprotocol/tasks":{}}}"#
        let agents = (0..<2).map { AgentCall(url: self.site.nodes[$0].url, token: self.tokens.caller) }
        #expect(waitUntil(seconds: 30) { (try? agents[1].call("later", #"{"what":0}"#, capabilities: tasks))?["result"] != nil })
        for round in 1...2 {
            let made = try agents[round % 2].call("later", #"{"what":\#(round)}"#, capabilities: tasks)
            let task = try #require(made["result"]?["taskId"]?.string, "\(made)")
            let get = { (node: Int) in
                try agents[node].ask("tasks/get", task, #""taskId":"\#(task)""#, capabilities: tasks)["result"] ?? .null
            }
            var id: String?
            #expect(
                waitUntil(seconds: 30) {
                    let words = (try? get(round % 2))?["statusMessage"]?.string?.split(separator: " ") ?? []
                    id = words.first { $0.hasSuffix(":") && $0.count == 17 }.map { String($0.dropLast()) }
                    return id != nil
                }, "\(self.site.logs)")
            let accepted = try HTTPClient().request(
                "POST", "\(self.site.nodes[(round + 1) % 2].url)/v1/approvals/\(id ?? "")/accept",
                headers: [HTTPHeader("Authorization", "Bearer \(self.tokens.approver)")], body: [])
            #expect(accepted.status == 200, "\(accepted.text)")
            for node in 0..<2 {
                let isOver = waitUntil(seconds: 30) { (try? get(node))?["status"]?.string == "completed" }
                #expect(isOver, "\(self.site.logs)")
            }
        }
        #expect(self.ran == 2)
    }

    private var ran: Int { self.site.nodes[0].consume("ran").count }

    @Test func whatIsAcceptedOnOneServerBeginsOnceOnAnyOther() throws {
        #expect(self.site.waitForShares(of: [0, 1], seconds: 60), "\(self.site.logs)")
        // A server that has not heard of the deploy knows no such tool.
        #expect(waitUntil(seconds: 30) { (try? self.call(1, 0))?["result"] != nil })
        for round in 1...3 {
            let told = try self.call(round % 2, round)
            let id = try #require(told["result"]?["_meta"]?["dev.apus/approval"]?["id"]?.string, "\(told)")
            let accepted = try HTTPClient().request(
                "POST", "\(self.site.nodes[(round + 1) % 2].url)/v1/approvals/\(id)/accept",
                headers: [HTTPHeader("Authorization", "Bearer \(self.tokens.approver)")], body: [])
            #expect(accepted.status == 200, "\(accepted.text)")
            var texts: [String] = []
            // The other server hears of it a moment later.
            #expect(
                waitUntil(seconds: 20) {
                    for node in 0..<2 { texts.append((try? AgentCall.text(self.call(node, round))) ?? "") }
                    return texts.contains("wiped")
                }, "\(texts)")
            #expect(texts.count { $0 == "wiped" } == 1, "\(texts)")
        }
        #expect(self.ran == 3)
    }

    @Test func aStateIsUsedUpOnAllServers() throws {
        #expect(self.site.waitForShares(of: [0, 1], seconds: 60), "\(self.site.logs)")
        #expect(waitUntil(seconds: 30) { (try? self.call(1, 0, canAsk: true))?["result"] != nil })
        for round in 1...3 {
            let asked = try self.call(round % 2, round, canAsk: true)
            let state = try #require(asked["result"]?["requestState"]?.string, "\(asked)")
            let more = AgentCall.approved(state)
            let answers = try [0, 1, 0].map { try self.call($0, round, canAsk: true, more: more) }
            #expect(AgentCall.text(answers[0]) == "wiped", "\(answers)")
            #expect(answers[1...].allSatisfy { $0["error"]?["code"]?.integer == -32_602 }, "\(answers)")
        }
        #expect(self.ran == 3)
    }
}
