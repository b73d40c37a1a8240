import ApusHTTP
import ApusJSON
import ApusTestSupport
import Glibc
import Testing

/// Large results that do not come to their end, or come from a worker that does what it must not: what the server's disk and memory hold of
/// them, and what becomes of others.
@Suite(
    .serialized, .enabled(if: InstalledTree.reasonToSkip == nil, "integration tests start a server, which needs root"))
struct BrokenResultTests {
    private static let half = 2 << 20

    private static let code = """
        def much(event, context):
            return b"x" * event.data["bytes"]
        """

    /// Sends one call on a socket of its own, and leaves when it is killed.
    private static let client = """
        import json, socket, sys, time
        port, token, tool = sys.argv[1:]
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28", "io.modelcontextprotocol/clientCapabilities": {}}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "tools/call",
                           "params": {"name": tool, "arguments": {"what": "bad"}, "_meta": meta}})
        s = socket.create_connection(("127.0.0.1", int(port)))
        s.sendall((f"POST /mcp HTTP/1.1\\r\\nHost: localhost\\r\\nAuthorization: Bearer {token}\\r\\nContent-Type: application/json\\r\\n"
                   "Accept: application/json, text/event-stream\\r\\nMCP-Protocol-Version: 2026-07-28\\r\\nMcp-Method: tools/call\\r\\n"
                   f"Mcp-Name: {tool}\\r\\nContent-Length: {len(body)}\\r\\n\\r\\n{body}").encode())
        time.sleep(300)
        """

    private static func manifest(_ name: String, _ runtime: String, _ handler: String) -> String {
        """
        apiVersion: apus.dev/v1
        kind: Function
        metadata: {name: \(name)}
        spec:
          description: Returns much.
          runtime: \(runtime)
          handler: \(handler)
          source: .
          resources: {memory: 512Mi}
          timeout: 120s
          tool: {name: \(name), input: {type: object}}
        """
    }

    private struct Scene {
        let server: TestServer
        let tools: ToolCaller

        /// - Parameter modes: of the native worker, each a tool of its own.
        init(_ server: TestServer, _ modes: [String]) throws {
            self.server = server
            try server.start()
            self.tools = ToolCaller(caller: try Caller(server))
            let manifest = BrokenResultTests.manifest("much", "python3", "main:much")
            server.deploy(try server.write("much", manifest: manifest, files: ["main.py": BrokenResultTests.code]))
            for mode in modes {
                let folder = try server.write(mode, manifest: BrokenResultTests.manifest(mode, "native", "echo-native \(mode)"))
                let copied = try ChildProcess("/bin/cp", ["\(server.tree)/libexec/apus/echo-native", folder], in: folder)
                #expect(copied.wait(seconds: 20) == 0)
                server.deploy(folder)
            }
        }

        /// Sizes of the results that the server has on disk, in which no name is left.
        func held() throws -> [Int] {
            let folder = "/proc/\(try #require(self.server.process?.pid))/fd"
            let directory = try #require(opendir(folder))
            defer { closedir(directory) }
            var sizes: [Int] = []
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                var target = [CChar](repeating: 0, count: 4_096)
                let count = readlink("\(folder)/\(name)", &target, target.count)
                let path = String(decoding: target[..<max(0, count)].map { UInt8(bitPattern: $0) }, as: UTF8.self)
                guard path.contains("/run/result-") else { continue }
                var status = stat()
                if stat("\(folder)/\(name)", &status) == 0 { sizes.append(Int(status.st_size)) }
            }
            return sizes.sorted()
        }

        func waitUntilHeld(_ sizes: [Int]) throws -> Bool { try waitUntil(seconds: 30) { try self.held() == sizes } }

