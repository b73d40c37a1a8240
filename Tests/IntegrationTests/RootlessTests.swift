import ApusCore
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Whoever starts a server without root here: a user that no account of a host has.
private enum OrdinaryUser {
    static let id: uid_t = 61_235
    static let canLend = access("/usr/bin/newuidmap", X_OK) == 0

    static let canRun: Bool = {
        let words = ["--reuid", "\(id)", "--regid", "\(id)", "--clear-groups", "unshare", "-U", "true"]
        let canRun = (try? ChildProcess("setpriv", words, in: "/"))?.wait(seconds: 20) == 0
        if !canRun {
            print("servers without root are not tested: this host lets no ordinary user make a user namespace")
        }
        return canRun
    }()
}

/// `apus serve --rootless`: the built binary, started by an ordinary user.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"),
    .enabled(if: OrdinaryUser.canRun, "no ordinary user may make a user namespace here"))
struct RootlessTests {
    private static let manifest = """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: fresh}
        spec: {runtime: python3, handler: main:handle, reuse: never, resources: {memory: 128Mi}}
        ---
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: upper}
        spec: {runtime: exec, handler: tr a-z A-Z}
        """

    private static let code = """
        import ctypes, os, socket, sys

        def handle(event, context):
            status = dict(line.split(":", 1) for line in open("/proc/self/status") if ":" in line)
            library = ctypes.CDLL(None, use_errno=True)
            words = (ctypes.c_char_p * 3)(b"ld", b"/bin/true", None)
            # execveat from where a sandbox's own program was, by a path of its own. A worker that executed its program would end here.
            is_clone = sys.orig_argv[-1].endswith("_zygote.py")
            is_clone and library.syscall(322, 1000, b"/lib64/ld-linux-x86-64.so.2", words, (ctypes.c_char_p * 1)(None), 0x1000)
            return {
                "program": sys.orig_argv[-1], "uid": os.getuid(), "pid": os.getpid(), "executed": ctypes.get_errno(),
                "capabilities": status["CapEff"].strip() + status["CapBnd"].strip(), "new": status["NoNewPrivs"].strip(),
                "folder": os.getcwd(), "shadow": os.path.exists("/etc/shadow"), "network": _refused(socket.socket),
                "processes": sorted(name for name in os.listdir("/proc") if name.isdigit()),
            }

        def _refused(attempt):
            try:
                attempt()
            except OSError as error:
                return error.errno
            return 0
        """

    private func serve(_ preparation: String? = nil) throws -> TestServer {
        let server = try TestServer(arguments: ["--rootless"], preparation: preparation, user: OrdinaryUser.id)
        try server.start()
        server.deploy(try server.write("functions", manifest: Self.manifest, files: ["main.py": Self.code]))
        return server
    }

    /// Calls until the worker is a clone: the first ones may come before the zygote is warm.
    private func clone(_ server: TestServer) throws -> JSONValue {
        for _ in 0..<50 {
            let result = server.apus("invoke", "fresh", "--data", "{}")
            try #require(result.status == 0, "\(result.errors)\(server.log)")
            let answer = try JSONValue.parse(Array(result.output.utf8))
            if answer["program"] == "/runtime/apus/_zygote.py" { return answer }
        }
        throw ApusError(.internal, "no worker was a clone within 50 calls")
    }

    private func expectConfined(_ answer: JSONValue) {
        #expect(answer["pid"] == 1 && answer["folder"] == "/function" && answer["shadow"] == false)
        #expect(answer["capabilities"]?.string == String(repeating: "0", count: 32) && answer["new"] == "1")
        #expect(answer["network"]?.string != "0" && answer["processes"] == ["1"])
        #expect(answer["executed"] != 0, "a clone executes nothing, not even the loader")
    }

