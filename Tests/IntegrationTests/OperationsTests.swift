import ApusHTTP
import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct OperationsTests {
    @Test(arguments: [1, 3]) func theServerRunsWithOneOrSeveralShards(shards: Int) throws {
        let server = try TestServer(arguments: ["--shards", "\(shards)"])
        try server.start()
        for index in 0..<4 {
            let manifest = Functions.between("in\(index)", "out\(index)").replacing(
                "name: worker", with: "name: worker-\(index)")
            server.deploy(try server.write("worker-\(index)", manifest: manifest, files: ["main.py": Functions.echo]))
        }
        for index in 0..<4 {
            #expect(server.apus("publish", "in\(index)", "--data", #"{"text": "t\#(index)"}"#).status == 0)
            #expect(
                server.apus("invoke", "worker-\(index)", "--data", #"{"text": "d\#(index)"}"#).output.contains(
                    "d\(index)"))
            #expect(waitUntil(seconds: 20) { server.consume("out\(index)").count == 1 })
        }
        #expect(server.terminate() == 0)
    }

    @Test func theServerRunsAsNobodyInParticularAndKeepsItsFilesToItself() throws {
        let server = try TestServer()
        try server.start()
        guard let process = server.process else { return }
        let status = String(decoding: try readFile("/proc/\(process.pid)/status"), as: UTF8.self)
        #expect(!status.contains("Uid:\t0"))
        #expect(status.contains("CapEff:\t0000000000000000"))
        #expect(status.contains("NoNewPrivs:\t1"))
        var folder = stat()
        #expect(stat(server.data, &folder) == 0)
        #expect(folder.st_mode & 0o777 == 0o700)
        var token = stat()
        #expect(stat("\(server.data)/run/admin.token", &token) == 0)
        #expect(token.st_mode & 0o777 == 0o600)
    }

    @Test func stoppingLeavesNoProcessBehind() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "x"}"#).status == 0)
        guard let pid = server.process?.pid else { return }
        let children = try String(decoding: readFile("/proc/\(pid)/task/\(pid)/children"), as: UTF8.self).split(
            separator: " "
        ).compactMap { pid_t($0) }
        #expect(!children.isEmpty)
        server.kill9()
        #expect(waitUntil(seconds: 10) { children.allSatisfy { kill($0, 0) != 0 } })
    }
}
