import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct BadInputTests {
    @Test func wrongInputIsAnErrorWithACodeAndTheServerStaysAlive() throws {
        let server = try TestServer()
        try server.start()

        let broken = try server.write(
            "broken",
            manifest: "apiVersion: apus.dev/v1\nkind: Function\nmetadata: {name: Bad.Name}\nspec: {runtim: python3}\n")
        let manifest = server.apus("deploy", broken)
        #expect(manifest.status == 1)
        #expect(manifest.errors.contains("function.yaml:4:"), "\(manifest.errors)")
        #expect(manifest.errors.contains("did you mean"), "\(manifest.errors)")

        let cases: [([String], Int32, String)] = [
            (["publish", "nowhere", "--data", "{}"], 3, "topic_not_found"),
            (["invoke", "nobody", "--data", "{}"], 3, "function_not_found"),
            (["consume", "nowhere"], 3, "topic_not_found"),
            (["get", "functions", "nobody"], 3, "not_found"),
            (["publish", "apus.control", "--data", "{}"], 1, "reserved_name"),
            (["delete", "function", "nobody"], 3, "not_found"),
            (["frobnicate"], 2, "frobnicate"),
            (["publish"], 2, "TOPIC"),
        ]
        for (arguments, status, text) in cases {
            let result = server.apus(arguments: arguments)
            #expect(result.status == status, "\(arguments): \(result.errors)")
            #expect(result.errors.contains(text), "\(arguments): \(result.errors)")
        }

        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        let large = String(repeating: "x", count: 17 << 20)
        try writeFile("\(server.folder)/large", large)
        let tooLarge = server.apus("publish", "in", "--data", "@\(server.folder)/large")
        #expect(tooLarge.status == 1)
        #expect(tooLarge.errors.contains("too_large"), "\(tooLarge.errors)")
        try writeFile("\(server.folder)/bad.ndjson", "{\"type\": \"t\", \"data\": 1}\n{nonsense\n")
        let badLine = server.apus("publish", "in", "--file", "\(server.folder)/bad.ndjson")
        #expect(badLine.status == 1)
        #expect(badLine.errors.contains(":2"), "\(badLine.errors)")
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "still here"}"#).output.contains("still here"))
    }

    @Test func aDeployOfUnknownTopicsOrAMissingHandlerChangesNothing() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        let before = server.apus("get", "functions", "--output", "json").output
        let unknownTopic = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: other}
            spec: {runtime: python3, handler: "main:handle", source: ., triggers: [{topic: missing}]}
            """
        let refused = server.apus(
            "deploy", try server.write("other", manifest: unknownTopic, files: ["main.py": Functions.echo]))
        #expect(refused.status != 0)
        #expect(refused.errors.contains("missing"), "\(refused.errors)")
        #expect(server.apus("get", "functions", "--output", "json").output == before)

        // Deploying the same content again is not an error and makes no new revision.
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        #expect(server.apus("get", "functions", "--output", "json").output == before)
    }

    @Test func aFailingBuildLeavesTheRunningRevisionAlone() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        let manifest = Functions.between("in", "out", extra: "  dependencies: requirements.txt")
        let folder = try server.write(
            "worker", manifest: manifest,
            files: ["main.py": Functions.echo, "requirements.txt": "apus-no-such-package-at-all==99.99\n"]
        )
        let build = server.apus("deploy", folder, "--wait", seconds: 240)
        #expect(build.status == 1)
        #expect(build.errors.contains("build_failed"), "\(build.errors)")
        #expect(build.errors.contains("apus-no-such-package-at-all"), "\(build.errors)")
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "old"}"#).output.contains("old"))
    }

    @Test func aBusyPortAndADirectoryInUseAreNamed() throws {
        let server = try TestServer()
        try server.start()
        let second = try ChildProcess(
            "\(server.tree)/bin/apus",
            ["serve", "--data", "\(server.folder)/data2", "--listen", "127.0.0.1:\(server.port)"],
            in: server.folder
        )
        #expect(second.wait(seconds: 20) == 1)
        #expect(second.errors.contains("port_in_use"), "\(second.errors)")
        let third = try ChildProcess(
            "\(server.tree)/bin/apus", ["serve", "--data", server.data, "--listen", "127.0.0.1:0"], in: server.folder
        )
        #expect(third.wait(seconds: 20) == 1)
        #expect(third.errors.contains("data_directory_in_use"), "\(third.errors)")
        #expect(server.apus("get", "functions").status == 0)
    }

    @Test func aDamagedLogIsRefusedAndLeftAsItIs() throws {
        let server = try TestServer()
        try server.start()
        #expect(server.terminate() == 0)
        let path = "\(server.data)/log.mdb"
        var bytes = try readFile(path)
        for index in 0..<min(8192, bytes.count) { bytes[index] = 0x5A }
        try writeFile(path, bytes)
        let again = try ChildProcess(
            "\(server.tree)/bin/apus", ["serve", "--data", server.data, "--listen", "127.0.0.1:0"], in: server.folder
        )
        #expect(again.wait(seconds: 20) == 1)
        #expect(again.errors.contains("log_damaged"), "\(again.errors)")
        #expect(try readFile(path) == bytes)
    }

    @Test func aFullLogRefusesProducersAndKeepsWhatItHas() throws {
        let server = try TestServer(arguments: ["--map-size", "16Mi"])
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        let text = String(repeating: "x", count: 200_000)
        var refusal = ""
        var accepted = 0
        try writeFile("\(server.folder)/large.json", #"{"text": "\#(text)"}"#)
        for _ in 0..<200 {
            let result = server.apus("publish", "in", "--data", "@\(server.folder)/large.json")
            if result.status != 0 {
                refusal = result.errors
                break
            }
            accepted += 1
        }
        #expect(refusal.contains("log_full"), "\(refusal)")
        #expect(accepted > 5)
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "alive"}"#).output.contains("alive"))
    }

    @Test func aMissingRuntimeIsNamedWhereAFunctionIsDeployedAndCalled() throws {
        let server = try TestServer(
            preparation:
                "touch /var/tmp/apus-no-python && mount --bind /var/tmp/apus-no-python $(readlink -f /usr/bin/python3)")
        defer { unlink("/var/tmp/apus-no-python") }
        try server.start()
        let folder = try server.write(
            "worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo])
        let deploy = server.apus("deploy", folder, "--wait")
        #expect(deploy.status == 1)
        #expect(deploy.errors.contains("runtime_missing"), "\(deploy.errors)")
        let invoke = server.apus("invoke", "worker", "--data", "{}")
        #expect(invoke.errors.contains("runtime_missing"), "\(invoke.errors)")
        #expect(server.apus("get", "functions").status == 0)
    }

    @Test func aFullDiskRefusesProducersAndKeepsWhatItHas() throws {
        let server = try TestServer()
        try server.mountSmallDisk()
        defer { server.unmountSmallDisk() }
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        try writeFile("\(server.folder)/large.json", #"{"text": "\#(String(repeating: "x", count: 900_000))"}"#)
        var refusal = ""
        var accepted = 0
        for _ in 0..<200 {
            let result = server.apus("publish", "in", "--data", "@\(server.folder)/large.json")
            if result.status != 0 {
                refusal = result.errors
                break
            }
            accepted += 1
        }
        #expect(refusal.contains("disk_full") || refusal.contains("log_full"), "\(refusal)")
        #expect(accepted > 5)
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "alive"}"#).output.contains("alive"))
        server.kill9()
        try server.start()
        let ends = try Passages.endOffsets(server, topic: "in")
        #expect(ends == accepted)
    }
}