    @Test func anOrdinaryUserServesAndEveryAnswerSaysWhatIsMissing() async throws {
        let server = try self.serve()
        self.expectConfined(try self.clone(server))
        #expect(server.apus("invoke", "upper", "--data", "abc").output.hasPrefix("ABC"))
        let answer = try Caller(server).send("POST", "/v1/functions/fresh/invoke", body: "{}")
        let header = answer.header("Apus-Isolation") ?? ""
        #expect(header.hasPrefix("standard; mode=rootless; missing=\""), "\(header)")
        for layer in ["memory-limit", "process-limit", "exec-once", "own-uid"] { #expect(header.contains(layer)) }
        let ready = try Caller(server).send("GET", "/readyz").text
        #expect(ready.contains("\"isolationMode\":\"rootless\"") && ready.contains("\"own-uid\""))
        let doctor = server.apus("doctor")
        #expect(
            doctor.output.contains(
                "without root: the server is user \(OrdinaryUser.id), its sandboxes have its uid too"))
        #expect(doctor.output.contains("own-uid") && doctor.output.contains("RLIMIT_DATA bounds each process"))
        let log = server.log
        #expect(
            log.contains(
                "WARN isolation=degraded: no writable cgroup; memory limited by RLIMIT_DATA per process only, "
                    + "fork bomb limited by RLIMIT_NPROC for uid \(OrdinaryUser.id) (shared by all workers)\n"))
        #expect(log.contains("WARN single-uid"))
        #expect(server.terminate() == 0)
    }

    @Test func anUpgradeWithoutRootKeepsServing() async throws {
        let server = try self.serve()
        try server.upgrade()
        self.expectConfined(try self.clone(server))
    }

    @Test func secretsAndNodeWorkInLittleMemory() async throws {
        let server = try TestServer(arguments: ["--rootless"], user: OrdinaryUser.id)
        try server.start()
        #expect(server.apus("secret", "set", "TOKEN", input: "hush-hush").status == 0)
        let manifest = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: told}
            spec: {runtime: python3, handler: "main:handle", secrets: [TOKEN], resources: {memory: 64Mi}}
            """
        let code = "def handle(event, context):\n    return len(context.secret('TOKEN'))\n"
        server.deploy(try server.write("told", manifest: manifest, files: ["main.py": code]))
        #expect(server.apus("invoke", "told", "--data", "{}").output.hasPrefix("9"))
        guard access("/usr/bin/node", X_OK) == 0 else { return print("no node here: functions on it are not tested") }
        let node = """
            apiVersion: apus.dev/v1
            kind: Function
            metadata: {name: node}
            spec: {runtime: node, handler: "main:handle", resources: {memory: 128Mi}}
            """
        let script = "exports.handle = async (event) => [event.data.x, Buffer.alloc(8 << 20).length];\n"
        server.deploy(try server.write("node", manifest: node, files: ["main.js": script]))
        let answer = server.apus("invoke", "node", "--data", "{\"x\":1}")
        #expect(answer.output.hasPrefix("[1,8388608]"), "\(answer.output)\(answer.errors)")
    }

    @Test func whatDemandsEveryLayerIsRefusedAtItsDeploy() async throws {
        let server = try self.serve()
        let manifest = Self.manifest.replacing("reuse: never", with: "sandbox: {isolation: hostile}")
        let folder = try server.write("hostile", manifest: manifest, files: ["main.py": Self.code])
        let result = server.apus("deploy", folder)
        #expect(result.status == 1 && result.errors.contains("cannot give memory-limit"), "\(result.errors)")
    }

    @Test(.enabled(if: OrdinaryUser.canLend, "newuidmap is not installed (package uidmap)"))
    func withLentUidsEachSandboxHasItsOwn() async throws {
        let files = "/var/tmp/apus-lent-\(getpid())"
        let server = try self.serve(
            """
            mkdir -p \(files) && (cat /etc/passwd; echo 'apus-lent:x:\(OrdinaryUser.id):\(OrdinaryUser.id)::/:/bin/sh') > \(files)/passwd \
            && echo 'apus-lent:1900100000:65536' > \(files)/ids && touch /etc/subuid /etc/subgid \
            && mount --bind \(files)/passwd /etc/passwd && mount --bind \(files)/ids /etc/subuid \
            && mount --bind \(files)/ids /etc/subgid
            """)
        defer { _ = try? ChildProcess("/bin/rm", ["-rf", files], in: "/var/tmp").wait(seconds: 20) }
        self.expectConfined(try self.clone(server))
        #expect(server.apus("doctor").output.contains("have uids of their own, 1900100000 to "))
        #expect(!server.log.contains("single-uid"))
    }

    @Test func whoNeedsWhichFlagIsTold() async throws {
        let tree = try InstalledTree.path.get()
        let root = try ChildProcess("\(tree)/bin/apus", ["serve", "--rootless", "--data", "/var/tmp/x"], in: "/")
        #expect(root.wait(seconds: 20) == 2 || !root.errors.isEmpty)
        #expect(root.errors.contains("--rootless is for an ordinary user"), "\(root.errors)")
        let words = [
            "--reuid", "\(OrdinaryUser.id)", "--regid", "\(OrdinaryUser.id)", "--clear-groups", "\(tree)/bin/apus",
        ]
        let user = try ChildProcess("setpriv", words + ["serve"], in: "/")
        #expect(user.wait(seconds: 20) == 1 && user.errors.contains("apus serve --rootless"), "\(user.errors)")
        let doctor = try ChildProcess("setpriv", words + ["doctor"], in: "/")
        _ = doctor.wait(seconds: 20)
        #expect(doctor.output.contains("without root: the server is user \(OrdinaryUser.id)"), "\(doctor.output)")
    }
}
