import ApusCore
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// `reuse: never` with the built binary: each invocation in a sandbox of its own, cloned from a warm interpreter.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct OneShotTests {
    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: fresh}
        spec:
          runtime: python3
          handler: main:handle
          reuse: never
          env: {COLOUR: blue}
          resources: {memory: 128Mi}
          scale: {max: 4, idle: 30s}
        """

    private static let code = """
        import os, random, sys

        calls = 0
        left = os.path.exists("/tmp/left")

        def handle(event, context):
            global calls
            calls += 1
            open("/tmp/left", "w").close()
            status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
            return {
                "calls": calls, "left": left, "random": str(random.random()), "program": sys.orig_argv[-1],
                "colour": os.environ["COLOUR"], "home": os.environ["HOME"], "pid": os.getpid(), "root": os.getuid() == 0,
                "capabilities": status["CapEff"].strip() + status["CapBnd"].strip(), "filter": status["Seccomp"].strip(),
                "new": status["NoNewPrivs"].strip(), "folder": os.getcwd(), "modules": "main" in sys.modules,
                "programs": _refused(lambda: os.execv("/bin/true", ["true"])),
                "runtime": _refused(lambda: open("/runtime/x", "w")), "shadow": os.path.exists("/etc/shadow"),
                "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
            }

        def _refused(attempt):
            try:
                attempt()
            except OSError as error:
                return error.strerror
            return "done"
        """

    private func call(_ server: TestServer) throws -> JSONValue {
        let result = server.apus("invoke", "fresh", "--data", "{}")
        try #require(result.status == 0, "\(result.errors)")
        return try JSONValue.parse(Array(result.output.utf8))
    }

    @Test func everyInvocationGetsASandboxOfItsOwn() async throws {
        let server = try TestServer()
        try server.start()
        server.deploy(try server.write("fresh", manifest: Self.manifest, files: ["main.py": Self.code]))
        var seen: Set<String> = []
        var clones = 0
        for _ in 0..<12 {
            let answer = try self.call(server)
            #expect(answer["calls"] == 1)
            #expect(answer["left"] == false)
            #expect(answer["colour"] == "blue")
            #expect(answer["home"] == "/tmp")
            #expect(answer["pid"] == 1)
            #expect(answer["root"] == false)
            #expect(answer["capabilities"]?.string == String(repeating: "0", count: 32))
            #expect(answer["filter"] == "2")
            #expect(answer["new"] == "1")
            #expect(answer["folder"] == "/function")
            #expect(answer["programs"] == "Operation not permitted")
            #expect(answer["runtime"] == "Read-only file system")
            #expect(answer["shadow"] == false)
            #expect(answer["processes"] == ["1"])
            let isNew = seen.insert(answer["random"]?.string ?? "").inserted
            #expect(isNew, "no random state is shared")
            if answer["program"] == "/runtime/apus/_zygote.py" { clones += 1 }
        }
        #expect(clones > 0, "the interpreter is warm after a moment")
        let metrics = try Caller(server).send("GET", "/metrics").text
        #expect(metrics.contains("apus_pool_hits_total{namespace=\"default\",function=\"fresh\"}"))
        #expect(metrics.contains("apus_pool_misses_total{namespace=\"default\",function=\"fresh\"}"))
    }
}
