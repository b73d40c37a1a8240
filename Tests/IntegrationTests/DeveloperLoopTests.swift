import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// A function from `apus init` to its logs, with the commands that its author uses.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct DeveloperLoopTests {
    /// Runs a program in a folder, as its author would.
    private static func run(_ words: [String], in folder: String, seconds: Double) throws -> (
        status: Int32?, text: String
    ) {
        let child = try ChildProcess(
            "/bin/sh", ["-c", "cd \"$0\" && exec \"$@\"", folder] + words, in: "/var/tmp")
        let status = child.wait(seconds: seconds)
        return (status, child.output + child.errors)
    }

    /// Makes a function, in a folder below the server's.
    private func initialise(_ server: TestServer, _ name: String, _ options: [String] = []) -> String {
        let folder = "\(server.folder)/\(name)"
        let made = server.apus(arguments: ["init", name, "--folder", folder] + options)
        #expect(made.status == 0 && made.output.contains("next: cd \(folder)"), "\(made.errors)")
        return folder
    }

    // MARK: init

    @Test func generatedFunctionsPassTheirTestsAndAnswer() throws {
        let server = try TestServer()
        try server.start()
        let caller = try Caller(server)
        for (runtime, expected) in [
            ("python3", #"{"text":"Hello, Ada!"}"#), ("node", #"{"text":"Hello, Ada!"}"#), ("exec", "Hello, Ada!\n"),
        ] {
            for trigger in ["none", "topic", "http", "schedule"] {
                let name = "\(runtime)-\(trigger)"
                let folder = self.initialise(server, name, ["--runtime", runtime, "--trigger", trigger])
                let test =
                    switch runtime {
                    case "exec": ["./test.sh"]
                    case "node": ["/usr/bin/node", "--test"]
                    default: ["/usr/bin/python3", "-m", "unittest"]
                    }
                let tested = try Self.run(test, in: folder, seconds: 30)
                #expect(tested.status == 0, "\(name): \(tested.text)")
                server.deploy(folder)
                let result = server.apus("invoke", name, "--data", #"{"name": "Ada"}"#)
                #expect(result.output == expected, "\(name): \(result.errors)")
                switch trigger {
                case "http":
                    let headers = ["Content-Type": "application/json"]
                    let answer = try caller.send("POST", "/fn/\(name)", headers, body: #"{"name": "Ada"}"#)
                    #expect(answer.status == 200 && answer.text == expected, "\(answer.text)")
                case "topic":
                    #expect(server.apus("publish", name, "--data", #"{"name": "Grace"}"#).status == 0)
                    let isThere = waitUntil(seconds: 20) {
                        server.apus("consume", "\(name).replies", "--from", "earliest").output.contains("Hello, Grace!")
                    }
                    #expect(isThere, "\(name)")
                case "schedule": #expect(server.apus("get", "schedules").output.contains("\(name)  "))
                default: break
                }
            }
        }
    }

    /// Built and tested with the toolchain that built this, against the SDK of an installed tree. Tree and function lie where the next
    /// run finds them, so that only the first compiles the SDK.
    @Test func aGeneratedSwiftFunctionIsBuiltFromAnInstalledTree() throws {
        let home = "\(InstalledTree.packageRoot)/.build/init-test"
        mkdir(home, 0o755)
        let tree = "\(home)/tree"
        let install = try Self.run(
            ["\(InstalledTree.packageRoot)/scripts/install", tree, "\(InstalledTree.packageRoot)/.build/debug"],
            in: home,
            seconds: 60)
        #expect(install.status == 0, "\(install.text)")
        let server = try TestServer()
        try server.start()
        let made = try Self.run(
            ["\(tree)/bin/apus", "init", "greet", "--runtime", "native"], in: server.folder, seconds: 20)
        try #require(made.status == 0, "\(made.text)")
        // What is the same stays untouched, and need not be compiled again.
        let folder = "\(home)/greet"
        let copied = try Self.run(
            [
                "/bin/sh", "-c",
                """
                cd greet && find . -type f | while read -r file; do
                  mkdir -p "$0/$(dirname "$file")" && { cmp -s "$file" "$0/$file" || cp "$file" "$0/$file"; }
                done
                """, folder,
            ], in: server.folder, seconds: 20)
        try #require(copied.status == 0, "\(copied.text)")
        let tested = try Self.run(["swift", "test"], in: folder, seconds: 400)
        #expect(tested.status == 0, "\(tested.text)")
        let deploy = server.apus("deploy", folder, "--wait", seconds: 400)
        #expect(deploy.status == 0, "\(deploy.errors)")
        let result = server.apus("invoke", "greet", "--data", #"{"name": "Ada"}"#)
        #expect(result.output == #"{"text":"Hello, Ada!"}"#, "\(result.errors)")
    }

    // MARK: dev

    @Test func whatIsSavedUnderDevAnswersTheNextCall() throws {
        let server = try TestServer()
        try server.start()
        let folder = self.initialise(server, "hello")
        let dev = try server.begin("dev", folder, "--data", #"{"name": "Ada"}"#)
        defer { dev.signal(SIGTERM) }
        #expect(waitUntil(seconds: 30) { dev.output.contains("Hello, Ada!") }, "\(dev.output)\(dev.errors)")
        let main = "\(folder)/main.py"
        try writeFile(main, "def handle(event, context):\n    context.log.info('changed')\n    return 42\n")
        #expect(waitUntil(seconds: 30) { server.apus("invoke", "hello").output == "42" }, "\(dev.output)\(dev.errors)")
        #expect(waitUntil(seconds: 30) { dev.output.contains("| hello  info  changed") }, "\(dev.output)")
        // What cannot start is told, and the next change mends it.
        try writeFile(main, "def handle(event, context)\n")
        #expect(waitUntil(seconds: 30) { dev.output.contains("✘ apus: ") }, "\(dev.output)")
        try writeFile(main, "def handle(event, context):\n    return 43\n")
        #expect(waitUntil(seconds: 30) { server.apus("invoke", "hello").output == "43" }, "\(dev.output)\(dev.errors)")
    }

    // MARK: logs

    @Test func logsAreFoundByLevelInvocationRevisionAndTime() throws {
        let server = try TestServer()
        try server.start()
        let folder = try server.write(
            "talker",
            manifest: """
                apiVersion: apus.dev/v1
                kind: Function
                metadata: {name: talker}
                spec: {runtime: python3, handler: "main:handle"}
                """,
            files: [
                "main.py": """
                def handle(event, context):
                    print(f"printed {event.data}")
                    context.log.info("told of %s", event.data)
                    context.log.warning("warned of %s", event.data)
                    return event.data
                """
            ])
        server.deploy(folder)
        let follow = try server.begin("logs", "talker", "--follow", "--level", "warning")
        defer { follow.signal(SIGTERM) }
        var ids: [String] = []
        for number in 1...3 {
            let call = server.apus("invoke", "talker", "--data", "\(number)", "--timing")
            #expect(call.output == "\(number)")
            ids.append(String(call.errors.filter { $0 != "\n" }.suffix(32)))
        }
        func logs(_ options: String...) -> [String] {
            let result = server.apus(arguments: ["logs", "talker", "--output", "json"] + options)
            return result.output.split(separator: "\n").compactMap {
                (try? JSONValue.parse(String($0)))?["text"]?.string
            }
        }
        #expect(waitUntil(seconds: 20) { logs().contains("warned of 3") && logs().contains("printed 3") })
        #expect(logs("--level", "warning") == ["warned of 1", "warned of 2", "warned of 3"])
        #expect(logs("--level", "warning", "--limit", "1") == ["warned of 3"])
        // What is printed just before the end may be read after it, and then belongs to no invocation.
        #expect(logs("--invocation", ids[1]).filter { !$0.hasPrefix("printed") } == ["told of 2", "warned of 2"])
        #expect(logs("--level", "error").isEmpty)
        #expect(logs("--since", "1h").count == 9 && logs("--since", "2100-01-01T00:00:00Z").isEmpty)
        let item = try JSONValue.parse(server.apus("get", "function", "talker", "--output", "json").output)
        let revision = String(try #require(item["revision"]?.string).prefix(8))
        #expect(logs("--revision", revision).count == 9)
        #expect(logs("--revision", revision.map { $0 == "0" ? "1" : "0" }.joined()).isEmpty)
        #expect(waitUntil(seconds: 20) { follow.output.contains("warned of 3") }, "\(follow.output)\(follow.errors)")
        #expect(!follow.output.contains("printed") && !follow.output.contains("told"))
    }

    // MARK: top

    /// On a pseudo terminal, ended by each thing that can end it: what the terminal was is put back.
    @Test(arguments: ["q", "ctrl-c", "SIGINT", "SIGTERM", "SIGHUP", "SIGSEGV"])
    func topGivesTheTerminalBack(_ end: String) throws {
        let server = try TestServer()
        try server.start()
        server.deploy(self.initialise(server, "hello"))
        #expect(server.apus("invoke", "hello").status == 0)
        let peer = "\(InstalledTree.packageRoot)/Tests/IntegrationTests/Peers/terminal_peer.py"
        let child = try server.begin(
            program: "/usr/bin/python3", [peer, end, "hello", "\(server.tree)/bin/apus", "top"])
        #expect(child.wait(seconds: 60) == 0, "\(child.output)\(child.errors)")
    }

    @Test func topIsPrintedOnceForPrograms() throws {
        let server = try TestServer()
        try server.start()
        server.deploy(self.initialise(server, "hello"))
        #expect(server.apus("invoke", "hello").status == 0)
        let table = server.apus("top")
        #expect(table.status == 0 && table.output.contains("\nhello "), "\(table.output)\(table.errors)")
        #expect(!table.output.contains("\u{1B}"))
        let report = try JSONValue.parse(server.apus("top", "--output", "json").output)
        let function = report["functions"]?[0]
        #expect(function?["name"] == "hello" && function?["totals"]?["succeeded"] == 1)
        #expect(function?["instances"]?["ready"] == 1, "\(report)")
    }
}
