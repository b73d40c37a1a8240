import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Calls while their tool is deployed anew, and results that are kept, against the built binary.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct ToolRevisionTests {
    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: answer}
        spec:
          description: Says which revision it is, and when it began and ended.
          runtime: python3
          handler: main:answer
          source: .
          timeout: 120s
          tool: {name: answer, input: {type: object, properties: {seconds: {type: number}}}}
        """

    private static func code(_ revision: Int) -> String {
        """
        import time
        def answer(event, context):
            begun = time.time()
            time.sleep(event.data.get("seconds", 0))
            return {"revision": \(revision), "begun": begun, "ended": time.time()}
        """
    }

    @Test func callsInProgressEndOnTheirRevisionAndNewOnesBeginOnTheNext() throws {
        let server = try TestServer()
        try server.start()
        let folder = try server.write("answer", manifest: Self.manifest, files: ["main.py": Self.code(0)])
        server.deploy(folder)
        let caller = ToolCaller(caller: try Caller(server))
        var hasOverlapped = false
        // A machine that is busy may take longer for a deploy than a call lasts: then a longer one is made.
        for (revision, seconds) in [5, 15, 45].enumerated() where !hasOverlapped {
            let call = try server.begin(
                "tools", "call", "answer", "--data", #"{"seconds": \#(seconds)}"#, "--output", "json")
            let isBusy = waitUntil(seconds: 30) { server.apus("get", "instances").output.contains("busy") }
            #expect(isBusy, "\(server.apus("get", "instances").output)")
            try writeFile("\(folder)/main.py", Self.code(revision + 1))
            server.deploy(folder)
            let next = try caller.call("answer")["result"]?["structuredContent"]
            #expect(next?["revision"]?.integer == Int64(revision + 1), "\(String(describing: next))")
            #expect(call.wait(seconds: 90) == 0, "\(call.output)\(call.errors)")
            let result = try JSONValue.parse(Array(call.output.utf8))
            let first = result["structuredContent"] ?? result["result"]?["structuredContent"]
            #expect(first?["revision"]?.integer == Int64(revision), "\(call.output)")
            hasOverlapped = (first?["ended"]?.double ?? 0) > (next?["ended"]?.double ?? .infinity)
        }
        #expect(hasOverlapped, "no call was in progress while its tool was deployed anew")
    }

    /// Of two tenants with a function, a tool and an agent of the same names, whose results answer everybody.
    @Test func aKeptResultIsItsTenantsAlone() throws {
        let server = try TestServer()
        try server.start()
        let caller = try Caller(server)
        var agents: [String: ToolCaller] = [:]
        for tenant in ["crimson", "azure"] {
            let manifest = """
                apiVersion: apus.dev/v1
                kind: Function
                metadata: {name: price, namespace: \(tenant)}
                spec:
                  description: Says whose it is.
                  runtime: exec
                  handler: printenv WHOSE
                  env: {WHOSE: \(tenant)}
                  source: .
                  tool:
                    name: price
                    input: {type: object}
                    annotations: {readOnly: true, idempotent: true}
                    cache: {time: 1h, for: everyone}
                """
            server.deploy(try server.write(tenant, manifest: manifest))
            let made = server.apus("-n", tenant, "agent", "create", "ann", "--output", "json")
            let token = try #require(try JSONValue.parse(Array(made.output.utf8))["token"]?.string, "\(made.errors)")
            agents[tenant] = ToolCaller(caller: caller, token: token, path: "/v1/namespaces/\(tenant)/mcp")
        }
        for _ in 0..<2 {
            for (tenant, agent) in agents {
                let answer = try agent.call("price")
                let text = answer["result"]?["content"]?[0]?["text"]?.string ?? ""
                #expect(text.contains(tenant), "\(tenant): \(answer)")
            }
        }
        // The second time it was the kept one.
        for tenant in agents.keys {
            let found = server.apus("-n", tenant, "audit", "search", "--subject", "price", "--output", "json")
            #expect(found.output.contains(#""cached""#), "\(found.output)")
        }
    }
}