        /// The workers of this mode, in whichever sandbox: what works, and what is started ahead.
        func workers(_ mode: String) throws -> Set<pid_t> {
            let directory = try #require(opendir("/proc"))
            defer { closedir(directory) }
            var found: Set<pid_t> = []
            while let entry = readdir(directory) {
                let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                    pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
                }
                guard let pid = pid_t(name), let words = try? readFile("/proc/\(name)/cmdline") else { continue }
                let line = words.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
                if line.first?.hasSuffix("echo-native") == true, line.contains(mode) { found.insert(pid) }
            }
            return found
        }

        func begin(_ tool: String) throws -> ChildProcess {
            try ChildProcess(
                "/usr/bin/python3", ["-c", BrokenResultTests.client, "\(self.server.port)", self.tools.caller.token, tool],
                in: self.server.folder)
        }

        func call(_ tool: String, _ what: String = "bad") throws -> JSONValue { try self.tools.call(tool, ["what": .string(what)]) }

        /// A result of this size is kept and can be read.
        func keeps(_ bytes: Int) throws -> String? {
            let answer = try self.tools.call("much", ["bytes": .integer(Int64(bytes))])
            let link = answer["result"]?["content"]?.array?.first { $0["type"]?.string == "resource_link" }
            guard let uri = link?["uri"]?.string, link?["size"]?.integer == Int64(bytes) else { return nil }
            let read = try self.tools.ask("resources/read", ["uri": .string("\(uri)?bytes=\(bytes - 1)-\(bytes)")])
            return try ToolCaller.message(read)["result"]?["contents"]?[0]?["blob"]?.string == "eA==" ? uri : nil
        }

        func peak() throws -> Int {
            let status = String(decoding: try readFile("/proc/\(try #require(self.server.process?.pid))/status"), as: UTF8.self)
            let line = try #require(status.split(separator: "\n").first { $0.hasPrefix("VmHWM") })
            return try #require(Int(line.filter(\.isNumber))) << 10
        }
    }

    @Test func aCallerThatLeavesWhileItArrivesLeavesNothingBehind() throws {
        let bed = try Scene(try TestServer(), ["large-hang"])
        let client = try bed.begin("large-hang")
        #expect(try bed.waitUntilHeld([Self.half]), "\(client.errors)")
        let workers = try bed.workers("large-hang")
        client.signal(SIGKILL)
        #expect(try bed.waitUntilHeld([]))
        #expect(try waitUntil(seconds: 30) { try !workers.isSubset(of: bed.workers("large-hang")) }, "its sandbox is killed")
        #expect(try bed.keeps(Self.half) != nil)
        #expect(bed.server.terminate() == 0)
    }

    @Test func aWorkerThatDiesWhileItArrivesIsAnErrorAndLeavesNothingBehind() throws {
        let bed = try Scene(try TestServer(), ["large-crash"])
        let answer = try bed.call("large-crash")
        #expect(answer["result"]?["isError"] == true && AgentCall.text(answer).contains("worker_crashed"), "\(answer)")
        #expect(try bed.waitUntilHeld([]))
        #expect(try bed.keeps(Self.half) != nil)
        #expect(bed.server.terminate() == 0)
    }

    /// The folder where results lie is a file system of its own here, so that nothing else meets its end.
    @Test func aFullDiskIsAnErrorAndHarmsNoOther() throws {
        let server = try TestServer()
        let folder = "\(server.data)/run"
        mkdir(server.data, 0o700)
        mkdir(folder, 0o700)
        try #require(mount("tmpfs", folder, "tmpfs", 0, "size=4m") == 0, "a small file system could not be mounted")
        defer {
            server.kill9()
            umount2(folder, CInt(MNT_DETACH))
        }
        let bed = try Scene(server, [])
        let kept = try #require(try bed.keeps(Self.half))
        for _ in 0..<3 {
            let answer = try bed.tools.call("much", ["bytes": .integer(8 << 20)])
            #expect(answer["result"]?["isError"] == true && AgentCall.text(answer).contains("disk_full"), "\(answer)")
            #expect(try bed.waitUntilHeld([Self.half]))
        }
        let read = try bed.tools.ask("resources/read", ["uri": .string("\(kept)?bytes=0-0")])
        #expect(try ToolCaller.message(read)["result"]?["contents"]?[0]?["blob"]?.string == "eA==", "\(read.text)")
        #expect(try bed.keeps(Self.half / 2 + 1) != nil, "there is room for a smaller one")
        #expect(server.terminate() == 0)
    }

    @Test func aWorkerThatSendsWhatItMustNotHarmsNobody() throws {
        let bed = try Scene(try TestServer(), ["large-hang", "large-endless", "large-stranger", "large-late", "large-head"])
        #expect(try bed.keeps(Self.half) != nil)
        // Somebody else's is on its way all the time, and one is kept.
        let neighbour = try bed.begin("large-hang")
        let others = [Self.half, Self.half]
        #expect(try bed.waitUntilHeld(others))
        let before = try bed.peak()
        let endless = try bed.server.begin("tools", "call", "large-endless", "--data", #"{"what": "bad"}"#)
        var most = 0
        let isOver = try waitUntil(seconds: 120) {
            most = max(most, try bed.held().reduce(0, +))
            return !endless.isRunning
        }
        #expect(isOver && (endless.output + endless.errors).contains("protocol_error"), "\(endless.output)\(endless.errors)")
        #expect(most <= 2 * Self.half + 64 << 20 && most > 2 * Self.half, "\(most)")
        #expect(try bed.waitUntilHeld(others))
        for (tool, what) in [("large-stranger", "bad")] + "abcdefghijk".map({ ("large-head", "bad \($0)") }) {
            let answer = try bed.call(tool, what)
            #expect(answer["result"]?["isError"] == true && AgentCall.text(answer).contains("protocol_error"), "\(what): \(answer)")
            #expect(try bed.waitUntilHeld(others), "\(what)")
        }
        // What was whole before its worker went wrong is a result.
        let late = try bed.call("large-late")
        #expect(late["result"]?["isError"] == false, "\(late)")
        #expect(try bed.waitUntilHeld(others + [Self.half]))
        let grown = try bed.peak() - before
        #expect(grown <= 24 << 20, "\(grown)")
        #expect(try bed.keeps(Self.half) != nil)
        neighbour.signal(SIGKILL)
        #expect(try bed.waitUntilHeld([Self.half, Self.half, Self.half]))
        #expect(bed.server.terminate() == 0)
    }
}
