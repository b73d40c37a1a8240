import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct MainJobTests {
    @Test func anEventTravelsFromTopicThroughFunctionToReplyTopic() throws {
        let server = try TestServer()
        try server.start()
        let folder = try server.write(
            "worker", manifest: Functions.between("documents", "results"), files: ["main.py": Functions.echo])
        server.deploy(folder)

        let events = (0..<20).map {
            #"{"key": "k\#($0 % 5)", "type": "t", "source": "/test", "id": "\#($0)", "data": {"text": "t\#($0)"}}"#
        }
        try writeFile("\(server.folder)/events.ndjson", events.joined(separator: "\n"))
        let publish = server.apus("publish", "documents", "--file", "\(server.folder)/events.ndjson")
        #expect(publish.status == 0, "\(publish.errors)")
        #expect(waitUntil(seconds: 20) { server.consume("results").count == 20 })

        let results = server.consume("results")
        for index in 0..<20 {
            #expect(
                results.count(where: { $0.contains(#""text":"t\#(index)""#) || $0.contains(#""text": "t\#(index)""#) })
                    == 1)
        }
        // Lines are gathered and written after what the function replied.
        let isLogged = waitUntil(seconds: 20) { server.apus("logs", "worker").output.contains("handling k1") }
        #expect(isLogged, "\(server.apus("logs", "worker").output)")
        #expect(server.terminate() == 0)
    }

    @Test func aDirectInvocationAnswersTheCaller() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("a", "b"), files: ["main.py": Functions.echo]))
        let result = server.apus("invoke", "worker", "--data", #"{"text": "hello"}"#)
        #expect(result.status == 0, "\(result.errors)")
        #expect(result.output.contains("hello"))
        // A direct invocation answers its caller and writes no reply record.
        #expect(server.consume("b").isEmpty)
    }

    @Test func aStreamedResultComesInPartsAndALargeOneComesWhole() throws {
        let server = try TestServer()
        try server.start()
        let code = """
            def handle(event, context):
                if event.data.get("stream"):
                    return (f"part {n}" for n in range(3))
                return {"text": "y" * 3_000_000}
            """
        server.deploy(try server.write("worker", manifest: Functions.between("a", "b"), files: ["main.py": code]))
        let streamed = server.apus("invoke", "worker", "--data", #"{"stream": true}"#)
        #expect(
            streamed.output.contains("part 0") && streamed.output.contains("part 2"),
            "\(streamed.output)\(streamed.errors)")
        let large = server.apus("invoke", "worker", "--data", "{}")
        #expect(large.output.utf8.count > 3_000_000, "\(large.errors)")
    }

    @Test func aFunctionThatCannotStartSaysWhyWhereItIsDeployedAndCalled() throws {
        let server = try TestServer()
        try server.start()
        let manifest = Functions.between("a", "b", handler: "main:missing")
        let folder = try server.write("worker", manifest: manifest, files: ["main.py": Functions.echo])
        let deploy = server.apus("deploy", folder, "--wait")
        #expect(deploy.status == 1)
        #expect(deploy.errors.contains("missing"), "\(deploy.errors)")
        #expect(deploy.errors.contains("start_failed"), "\(deploy.errors)")
        #expect(waitUntil(seconds: 10) { server.apus("logs", "worker").output.contains("missing") })
        let invoke = server.apus("invoke", "worker", "--data", "{}")
        #expect(invoke.status == 1)
        #expect(invoke.errors.contains("start_failed"), "\(invoke.errors)")
    }

    @Test func aFailingEventBecomesADeadLetterThatCanBeRedriven() throws {
        let server = try TestServer()
        try server.start()
        let code = """
            import os
            def handle(event, context):
                if event.data.get("bad"):
                    raise ValueError("no good")
                return event.data
            """
        let manifest = Functions.between(
            "in", "out", trigger: ", retry: {attempts: 2, initial: 10ms, max: 20ms}, onExhausted: deadLetter"
        )
        server.deploy(try server.write("worker", manifest: manifest, files: ["main.py": code]))
        #expect(server.apus("publish", "in", "--key", "k", "--data", #"{"bad": true, "n": 7}"#).status == 0)
        var listing = ""
        #expect(
            waitUntil(seconds: 20) {
                listing = server.apus("dead", "list", "--output", "json").output
                return listing.contains("function_failed")
            }, "\(listing)")
        guard let id = listing.split(separator: "\"").drop(while: { $0 != "id" }).dropFirst(2).first else {
            Issue.record("no id in \(listing)")
            return
        }
        let shown = server.apus("dead", "show", String(id))
        #expect(shown.output.contains("no good"), "\(shown.output)\(shown.errors)")

        let repaired = "def handle(event, context):\n    return event.data\n"
        server.deploy(try server.write("worker", manifest: manifest, files: ["main.py": repaired]))
        let redrive = server.apus("dead", "redrive", String(id))
        #expect(redrive.status == 0, "\(redrive.errors)")
        #expect(waitUntil(seconds: 20) { server.consume("out").contains { $0.contains("7") } })
    }

    /// Behaviour 53.
    @Test func aFunctionThatScaledToZeroRunsAgain() throws {
        let server = try TestServer()
        try server.start()
        let manifest = Functions.between("in", "out").replacing("idle: 30s", with: "idle: 200ms")
        server.deploy(try server.write("worker", manifest: manifest, files: ["main.py": Functions.echo]))
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "one"}"#).status == 0)
        #expect(server.apus("get", "instances").status == 0)
        #expect(
            waitUntil(seconds: 20) { !server.apus("get", "instances", "--output", "json").output.contains("ready") })
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "two"}"#).output.contains("two"))
    }
}
