import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// What an operator does with a function, through the built binary.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct OperateTests {
    private func deploy(_ server: TestServer, _ number: Int, trigger: String = "") throws {
        let code = "def handle(event, context):\n    return {\"revision\": \(number)}\n"
        server.deploy(
            try server.write(
                "worker", manifest: Functions.between("in", "out", trigger: trigger), files: ["main.py": code]))
    }

    @Test func aPausedFunctionWaitsThroughADeployAndAKillUntilItIsResumed() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(server, 1)
        #expect(server.apus("pause", "worker").output == "paused function worker\n")
        #expect(server.apus("get", "functions").output.contains("paused"))
        let refused = server.apus("invoke", "worker", "--data", "{}")
        #expect(refused.status == 1 && refused.errors.contains("function_paused"), "\(refused.errors)")
        #expect(server.apus("warm", "worker").errors.contains("function_paused"))
        #expect(server.apus("publish", "in", "--data", "{}").status == 0)
        // A deploy with `--wait` has nothing to wait for, and ends no pause.
        try self.deploy(server, 2)
        server.kill9()
        try server.start()
        #expect(server.apus("describe", "worker").output.contains("admin"))
        #expect(server.consume("out").isEmpty)
        #expect(server.apus("resume", "worker").output == "resumed function worker\n")
        #expect(waitUntil(seconds: 20) { server.consume("out").count == 1 }, "\(server.log)")
        #expect(server.consume("out")[0].contains(#""revision":2"#))
        #expect(server.apus("resume", "worker").output == "function worker was not paused\n")
    }

    @Test func aPausedTriggerLetsCallersThrough() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(server, 1)
        #expect(server.apus("pause", "worker", "--trigger", "in").status == 0)
        #expect(server.apus("publish", "in", "--data", "{}").status == 0)
        #expect(server.apus("invoke", "worker", "--data", "{}").output.contains(#""revision":1"#))
        #expect(server.consume("out").isEmpty && server.apus("get", "functions").output.contains("partly paused"))
        let unknown = server.apus("pause", "worker", "--trigger", "inn")
        #expect(unknown.status == 3 && unknown.errors.contains("it has in"), "\(unknown.errors)")
        #expect(server.apus("resume", "worker", "--trigger", "in").status == 0)
        #expect(waitUntil(seconds: 20) { server.consume("out").count == 1 })
    }

    @Test func rollingBackRunsTheCodeOfBeforeAndGoesOnWhereItWas() throws {
        let server = try TestServer()
        try server.start()
        try self.deploy(server, 1)
        #expect(server.apus("publish", "in", "--data", "{}").status == 0)
        #expect(waitUntil(seconds: 20) { server.consume("out").count == 1 })
        try self.deploy(server, 2)
        #expect(server.apus("invoke", "worker", "--data", "{}").output.contains(#""revision":2"#))
        let back = server.apus("rollback", "worker")
        #expect(back.status == 0 && back.output.contains("as generation 3"), "\(back.errors)")
        #expect(server.apus("invoke", "worker", "--data", "{}").output.contains(#""revision":1"#))
        // Without the projection, and after a kill: what can be returned to is on the log.
        server.kill9()
        for file in ["state.db", "state.db-wal", "state.db-shm"] { unlink("\(server.data)/\(file)") }
        try server.start()
        let list = server.apus("get", "revisions", "worker", "--output", "json").output
        let items = try JSONValue.parse(Array(list.utf8))["items"]?.array ?? []
        #expect(
            items.map { $0["current"]?.boolean } == [true, false] && items.allSatisfy { $0["kept"]?.boolean == true })
        let name = try #require(items.last?["revision"]?.string)
        #expect(server.apus("rollback", "worker", String(name.prefix(10))).status == 0)
        #expect(server.apus("warm", "worker").output.contains("worker is ready"))
        #expect(server.apus("invoke", "worker", "--data", "{}").output.contains(#""revision":2"#))
        let unknown = server.apus("rollback", "worker", "zzz")
        #expect(unknown.status == 3 && unknown.errors.contains("revision_not_found"), "\(unknown.errors)")
        // The event of before was answered once.
        #expect(server.consume("out").count == 1)
    }

    @Test func schedulesAreShownAndTheirZonesChecked() throws {
        let server = try TestServer()
        try server.start()
        func manifest(_ schedule: String) -> String {
            """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: report}
            spec:
              runtime: python3
              handler: main:handle
              triggers: [{schedule: \(schedule)}]
            """
        }
        let code = ["main.py": "def handle(event, context):\n    return event.data\n"]
        let wrong = try server.write("report", manifest: manifest("{cron: '@daily', zone: Europe/Pariss}"), files: code)
        let refused = server.apus("deploy", wrong)
        #expect(refused.status == 1 && refused.errors.contains("did you mean `Europe/Paris`?"), "\(refused.errors)")
        let right = try server.write("report", manifest: manifest("{cron: '0 0 1 1 *', zone: UTC}"), files: code)
        server.deploy(right)
        let shown = server.apus("get", "schedules", "--output", "json").output
        let item = try #require(try JSONValue.parse(Array(shown.utf8))["items"]?.array?.first)
        #expect(item["function"]?.string == "report" && item["next"]?.string?.hasSuffix("-01-01T00:00:00Z") == true)
        #expect(item["last"] == .null && item["fired"]?.int == 0)
        #expect(server.apus("pause", "report", "--trigger", "schedule").status == 0)
        #expect(server.apus("get", "schedules").output.contains("paused"))
        #expect(server.apus("delete", "report").status == 0)
        #expect(server.apus("get", "schedules").output == "no schedules\n")
    }
}
