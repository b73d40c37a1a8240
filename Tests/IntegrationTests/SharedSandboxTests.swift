import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// `sandbox: {calls: process}` with the built binary: a function with a dependency, loaded once and forked for each call.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct SharedSandboxTests {
    private static func manifest(_ name: String, dependencies: Bool) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          runtime: python3
          handler: main:handle
          reuse: never
          env: {COLOUR: blue}\(dependencies ? "\n  dependencies: requirements.txt" : "")
          resources: {memory: 128Mi}
          scale: {max: 4, idle: 30s}
          sandbox: {calls: process}
        """
    }

    private static let code = """
        import os, random, tiny

        calls = 0
        started = 0

        def start():
            global started
            started += 1

        def handle(event, context):
            global calls
            calls += 1
            with open(os.environ["TMPDIR"] + "/left", "x") as file: file.write("x")
            return {
                "calls": calls, "started": started, "answer": tiny.answer, "loaded": tiny.loaded, "pid": os.getpid(),
                "random": str(random.random()), "colour": os.environ["COLOUR"], "left": os.listdir(os.environ["TMPDIR"]),
                "folder": os.getcwd(), "root": os.getuid() == 0,
            }
        """

    /// Beside the manifest, in place of an index.
    private static func addWheel(to folder: String) throws {
        let script = """
            import zipfile
            with zipfile.ZipFile("\(folder)/tiny-1.0-py3-none-any.whl", "w") as wheel:
                wheel.writestr("tiny.py", "import os\\nanswer = 42\\nloaded = os.getpid()\\n")
                wheel.writestr("tiny-1.0.dist-info/METADATA", "Metadata-Version: 2.1\\nName: tiny\\nVersion: 1.0\\n")
                wheel.writestr("tiny-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n")
                wheel.writestr("tiny-1.0.dist-info/RECORD", "")
            """
        let result = try runToEnd("/usr/bin/python3", ["-I", "-S", "-c", script])
        try #require(result == 0)
    }

    private static func runToEnd(_ program: String, _ words: [String]) throws -> CInt {
        var arguments: [UnsafeMutablePointer<CChar>?] = ([program] + words).map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var process: pid_t = 0
        try #require(posix_spawn(&process, program, nil, nil, &arguments, environ) == 0)
        var status: CInt = 0
        waitpid(process, &status, 0)
        return status
    }

    @Test func aFunctionWithADependencyIsLoadedOnceAndForkedForEachCall() async throws {
        let server = try TestServer(variables: ["PIP_FIND_LINKS": "/function", "PIP_NO_INDEX": "1"])
        try server.start()
        let folder = try server.write(
            "shared", manifest: Self.manifest("shared", dependencies: true),
            files: ["main.py": Self.code, "requirements.txt": "tiny==1.0\n"])
        try Self.addWheel(to: folder)
        server.deploy(folder)
        let caller = try Caller(server)
        var seen: Set<String> = []
        var shared = 0
        for _ in 0..<30 where shared < 8 {
            let answer = try caller.send(
                "POST", "/v1/functions/shared/invoke", ["Content-Type": "application/json"], body: "{}")
            try #require(answer.status == 200, "\(answer.text)")
            let value = try JSONValue.parse(Array(answer.text.utf8))
            #expect(value["calls"] == 1 && value["started"] == 1 && value["answer"] == 42)
            #expect(value["left"] == ["left"] && value["colour"] == "blue" && value["root"] == false)
            #expect(value["folder"] == "/function")
            let isNew = seen.insert(value["random"]?.string ?? "").inserted
            #expect(isNew, "no random state is shared")
            if answer.header("Apus-Isolation")?.contains("calls=process") == true {
                shared += 1
                // The first process of the sandbox has loaded it, another one runs it.
                #expect(value["loaded"] == 1 && value["pid"] != 1)
            } else {
                #expect(value["loaded"] == value["pid"])
            }
        }
        #expect(shared == 8)
        let metrics = try caller.send("GET", "/metrics").text
        #expect(metrics.contains("apus_pool_hits_total{namespace=\"default\",function=\"shared\"}"))
        let instances = try caller.send("GET", "/v1/instances").text
        #expect(instances.contains(#""calls":"process""#), "\(instances)")
        // A new revision is never forked from what the old one loaded.
        _ = try server.write(
            "shared", manifest: Self.manifest("shared", dependencies: true),
            files: [
                "main.py": Self.code.replacing(#""calls": calls"#, with: #""calls": calls, "new": True"#),
                "requirements.txt": "tiny==1.0\n",
            ])
        server.deploy(folder)
        for _ in 0..<6 {
            let answer = try caller.send(
                "POST", "/v1/functions/shared/invoke", ["Content-Type": "application/json"], body: "{}")
            #expect(try JSONValue.parse(Array(answer.text.utf8))["new"] == true)
        }
    }

    @Test func oneThatCannotBeForkedSaysSoAndWorks() async throws {
        let server = try TestServer()
        try server.start()
        let code = """
            import threading, time
            threading.Thread(target=time.sleep, args=(600,), daemon=True).start()

            def handle(event, context):
                return 1
            """
        server.deploy(
            try server.write(
                "threads", manifest: Self.manifest("threads", dependencies: false), files: ["main.py": code]))
        let caller = try Caller(server)
        for _ in 0..<5 {
            let answer = try caller.send(
                "POST", "/v1/functions/threads/invoke", ["Content-Type": "application/json"], body: "{}")
            #expect(answer.status == 200 && answer.header("Apus-Isolation")?.contains("calls=process") == false)
        }
        let isSaid = waitUntil(seconds: 10) {
            server.apus("logs", "threads").output.contains("importing it started 1 threads")
        }
        #expect(isSaid)
    }
}
