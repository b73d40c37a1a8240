import ApusJSON
import ApusTestSupport
import Glibc
import Testing

@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct RetentionTests {
    /// A folder of the server's own that nobody has used for a long time.
    private static func makeUnused(_ server: TestServer, _ folder: String, _ digit: Character) throws -> String {
        let parent = "\(server.data)/\(folder)"
        let path = "\(parent)/\(String(repeating: digit, count: 64))"
        var status = stat()
        try #require(stat(parent, &status) == 0 && mkdir(path, 0o755) == 0)
        try writeFile("\(path)/file", "x")
        chown("\(path)/file", status.st_uid, status.st_gid)
        chown(path, status.st_uid, status.st_gid)
        var times = [timespec](repeating: timespec(tv_sec: 1_000_000, tv_nsec: 0), count: 2)
        try #require(utimensat(AT_FDCWD, path, &times, 0) == 0)
        return path
    }

    private static func removed(_ server: TestServer, _ arguments: String...) throws -> [String: Int64] {
        let answer = server.apus(arguments: ["sweep"] + arguments + ["--output", "json"])
        #expect(answer.status == 0, "\(answer.errors)")
        var removed: [String: Int64] = [:]
        for item in try JSONValue.parse(Array(answer.output.utf8))["items"]?.array ?? [] {
            removed[item["kind"]?.string ?? ""] = item["removed"]?.integer
            #expect(item["failure"] == nil)
        }
        return removed
    }

    @Test func unusedBundlesAndLayersGoAndUsedOnesStay() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(
            try server.write("worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo]))
        let bundle = try Self.makeUnused(server, "bundles", "a")
        let layer = try Self.makeUnused(server, "layers", "b")
        let dry = try Self.removed(server, "--dry-run")
        #expect(dry["bundles"] == 1 && dry["layers"] == 1)
        #expect(access(bundle, F_OK) == 0 && access(layer, F_OK) == 0)
        let swept = try Self.removed(server)
        #expect(swept["bundles"] == 1 && swept["layers"] == 1)
        let kinds = [
            "approvals", "audit", "bundles", "dead-letters", "fates", "invocations", "layers", "log-bundles", "logs",
            "uploads", "usage", "weights",
        ]
        #expect(swept.keys.sorted() == kinds)
        #expect(access(bundle, F_OK) != 0 && access(layer, F_OK) != 0)
        #expect(try Self.removed(server)["bundles"] == 0)
        // The function starts anew from the bundle that was kept.
        #expect(server.terminate() == 0)
        try server.start()
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "kept"}"#).output.contains("kept"))
        #expect(server.apus("sweep", "extra").status == 2)
    }

    @Test func aFullDiskRefusesADeployAndServesOn() throws {
        let server = try TestServer()
        try server.mountSmallDisk()
        defer { server.unmountSmallDisk() }
        try server.start()
        let folder = try server.write(
            "worker", manifest: Functions.between("in", "out"), files: ["main.py": Functions.echo])
        server.deploy(folder)
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "before"}"#).output.contains("before"))
        // Takes every block there is.
        let filler = "\(server.data)/filler"
        _ = try ChildProcess("dd", ["if=/dev/zero", "of=\(filler)", "bs=64k", "count=8000"], in: "/var/tmp").wait(
            seconds: 30)
        try writeFile("\(folder)/other.py", String(repeating: "# more\n", count: 40_000))
        let deploy = server.apus("deploy", folder)
        #expect(deploy.status == 1)
        #expect(deploy.errors.contains("disk_full") || deploy.errors.contains("log_full"), "\(deploy.errors)")
        #expect(server.apus("get", "functions").status == 0, "queries go on")
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "during"}"#).output.contains("during"))
        unlink(filler)
        #expect(waitUntil(seconds: 20) { server.apus("deploy", folder).status == 0 }, "room makes it well again")
        #expect(server.apus("invoke", "worker", "--data", #"{"text": "after"}"#).output.contains("after"))
    }
}
