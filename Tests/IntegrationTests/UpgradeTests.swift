import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// A server that takes the place of another one, under load and when it cannot.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct UpgradeTests {
    private func token(_ server: TestServer) throws -> String {
        String(decoding: try readFile("\(server.data)/run/admin.token").prefix { $0 > 32 }, as: UTF8.self)
    }

    private func published(_ answer: JSONValue) -> [String] { answer["published"]?.array?.compactMap(\.string) ?? [] }

    @Test(arguments: [1, 3])
    func threeUpgradesUnderLoadRefuseNobodyAndDeliverEachEventOnce(shards: Int) throws {
        let server = try TestServer(arguments: ["--shards", "\(shards)"])
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        let stop = "\(server.folder)/stop"
        let load = try ChildProcess(
            "/usr/bin/python3",
            [
                "\(InstalledTree.packageRoot)/Tests/Peers/upgrade_load.py", "\(server.port)", try self.token(server),
                stop,
            ],
            in: server.folder)
        for _ in 0..<3 {
            let before = server.consume("out").count
            #expect(waitUntil(seconds: 30) { server.consume("out").count > before + 20 }, "\(server.log)")
            try server.upgrade()
        }
        let before = server.consume("out").count
        #expect(waitUntil(seconds: 30) { server.consume("out").count > before + 20 })
        try writeFile(stop, "")
        #expect(load.wait(seconds: 60) == 0, "\(load.errors)")
        let seen = try JSONValue.parse(Array(load.output.utf8))
        #expect(seen["failures"] == .array([]))
        #expect(seen["invoked"]?.integer ?? 0 > 20)
        let published = self.published(seen)
        #expect(published.count > 60)
        print("upgrade under load, \(shards) shards: \(published.count) events, statuses \(seen["statuses"] ?? .null)")

        #expect(waitUntil(seconds: 60) { server.consume("out").count >= published.count })
        let delivered = try server.consume("out").compactMap {
            try JSONValue.parse(Array($0.utf8))["data"]?["text"]?.string
        }
        // Those that were published and not acknowledged, if any, are there as well, and once.
        #expect(Set(delivered).isSuperset(of: published))
        #expect(Set(delivered).count == delivered.count)
        #expect(server.terminate() == 0)
    }

    /// Behaviour 66.
    @Test func whatRunsLongerThanTheDrainIsAnsweredWith503OrDeliveredAgain() throws {
        let server = try TestServer(arguments: ["--drain", "1"])
        try server.start()
        let slow = """
            import time
            def handle(event, context):
                if event.data.get("slow"):
                    time.sleep(5)
                return {"text": event.data["text"], "attempt": context.attempt}
            """
        server.deploy(
            try server.write(
                "worker", manifest: Functions.between("in", "out", extra: "  timeout: 60s"), files: ["main.py": slow]))
        #expect(server.apus("publish", "in", "--data", #"{"text": "event", "slow": true}"#).status == 0)
        var environment = currentEnvironment()
        environment["APUS_SERVER"] = server.url
        environment["APUS_DATA"] = server.data
        let call = try ChildProcess(
            "\(server.tree)/bin/apus", ["invoke", "worker", "--data", #"{"text": "call", "slow": true}"#],
            environment: environment, in: server.folder)
        #expect(waitUntil(seconds: 20) { server.apus("get", "instances").output.split(separator: "\n").count == 3 })
        try server.upgrade()
        #expect(call.wait(seconds: 20) == 1)
        #expect(call.errors.contains("[shutting_down]"), "\(call.errors)")
        #expect(waitUntil(seconds: 40) { server.consume("out").count == 1 })
        // Cut off by the upgrade, which is not its fault: the attempt was not counted.
        #expect(server.consume("out").first?.contains(#""attempt":1"#) == true, "\(server.consume("out"))")
        #expect(server.terminate() == 0)
    }

    @Test func aSuccessorThatCannotStartLeavesTheServerAsItIs() throws {
        let server = try TestServer()
        try server.start()
        let pid = server.process?.pid
        try writeFile("\(server.folder)/bad.yaml", "shrads: 2\n")
        let attempts = [
            (["--shards", "2"], "configuration_invalid"), (["--listen", "127.0.0.1:1"], "configuration_invalid"),
            (["--config", "\(server.folder)/bad.yaml"], "configuration_invalid"),
            (["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], "configuration_invalid"),
            (["--background", "--shards", "2"], "configuration_invalid"),
            (["--port-file", "/nowhere/port"], "invalid_argument"),
        ]
        for (arguments, code) in attempts {
            let listen = arguments.contains("--listen") ? [] : ["--listen", "127.0.0.1:0"]
            let result = server.apus(arguments: ["serve", "--upgrade", "--data", server.data] + listen + arguments)
            #expect(result.status == 1, "\(arguments)")
            #expect(result.errors.contains("[\(code)]"), "\(arguments): \(result.errors)")
            #expect(server.apus("get", "functions").status == 0)
        }
        let starved = try ChildProcess(
            "/bin/sh",
            [
                "-c",
                "ulimit -n 64; exec \(server.tree)/bin/apus serve --upgrade --data \(server.data) --listen 127.0.0.1:0",
            ],
            in: server.folder)
        #expect(starved.wait(seconds: 30) == 1)
        #expect(starved.errors.contains("[sandbox_unavailable]"), "\(starved.errors)")
        #expect(server.apus("get", "functions").status == 0)
        #expect(server.process?.isRunning == true && server.process?.pid == pid)
        #expect(server.terminate() == 0)
    }

    @Test func whereNoServerRunsThereIsNothingToUpgrade() throws {
        let server = try TestServer()
        let result = server.apus("serve", "--upgrade", "--data", server.data)
        #expect(result.status == 4)
        #expect(result.errors.contains("[server_unreachable]"))
    }

    @Test func inTheBackgroundTheCommandReturnsOnceTheSuccessorServes() throws {
        let server = try TestServer()
        try server.start()
        let old = try #require(server.process)
        let result = server.apus(
            "serve", "--upgrade", "--background", "--data", server.data, "--listen", "127.0.0.1:0", "--log-file",
            "\(server.folder)/logs/apus.log")
        #expect(result.status == 0, "\(result.errors)")
        #expect(server.apus("get", "functions").status == 0)
        #expect(old.wait(seconds: 20) == 0)
        let pid = try server.successor()
        #expect(pid != old.pid)
        kill(pid, SIGTERM)
        #expect(waitUntil(seconds: 20) { kill(pid, 0) != 0 })
    }
}
