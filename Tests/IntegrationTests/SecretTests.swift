import ApusCore
import ApusCrypto
import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Secrets from the command line to the handler, through the built binary, and nowhere else.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct SecretTests {
    private let folder = ScratchDirectory("apus-secrets", in: "/var/tmp")

    /// A key file of those keys, the newest last.
    private func keyFile(_ name: String, _ letters: String...) throws -> String {
        let path = "\(self.folder.path)/\(name)"
        try writeFile(path, letters.map { String(repeating: $0, count: 64) }.joined(separator: "\n") + "\n")
        chmod(path, 0o600)
        return path
    }

    private static func function(_ name: String, _ spec: String) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec: {\(spec), secrets: [TOKEN]}
        """
    }

    private func python(_ server: TestServer, _ body: String = "return context.secret('TOKEN').encode()") throws
        -> String
    {
        try server.write(
            "py", manifest: Self.function("py", "runtime: python3, handler: 'main:handle'"),
            files: ["main.py": "def handle(event, context):\n    \(body)\n"])
    }

    private func command(_ server: TestServer, _ script: String) throws -> String {
        let folder = try server.write(
            "sh", manifest: Self.function("sh", "runtime: exec, handler: ./run.sh"),
            files: ["run.sh": "#!/bin/sh\n\(script)\n"])
        chmod("\(folder)/run.sh", 0o755)
        return folder
    }

    private static let readDescriptor = #"python3 -c 'import json; print(json.load(open(6))["TOKEN"], end="")'"#

    private func set(_ server: TestServer, _ value: String, _ name: String = "TOKEN") {
        let result = server.apus("secret", "set", name, input: value)
        #expect(result.status == 0, "\(result.errors)")
    }

    @Test func everyRuntimeIsGivenItsSecretsAndNewWorkersTheNewOnes() throws {
        let server = try TestServer(arguments: ["--key-file", try self.keyFile("key", "a")])
        try server.start()
        let python = try self.python(server)
        let early = server.apus("deploy", python)
        #expect(early.status == 1 && early.errors.contains("[secret_not_found]"), "\(early.errors)")
        self.set(server, "first-value\n")
        server.deploy(python)
        server.deploy(try self.command(server, Self.readDescriptor))
        let native = try server.write(
            "native", manifest: Self.function("native", "runtime: native, handler: echo-native inherited"))
        _ = try ChildProcess(
            "/bin/cp", ["\(InstalledTree.packageRoot)/.build/debug/echo-native", "\(native)/echo-native"],
            in: "/var/tmp"
        ).wait(seconds: 10)
        server.deploy(native)
        // What `echo-native` answers in its own way is the data `bad`.
        func answers() -> [String] {
            [("py", "x"), ("sh", "x"), ("native", "bad")].map { server.apus("invoke", $0, "--data", $1).output }
        }
        #expect(answers() == ["first-value", "first-value", #"{"TOKEN":"first-value"}"#])
        // A second process of the same worker reads from the beginning, too.
        #expect(server.apus("invoke", "sh", "--data", "x").output == "first-value")

        let refused = server.apus("secret", "delete", "TOKEN")
        #expect(refused.status == 1 && refused.errors.contains("'native', 'py', 'sh'"), "\(refused.errors)")
        self.set(server, "second-value")
        #expect(answers() == ["second-value", "second-value", #"{"TOKEN":"second-value"}"#])
        let list = try JSONValue.parse(Array(server.apus("secret", "list", "--output", "json").output.utf8))
        let item = try #require(list["items"]?.array?.first)
        #expect(
            item["version"]?.integer == 2 && item["setBy"] == "admin" && item["functions"] == ["native", "py", "sh"])

        server.kill9()
        try server.start()
        #expect(answers() == ["second-value", "second-value", #"{"TOKEN":"second-value"}"#])
        for name in ["py", "sh", "native"] { #expect(server.apus("delete", "function", name).status == 0) }
        #expect(server.apus("secret", "delete", "TOKEN").status == 0)
        #expect(server.apus("secret", "list").output.contains("no secrets"))
        #expect(server.terminate() == 0)
    }

    @Test func aLostKeyIsSaidAndARotationMovesEverythingToTheNewest() throws {
        let path = try self.keyFile("key", "a")
        let server = try TestServer(arguments: ["--key-file", path])
        try server.start()
        self.set(server, "a-value-to-keep")
        self.set(server, "another-value", "OTHER")
        server.deploy(try self.python(server))
        #expect(server.terminate() == 0)

        // Another key, as after a restore on a machine that was not given the old one.
        _ = try self.keyFile("key", "b")
        try server.start()
        let ready = server.ready()
        #expect(ready["ready"] == false, "\(ready)")
        let problem = ready["problems"]?.array?.first?.string ?? ""
        #expect(problem.contains("2 secrets are sealed under the key") && problem.contains("--key-file"), "\(problem)")
        #expect(server.log.contains("not ready: 2 secrets"))
        #expect(server.apus("secret", "list").output.contains("(missing)"))
        let failed = server.apus("invoke", "py", "--data", "x")
        #expect(failed.status == 1 && failed.errors.contains("[secret_unavailable]"), "\(failed.errors)")
        let left = server.apus("secret", "rotate-key")
        #expect(left.status == 0 && left.output.contains("left as they are"), "\(left.output)")
        #expect(server.terminate() == 0)

        _ = try self.keyFile("key", "a", "b")
        try server.start()
        #expect(server.ready()["ready"] == true)
        #expect(server.apus("invoke", "py", "--data", "x").output == "a-value-to-keep")
        let rotated = server.apus("secret", "rotate-key")
        #expect(rotated.output.hasPrefix("2 secrets sealed anew"), "\(rotated.output)\(rotated.errors)")
        #expect(server.apus("secret", "rotate-key").output.hasPrefix("0 secrets"))
        #expect(server.terminate() == 0)

        // The old key opens nothing any more.
        _ = try self.keyFile("key", "b")
        try server.start()
        #expect(server.ready()["ready"] == true)
        #expect(server.apus("invoke", "py", "--data", "x").output == "a-value-to-keep")
        #expect(server.terminate() == 0)
    }

    @Test func aGeneratedKeyIsWarnedOfAndGivesWayToAFile() throws {
        let server = try TestServer()
        try server.start()
        #expect(server.log.contains("fit for development only"))
        #expect(server.ready()["warnings"]?.array?.count == 1 && server.ready()["ready"] == true)
        self.set(server, "made-in-development")
        server.deploy(try self.python(server))
        #expect(server.apus("invoke", "py", "--data", "x").output == "made-in-development")
        #expect(server.terminate() == 0)

        server.variables = ["APUS_KEY_FILE": try self.keyFile("key", "c")]
        try server.start()
        #expect(server.ready()["warnings"]?.array?.isEmpty == true)
        #expect(server.apus("invoke", "py", "--data", "x").output == "made-in-development")
        #expect(server.apus("secret", "rotate-key").output.hasPrefix("1 secrets sealed anew"))
        #expect(server.terminate() == 0)
        unlink("\(server.data)/run/master.key")
        try server.start()
        #expect(server.apus("invoke", "py", "--data", "x").output == "made-in-development")
        #expect(server.terminate() == 0)

        // Inside the data directory it would be copied with what it opens.
        let inside = "\(server.data)/key"
        try writeFile(inside, String(repeating: "c", count: 64))
        let refused = server.apus("serve", "--data", server.data, "--listen", "127.0.0.1:0", "--key-file", inside)
        #expect(refused.status == 1 && refused.errors.contains("[configuration_invalid]"), "\(refused.errors)")
    }

    @Test func theValueIsNowhereButInTheWorker() throws {
        let value = "plain-\(Random.token(bytes: 12))"
        let server = try TestServer(arguments: [
            "--key-file", try self.keyFile("key", "a"), "--log-level", "debug",
        ])
        try server.start()
        self.set(server, value)
        server.deploy(try self.python(server, "return len(context.secret('TOKEN'))"))
        server.deploy(try self.command(server, "wc -c <&6"))
        #expect(server.apus("invoke", "py", "--data", "x").output == "\(value.utf8.count)")
        #expect(server.apus("invoke", "sh", "--data", "x").status == 0)
        let id = try #require(server.process?.pid)
        // Workers are there, and the server has set, sealed, opened and sent it.
        let places = try Self.processes(below: id).flatMap { ["/proc/\($0)/environ", "/proc/\($0)/cmdline"] }
        #expect(places.count > 4, "server, nursery and workers: \(places)")
        for place in places { #expect(try Self.occurrences(of: value, in: place) == 0, "\(place)") }
        #expect(try Self.occurrences(inMemoryOf: id, value) == 0, "the server keeps no copy")
        let backup = "\(server.folder)/backup"
        #expect(server.apus("backup", backup).status == 0)
        #expect(server.terminate() == 0)
        #expect(!server.log.contains(value))
        for file in try Self.files(server.data) + [backup] {
            #expect(try Self.occurrences(of: value, in: file) == 0, "\(file)")
        }
        // The same search finds what is there.
        try writeFile("\(server.folder)/control", "x\(value)y")
        #expect(try Self.occurrences(of: value, in: "\(server.folder)/control") == 1)
        #expect(try Self.occurrences(inMemoryOf: getpid(), value) > 0)
    }

    @Test func whatAFunctionPrintsOfItIsMasked() throws {
        let value = "printed-\(Random.token(bytes: 8))"
        let server = try TestServer(arguments: ["--key-file", try self.keyFile("key", "a")])
        try server.start()
        self.set(server, value)
        server.deploy(
            try self.python(
                server,
                "t = context.secret('TOKEN'); print('out', t); context.log.info('log ' + t); raise ValueError('err ' + t)"
            ))
        let failed = server.apus("invoke", "py", "--data", "x")
        #expect(failed.errors.contains("err ***") && !failed.errors.contains(value), "\(failed.errors)")
        let isLogged = waitUntil(seconds: 20) {
            let logs = server.apus("logs", "py").output
            return ["out ***", "log ***", "err ***"].allSatisfy { logs.contains($0) }
        }
        #expect(isLogged, "\(server.apus("logs", "py").output)")
        #expect(!server.apus("logs", "py").output.contains(value))
        #expect(server.terminate() == 0)
        for file in try Self.files(server.data) {
            #expect(try Self.occurrences(of: value, in: file) == 0, "\(file)")
        }
    }

    // MARK: looking for it

    /// A process and all that descend from it.
    private static func processes(below process: pid_t) throws -> [pid_t] {
        var found = [process]
        var at = 0
        while at < found.count {
            let children = try readFile("/proc/\(found[at])/task/\(found[at])/children")
            found += String(decoding: children, as: UTF8.self).split(separator: " ").compactMap { pid_t($0) }
            at += 1
        }
        return found
    }

    private static func files(_ folder: String) throws -> [String] {
        let find = try ChildProcess("/usr/bin/find", [folder, "-type", "f"], in: "/var/tmp")
        #expect(find.wait(seconds: 20) == 0)
        let files = find.output.split(separator: "\n").map(String.init)
        #expect(files.contains { $0.hasSuffix("log.mdb") } && files.contains { $0.hasSuffix("state.db") })
        return files
    }

    private static func occurrences(of value: String, in file: String) throws -> Int {
        let search = try ChildProcess("/bin/grep", ["-a", "-c", "-F", "-e", value, file], in: "/var/tmp")
        _ = search.wait(seconds: 20)
        return Int(search.output.filter(\.isNumber)) ?? 0
    }

    /// Looks at every page that the process may read, as a core file would hold them.
    private static func occurrences(inMemoryOf process: pid_t, _ value: String) throws -> Int {
        let script = """
            import sys
            count, needle = 0, sys.argv[2].encode()
            memory = open(f"/proc/{sys.argv[1]}/mem", "rb", 0)
            for line in open(f"/proc/{sys.argv[1]}/maps"):
                words = line.split()
                first, end = (int(word, 16) for word in words[0].split("-"))
                if not words[1].startswith("r") or words[-1].startswith("[v"):
                    continue
                before = b""
                for at in range(first, end, 1 << 20):
                    try:
                        memory.seek(at)
                        piece = memory.read(min(1 << 20, end - at))
                    except OSError:
                        break
                    count += (before[-len(needle) + 1:] + piece).count(needle)
                    before = piece
                    if not piece.strip(b"\\0"):
                        before = b""
            print(count)
            """
        let search = try ChildProcess("/usr/bin/python3", ["-c", script, "\(process)", value], in: "/var/tmp")
        guard search.wait(seconds: 50) == 0, let count = Int(search.output.filter(\.isNumber)) else {
            throw ApusError(.internal, "the memory of \(process) cannot be read: \(search.errors)")
        }
        return count
    }
}

extension TestServer {
    /// What `/readyz` says, whether it is ready or not.
    fileprivate func ready() -> JSONValue {
        guard let answer = try? Caller(self).send("GET", "/readyz") else { return .null }
        return (try? JSONValue.parse(answer.body)) ?? .null
    }
}
